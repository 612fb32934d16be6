/**
 * Exec and attach over SPDY: the client opens a stream for each channel, with the header `streamtype`. Needed by kubectl
 * before 1.30, and by later ones when a WebSocket is refused.
 */
import type { Duplex } from 'node:stream';
import { type Clock, delay } from '../../lib/clock.ts';
import { deferred } from '../../lib/deferred.ts';
import type { Status } from '../../machinery/status.ts';
import { channels } from '../../machinery/stream-frames.ts';
import { StreamError } from './errors.ts';
import type { ClientSession, SessionInput } from './session.ts';
import { SpdyConnection } from './spdy.ts';
import type { SpdyStream } from './spdy-stream.ts';
import type { SessionOptions } from './stream-options.ts';

/** Newest first. From v3 on terminals have sizes, from v4 on the end is told as a Status. */
export const spdySessionProtocols = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io'] as const;

const creationTimeoutMs = 30_000;
/** How long a client may take to close after it was told the end. */
const lingerMs = 5_000;

const channelNames = { stdin: channels.stdin, stdout: channels.stdout, stderr: channels.stderr, error: channels.error } as const;

export class SpdySession implements ClientSession {
  readonly #connection: SpdyConnection;
  readonly #closed: Promise<void>;
  readonly #clock: Clock;
  readonly #statusAtEnd: boolean;
  readonly #expected: ReadonlySet<string>;
  readonly #streams = new Map<string, SpdyStream>();
  readonly #complete = deferred<void>();

  /** The socket must have been answered with 101. */
  constructor(socket: Duplex, options: { protocol: string; session: SessionOptions; clock: Clock }) {
    const { protocol, session, clock } = options;
    this.#clock = clock;
    this.#statusAtEnd = protocol === 'v4.channel.k8s.io';
    this.#expected = expectedStreams(session, protocol);
    this.#connection = new SpdyConnection(socket, (stream) => this.#add(stream));
    this.#complete.promise.catch(() => {});
    this.#closed = this.#connection.run().then(
      () => this.#complete.reject(new StreamError('ClientGone', 'the client closed before it had opened its streams')),
      (error: unknown) => this.#complete.reject(error),
    );
  }

  /** Resolves when the client has opened all streams. Rejects with StreamError. */
  async opened(): Promise<void> {
    const stop = new AbortController();
    const timeout = delay(this.#clock, creationTimeoutMs, stop.signal).then(
      () =>
        this.#complete.reject(new StreamError('StreamsMissing', `the streams were not opened within ${creationTimeoutMs} ms`)),
      () => {},
    );
    try {
      await this.#complete.promise;
    } finally {
      stop.abort(new Error('opened'));
      await timeout;
    }
  }

  start(input: SessionInput): void {
    for (const [name, channel] of [
      ['stdin', channels.stdin],
      ['resize', channels.resize],
    ] as const) {
      const stream = this.#streams.get(name);
      if (stream) void readAll(stream, channel, input);
    }
    void this.#closed.then(() => input.gone());
  }

  async send(channel: number, payload: Buffer): Promise<void> {
    const name = Object.entries(channelNames).find(([, number]) => number === channel)?.[0] ?? '';
    const stream = this.#streams.get(name);
    if (!stream?.writable) return;
    // A stream that breaks ends the connection, which is told there.
    await new Promise<void>((resolve) => stream.write(payload, () => resolve()));
  }

  async finish(status: Status): Promise<void> {
    const text = this.#statusAtEnd ? JSON.stringify(status) : status.status === 'Failure' ? (status.message ?? '') : '';
    if (text) await this.send(channels.error, Buffer.from(text));
    for (const [name, stream] of this.#streams) {
      // Input that still comes is of no use, but it must be read.
      if (name === 'stdin' || name === 'resize') stream.resume();
      stream.end();
    }
    await closedWithin(this.#connection, this.#closed, this.#clock);
  }

  destroy(): void {
    this.#connection.destroy();
  }

  #add(stream: SpdyStream): void {
    const type = stream.headers.streamtype ?? '';
    if (!this.#expected.has(type) || this.#streams.has(type)) {
      stream.destroy();
      return;
    }
    this.#streams.set(type, stream);
    // What the client might send on these is nothing; its end must be seen all the same.
    if (type !== 'stdin' && type !== 'resize') stream.resume();
    if (this.#streams.size === this.#expected.size) this.#complete.resolve();
  }
}

/** The client closes; when it is slow about that, we do, and at last without asking. */
export async function closedWithin(connection: SpdyConnection, closed: Promise<void>, clock: Clock): Promise<void> {
  const stop = new AbortController();
  const wait = async () => {
    await delay(clock, lingerMs, stop.signal);
    connection.close();
    await delay(clock, lingerMs, stop.signal);
    connection.destroy();
  };
  // The wait is cut short when the connection is over: that is its only way to reject.
  const linger = wait().catch(() => {});
  await closed;
  stop.abort(new Error('closed'));
  await linger;
}

function expectedStreams(session: SessionOptions, protocol: string): Set<string> {
  const expected = new Set(['error']);
  for (const name of ['stdin', 'stdout', 'stderr'] as const) if (session[name]) expected.add(name);
  if (session.tty && (protocol.startsWith('v4.') || protocol.startsWith('v3.'))) expected.add('resize');
  return expected;
}

async function readAll(stream: SpdyStream, channel: number, input: SessionInput): Promise<void> {
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>)
      await input.data(channel, chunk);
    input.end(channel);
  } catch {
    // The stream was reset or its connection is over: there is no more input, and `gone` tells the rest.
  }
}
