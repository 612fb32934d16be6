/**
 * The way to one member: dials it, opens the long-lived streams, watches over them, and begins again when they are lost,
 * for as long as the peer is a member. The peer with the smaller id dials first; the other waits a moment for that.
 */
import type { Connection } from '@libp2p/interface';
import type { Clock, Timer } from '../lib/clock.ts';
import { abortable } from '../lib/deferred.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import { abortConnection } from './connections.ts';
import { TransportError } from './errors.ts';
import { FrameWriter } from './frame-stream.ts';
import type { PeerId, Purpose } from './types.ts';

export const purposes: readonly Purpose[] = ['consensus', 'gossip'];
export const frameProtocol = (purpose: Purpose): string => `/kontiki/frames/${purpose}/1`;

const backoffMinMs = 100;
const backoffMaxMs = 3000;
/** How long the peer with the greater id leaves dialing to the other. */
const courtesyMs = 300;
const setupTimeoutMs = 5000;

export interface LinkOptions {
  peer: PeerId;
  dialsFirst: boolean;
  clock: Clock;
  random: Random;
  logger: Logger;
  /** An open connection of this member. */
  existing: () => Connection | undefined;
  dial: (signal: AbortSignal) => Promise<Connection>;
  /** Aborts every connection of this member. */
  abortAll: (reason: Error) => void;
  /** The link can send from now on, or can no more. */
  onChange: (connected: boolean) => void;
}

type Writers = ReadonlyMap<Purpose, FrameWriter>;

export class Link {
  readonly #options: LinkOptions;
  readonly #abort = new AbortController();
  #writers: Writers | undefined;
  #wake: (() => void) | undefined;
  #refused = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    void this.#run();
  }

  get connected(): boolean {
    return this.#writers !== undefined;
  }

  /** The other side was reached and did not take this peer for a member, and nothing better came since. */
  get refused(): boolean {
    return this.#refused;
  }

  send(purpose: Purpose, frame: Uint8Array): boolean {
    return this.#writers?.get(purpose)?.send(frame) ?? false;
  }

  /** A connection opened or an address changed: no reason to wait any longer. */
  wake(): void {
    this.#wake?.();
  }

  /** To be called each second. */
  tick(): void {
    for (const writer of this.#writers?.values() ?? []) writer.tick();
  }

  stop(reason: Error): void {
    this.#abort.abort(reason);
    this.#wake?.();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    let backoffMs = backoffMinMs;
    while (!signal.aborted) {
      const startMs = this.#options.clock.monotonicMs();
      const reason = await this.#session(signal);
      if (signal.aborted) return;
      this.#options.logger.debug({ peer: this.#options.peer, error: errorMessage(reason) }, 'no link to the peer');
      // A link that held for a while begins anew; one that falls at once waits longer each time.
      if (this.#options.clock.monotonicMs() - startMs > backoffMaxMs) backoffMs = backoffMinMs;
      await this.#pause(backoffMs * (0.5 + this.#options.random.float() / 2));
      backoffMs = Math.min(backoffMs * 2, backoffMaxMs);
    }
  }

  /** One connection from its beginning to its end; returns why it ended. */
  async #session(signal: AbortSignal): Promise<unknown> {
    let connection: Connection | undefined;
    const writers = new Map<Purpose, FrameWriter>();
    let reason: unknown;
    try {
      connection = await this.#connection(signal);
      await this.#open(connection, writers, signal);
      this.#writers = writers;
      this.#refused = false;
      this.#options.onChange(true);
      reason = await abortable(Promise.race([...writers.values()].map((writer) => writer.ended)), signal);
    } catch (error) {
      reason = error;
    }
    const error = reason instanceof Error ? reason : new TransportError('StreamReset', errorMessage(reason));
    if (error instanceof TransportError && error.code === 'NotMember') this.#refused = true;
    const wasConnected = this.#writers !== undefined;
    this.#writers = undefined;
    for (const writer of writers.values()) writer.close(error);
    if (connection) this.#release(connection, error);
    if (wasConnected) this.#options.onChange(false);
    return reason;
  }

  #release(connection: Connection, error: Error): void {
    const code = error instanceof TransportError ? error.code : undefined;
    // Its machine is gone or hangs: a second connection to it is as dead as this one.
    if (code === 'Silent') this.#options.abortAll(error);
    // The other side dialed and may be asking to join over this very connection: it will be a member soon.
    else if (code !== 'NotMember' || connection.direction === 'outbound') abortConnection(connection, error);
  }

  async #connection(signal: AbortSignal): Promise<Connection> {
    const { existing, dial, dialsFirst } = this.#options;
    const first = existing();
    if (first) return first;
    if (!dialsFirst) {
      await this.#pause(courtesyMs);
      signal.throwIfAborted();
      const inbound = existing();
      if (inbound) return inbound;
    }
    const dialed = await dial(AbortSignal.any([signal, AbortSignal.timeout(setupTimeoutMs)]));
    return existing() ?? dialed;
  }

  async #open(connection: Connection, writers: Map<Purpose, FrameWriter>, signal: AbortSignal): Promise<void> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(setupTimeoutMs)]);
    await Promise.all(
      purposes.map(async (purpose) => {
        const writer = new FrameWriter(await connection.newStream(frameProtocol(purpose), { signal: bounded }));
        writers.set(purpose, writer);
        await abortable(writer.accepted, bounded);
      }),
    );
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        this.#wake = undefined;
        resolve();
      };
      const timer: Timer = this.#options.clock.setTimer(delayMs, done);
      this.#wake = done;
      if (this.#abort.signal.aborted) done();
    });
  }
}
