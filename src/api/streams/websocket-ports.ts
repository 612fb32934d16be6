/**
 * Port-forward over plain WebSocket messages, as clients in Python and JavaScript do it: the ports stand in the query, the
 * i-th has channel 2i for data and 2i+1 for errors, and the first message on each channel is the port as 16 bits,
 * little-endian. One connection to each port, for as long as the WebSocket lives.
 */
import type { IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { errorMessage } from '../../lib/errors.ts';
import { badRequest } from '../../machinery/status.ts';
import { openAgentStream } from './agent-link.ts';
import { type ForwardContext, relay } from './port-forward.ts';
import { parsePort, portForwardPath } from './stream-options.ts';
import { offeredProtocols } from './websocket.ts';

const portsMax = 64;
const protocols: Record<string, { base64: boolean }> = {
  'v4.channel.k8s.io': { base64: false },
  'v4.base64.channel.k8s.io': { base64: true },
};

/** The client's first choice. StatusError 400 when we do not speak what it offers. */
export function choosePortDialect(request: IncomingMessage): { protocol: string; base64: boolean } {
  const offered = offeredProtocols(request);
  if (offered.length === 0) return { protocol: '', base64: false };
  const protocol = offered.find((candidate) => protocols[candidate]);
  if (protocol) return { protocol, base64: protocols[protocol]?.base64 ?? false };
  throw badRequest(`none of the WebSocket protocols ${offered.join(', ')} is supported`);
}

/** The ports in the query, as `ports=80&ports=81` or `ports=80,81`. StatusError 400. */
export function wantedPorts(query: URLSearchParams): number[] {
  const texts = query.getAll('ports').flatMap((text) => text.split(','));
  if (texts.length === 0) throw badRequest('you must specify at least 1 port');
  if (texts.length > portsMax) throw badRequest(`at most ${portsMax} ports can be forwarded at once`);
  return texts.map(parsePort);
}

/** Runs until the WebSocket is closed. */
export async function serveWebSocketPorts(
  socket: WebSocket,
  ports: number[],
  context: ForwardContext & { base64: boolean },
): Promise<void> {
  const { pod, agents, signal, base64 } = context;
  const over = new AbortController();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const onAbort = () => socket.terminate();
  signal.addEventListener('abort', onAbort, { once: true });
  socket.on('error', () => socket.terminate());
  const send = (channel: number, data: Buffer): Promise<void> => {
    const message = base64 ? `${channel}${data.toString('base64')}` : Buffer.concat([Buffer.of(channel), data]);
    // A failed write closes the connection, which is told there.
    return new Promise((resolve) => socket.send(message, { binary: !base64 }, () => resolve()));
  };
  const lanes = ports.map((_port, index) => new PortLane(socket, (data) => send(index * 2, data)));
  socket.on('message', (message) => {
    const { channel, data } = decode(message as Buffer, base64);
    if (channel % 2 === 0) lanes[channel / 2]?.receive(data);
  });
  const forward = async (port: number, lane: PortLane, index: number): Promise<void> => {
    const number = Buffer.alloc(2);
    number.writeUInt16LE(port);
    await send(index * 2, number);
    await send(index * 2 + 1, number);
    try {
      const path = portForwardPath(pod, port);
      const inner = AbortSignal.any([signal, over.signal]);
      await relay(lane, await openAgentStream({ agents, nodeName: pod.spec?.nodeName ?? '', path, signal: inner }));
    } catch (error) {
      if (over.signal.aborted || signal.aborted) return;
      const { name, uid } = pod.metadata;
      await send(index * 2 + 1, Buffer.from(`error forwarding port ${port} to pod ${name}, uid ${uid}: ${errorMessage(error)}`));
    }
  };
  const forwards = ports.map((port, index) => forward(port, lanes[index] as PortLane, index));
  void Promise.all(forwards).then(() => socket.close(1000));
  await closed;
  signal.removeEventListener('abort', onAbort);
  over.abort(new Error('the client has closed the port-forward'));
  for (const lane of lanes) lane.destroy();
  await Promise.all(forwards);
}

function decode(message: Buffer, base64: boolean): { channel: number; data: Buffer } {
  const first = message[0] ?? 255;
  if (!base64) return { channel: first, data: message.subarray(1) };
  return { channel: first - '0'.charCodeAt(0), data: Buffer.from(message.subarray(1).toString('latin1'), 'base64') };
}

/** The data channel of one port. A slow port holds up the others: they share one connection that cannot tell them apart. */
class PortLane extends Duplex {
  readonly #socket: WebSocket;
  readonly #send: (data: Buffer) => Promise<void>;

  constructor(socket: WebSocket, send: (data: Buffer) => Promise<void>) {
    super();
    this.#socket = socket;
    this.#send = send;
    this.on('error', () => this.destroy());
  }

  receive(data: Buffer): void {
    if (!this.destroyed && !this.push(data)) this.#socket.pause();
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    void this.#send(chunk).then(() => callback());
  }
}
