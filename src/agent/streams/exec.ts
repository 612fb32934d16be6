/**
 * `POST /exec/…`: a command in a running container. Without a terminal its standard streams are pipes of `runc exec`; with one,
 * `runc exec` runs on a pseudo-terminal of ours. When the client goes away the process inside is killed.
 */
import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { type IPty, spawn as spawnPty } from '@lydell/node-pty';
import { errorMessage } from '../../lib/errors.ts';
import { channels, type Frame } from '../../machinery/stream-frames.ts';
import type { ContainerRuntime } from '../runtime/container-runtime.ts';
import { type ExecCommand, prepareExec } from '../runtime/exec.ts';
import { exitStatus, type FrameSocket, failureStatus } from './frame-socket.ts';

export interface StreamFlags {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

export interface ExecRequest extends StreamFlags {
  target: { id: string; bundle: string };
  argv: string[];
}

/** After SIGTERM to the runtime's client, which passes it on. */
const politeMs = 1_000;

/** Resolves when the session is over and nothing of it runs any more. */
export async function serveExec(
  runtime: ContainerRuntime,
  request: ExecRequest,
  socket: FrameSocket,
  head: Buffer,
): Promise<void> {
  const exec = await prepareExec(runtime, request.target, request.argv, { tty: request.tty });
  try {
    await (request.tty ? onTerminal(exec, request, socket, head) : onPipes(exec, request, socket, head));
  } catch (error) {
    socket.finish(failureStatus(errorMessage(error)));
  } finally {
    await exec.cleanUp();
  }
}

async function onPipes(exec: ExecCommand, request: ExecRequest, socket: FrameSocket, head: Buffer): Promise<void> {
  const child = spawn(exec.command, exec.args, {
    stdio: [request.stdin ? 'pipe' : 'ignore', request.stdout ? 'pipe' : 'ignore', request.stderr ? 'pipe' : 'ignore'],
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? (signal ? 137 : 255)));
  });
  const stdin = child.stdin;
  stdin?.on('error', () => {}); // The program closed its input: what still comes for it is dropped.
  stdin?.on('drain', () => socket.resume());
  socket.listen(
    head,
    (frame) => takeInput(frame, stdin),
    () => hangUp(exec, () => child.kill('SIGTERM')),
  );
  const outputs = [pump(child.stdout, channels.stdout, socket), pump(child.stderr, channels.stderr, socket)];
  const exitCode = await ended;
  // A process the command left behind may hold the pipes open for ever.
  await Promise.race([Promise.all(outputs), new Promise((resolve) => setTimeout(resolve, politeMs).unref())]);
  socket.finish(exitStatus(exitCode));
}

function takeInput(frame: Frame, stdin: Writable | null): boolean {
  if (frame.channel === channels.stdin && stdin && !stdin.writableEnded) return stdin.write(Buffer.from(frame.payload));
  if (frame.channel === channels.close && frame.payload[0] === channels.stdin) stdin?.end();
  return true;
}

/** Copies one output, no faster than the client reads. */
export async function pump(source: Readable | null, channel: number, socket: FrameSocket): Promise<void> {
  if (!source) return;
  for await (const chunk of source as AsyncIterable<Buffer>) if (!socket.send(channel, chunk)) await socket.drained();
}

async function onTerminal(exec: ExecCommand, request: ExecRequest, socket: FrameSocket, head: Buffer): Promise<void> {
  const terminal = spawnPty(exec.command, exec.args, { cols: 80, rows: 24, encoding: null, name: 'xterm' });
  const ended = new Promise<number>((resolve) =>
    terminal.onExit(({ exitCode, signal }) => resolve(signal ? 128 + signal : exitCode)),
  );
  terminal.onData((data) => {
    if (!request.stdout) return;
    if (socket.send(channels.stdout, data as unknown as Buffer)) return;
    terminal.pause();
    void socket.drained().then(() => terminal.resume());
  });
  socket.listen(
    head,
    (frame) => {
      if (frame.channel === channels.stdin && request.stdin) terminal.write(Buffer.from(frame.payload) as unknown as string);
      else if (frame.channel === channels.resize) resize(terminal, frame.payload);
      return true;
    },
    () => hangUp(exec, () => terminal.kill('SIGHUP')),
  );
  socket.finish(exitStatus(await ended));
}

/** The client is gone: the runtime's client is told, then the process inside is killed if it still runs. */
function hangUp(exec: ExecCommand, tell: () => void): void {
  tell();
  setTimeout(() => void exec.cleanUp().catch(() => undefined), politeMs).unref();
}

/** The payload of a resize frame; undefined when it is none. */
export function parseSize(payload: Buffer): { columns: number; rows: number } | undefined {
  try {
    const { Width, Height } = JSON.parse(payload.toString('utf8')) as { Width?: number; Height?: number };
    const valid = (n: unknown): n is number => typeof n === 'number' && n > 0 && n < 65_536;
    return valid(Width) && valid(Height) ? { columns: Math.floor(Width), rows: Math.floor(Height) } : undefined;
  } catch {
    return undefined;
  }
}

function resize(terminal: IPty, payload: Buffer): void {
  const size = parseSize(payload);
  if (size) terminal.resize(size.columns, size.rows);
}
