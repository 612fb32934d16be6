/**
 * An exec or attach session: the client's channels on one side, the agent's frames on the other. Nothing is kept in between:
 * each side is read only as fast as the other takes it, and when either goes away the other is told.
 */
import type { Duplex } from 'node:stream';
import type { Logger } from '../../lib/logger.ts';
import { internalError, type Status } from '../../machinery/status.ts';
import { channels, encodeFrame, encodeFrames, FrameDecoder } from '../../machinery/stream-frames.ts';
import { parseStatus } from './agent-link.ts';
import type { SessionOptions } from './stream-options.ts';
import { TerminalSizes } from './terminal-sizes.ts';

export interface SessionInput {
  /** Bytes for stdin or resize. When it gives a promise, send no more before that resolves. Never rejects. */
  data(channel: number, payload: Buffer): Promise<void> | undefined;
  /** The client will send no more on this channel. */
  end(channel: number): void;
  /** The connection to the client is over. */
  gone(): void;
}

/** The client's side of a session, whatever protocol it speaks. */
export interface ClientSession {
  start(input: SessionInput): void;
  /** Resolves when there is room for more, or the client is gone. Never rejects. */
  send(channel: number, payload: Buffer): Promise<void>;
  /** Tells the client how it ended and closes. Resolves when the connection is over. Never rejects. */
  finish(status: Status): Promise<void>;
  /** Closes at once. */
  destroy(): void;
}

const success: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 200 };

/** Runs until both sides are closed. Never rejects. */
export async function runSession(
  client: ClientSession,
  agent: Duplex,
  { options, logger, signal }: { options: SessionOptions; logger: Logger; signal: AbortSignal },
): Promise<void> {
  let gone = false;
  const sizes = new TerminalSizes();
  const stop = () => {
    client.destroy();
    agent.destroy();
  };
  signal.addEventListener('abort', stop, { once: true });
  client.start({
    data(channel, payload) {
      if (channel === channels.stdin && options.stdin) return write(agent, encodeFrames(channel, payload));
      if (channel !== channels.resize || !options.tty) return undefined;
      return write(
        agent,
        sizes.push(payload).map((size) => encodeFrame(channel, Buffer.from(size))),
      );
    },
    end(channel) {
      if (channel === channels.stdin && options.stdin) write(agent, [encodeFrame(channels.close, Buffer.of(channel))]);
    },
    gone() {
      gone = true;
      agent.destroy();
    },
  });
  if (signal.aborted) stop();
  let status: Status | undefined;
  try {
    status = await forwardOutput(client, agent, options);
  } catch (error) {
    if (!gone && !signal.aborted) logger.warn({ error }, 'the stream from the node broke');
  }
  agent.destroy();
  if (!gone) await client.finish(status ?? internalError('the connection to the node was lost').status);
  signal.removeEventListener('abort', stop);
}

/** Gives the Status that ends the session; undefined when the agent closed without one. */
async function forwardOutput(client: ClientSession, agent: Duplex, options: SessionOptions): Promise<Status | undefined> {
  const decoder = new FrameDecoder();
  for await (const chunk of agent as AsyncIterable<Buffer>) {
    for (const { channel, payload } of decoder.push(chunk)) {
      if (channel === channels.error) return payload.length ? parseStatus(payload.toString('utf8')) : success;
      const wanted = (channel === channels.stdout && options.stdout) || (channel === channels.stderr && options.stderr);
      if (wanted && payload.length > 0) await client.send(channel, payload);
    }
  }
  return undefined;
}

/** A promise when the agent should not be given more for now. What comes after the end of the session is dropped. */
function write(agent: Duplex, frames: Buffer[]): Promise<void> | undefined {
  if (agent.destroyed || !agent.writable) return undefined;
  let room = true;
  for (const frame of frames) room = agent.write(frame);
  return room ? undefined : drained(agent);
}

const waits = new WeakMap<Duplex, Promise<void>>();

/** Resolves when `stream` takes more, or is closed. Many may wait for one stream. */
export function drained(stream: Duplex): Promise<void> {
  if (stream.destroyed || !stream.writableNeedDrain) return Promise.resolve();
  let wait = waits.get(stream);
  if (!wait) {
    wait = new Promise((resolve) => {
      const done = () => {
        stream.off('drain', done);
        stream.off('close', done);
        waits.delete(stream);
        resolve();
      };
      stream.on('drain', done);
      stream.on('close', done);
    });
    waits.set(stream, wait);
  }
  return wait;
}
