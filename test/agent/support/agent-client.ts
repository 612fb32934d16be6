/** Speaks to an agent's socket as the API does. */
import http from 'node:http';
import type { Duplex } from 'node:stream';
import type { Status } from '../../../src/machinery/status.ts';
import { channels, encodeFrame, encodeFrames, FrameDecoder, streamUpgrade } from '../../../src/machinery/stream-frames.ts';

export async function getText(socketPath: string, path: string): Promise<{ code: number; text: string }> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http.get({ socketPath, path, agent: false }, resolve).on('error', reject);
  });
  return { code: response.statusCode ?? 0, text: await textOf(response) };
}

async function textOf(response: http.IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return text;
}

/** A streamed answer, read as it comes. */
export function openStream(socketPath: string, path: string): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    http.get({ socketPath, path, agent: false }, resolve).on('error', reject);
  });
}

export async function upgrade(socketPath: string, path: string): Promise<{ socket: Duplex; head: Buffer }> {
  const request = http.request({
    socketPath,
    path,
    method: 'POST',
    agent: false,
    headers: { connection: 'Upgrade', upgrade: streamUpgrade },
  });
  return new Promise((resolve, reject) => {
    request.on('upgrade', (_response, socket, head) => resolve({ socket, head }));
    request.on('response', async (response) => {
      const text = await textOf(response);
      reject(Object.assign(new Error(text), { status: JSON.parse(text) as Status }));
    });
    request.on('error', reject);
    request.end();
  });
}

/** One exec or attach session. */
export class Session {
  stdout = '';
  stderr = '';
  /** The last frame. */
  readonly ended: Promise<Status>;
  readonly #socket: Duplex;

  constructor({ socket, head }: { socket: Duplex; head: Buffer }) {
    this.#socket = socket;
    const decoder = new FrameDecoder();
    this.ended = new Promise((resolve, reject) => {
      const take = (chunk: Buffer) => {
        for (const { channel, payload } of decoder.push(chunk)) {
          if (channel === channels.stdout) this.stdout += payload.toString();
          else if (channel === channels.stderr) this.stderr += payload.toString();
          else if (channel === channels.error) resolve(JSON.parse(payload.toString()) as Status);
        }
      };
      socket.on('data', take);
      socket.on('close', () => reject(new Error('closed without a status')));
      socket.on('error', reject);
      if (head.length) take(head);
    });
    this.ended.catch(() => {});
  }

  static async open(socketPath: string, path: string): Promise<Session> {
    return new Session(await upgrade(socketPath, path));
  }

  input(text: string): void {
    for (const frame of encodeFrames(channels.stdin, Buffer.from(text))) this.#socket.write(frame);
  }

  closeInput(): void {
    this.#socket.write(encodeFrame(channels.close, Buffer.from([channels.stdin])));
  }

  resize(columns: number, rows: number): void {
    this.#socket.write(encodeFrame(channels.resize, Buffer.from(JSON.stringify({ Width: columns, Height: rows }))));
  }

  hangUp(): void {
    this.#socket.destroy();
  }
}
