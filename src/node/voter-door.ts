/**
 * The way from this machine to one that holds the state. It picks a voter that lives and is in contact with the quorum, stays with it,
 * and goes to another one when it is lost or cut off: what was open to it then ends. Streams that could not be opened are tried on the
 * others, so whoever gets one knows that nothing of its request has been sent before.
 */
import type { Duplex } from 'node:stream';
import { type Clock, delay } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import { NodeError } from './errors.ts';

/** A voter as the heartbeats show it. */
export interface HeardVoter {
  peer: string;
  verdict: 'alive' | 'suspect' | 'dead';
  /** 0: it is cut off from the quorum. */
  leaseMs: number;
}

/** What a machine that holds the state offers to the others: its API and its control socket. */
export type DoorService = 'door-api' | 'door-control';

/** An election takes a second; after this time the caller is told that nobody serves. */
export const openPatienceMs = 10_000;
const attemptMs = 2_000;
const retryMs = 100;
/** One that could not be reached is not asked again for so long, if there are others. */
const avoidedMs = 2_000;
export const doorStreamsMax = 1_000;

export interface VoterDoorOptions {
  /** Members that have a link to this one and may hold the state. */
  linked: () => string[];
  voters: () => HeardVoter[];
  openStream: (peer: string, service: DoorService, signal: AbortSignal) => Promise<Duplex>;
  clock: Clock;
  random: Random;
  logger: Logger;
}

/**
 * Who is to be asked. `present` is kept as long as it is as good as any. Pure.
 * Best are living voters in contact with the quorum; without one, any that can be reached: it can at least say what it knows.
 */
export function chooseVoter(
  linked: readonly string[],
  voters: readonly HeardVoter[],
  present: string | undefined,
  random: Random,
): string | undefined {
  const heard = new Map(voters.map((voter) => [voter.peer, voter]));
  const rank = (peer: string) => {
    const voter = heard.get(peer);
    if (!voter) return 2;
    return voter.verdict === 'alive' && voter.leaseMs > 0 ? 0 : 1;
  };
  const best = Math.min(...linked.map(rank));
  const choice = linked.filter((peer) => rank(peer) === best);
  if (present !== undefined && choice.includes(present)) return present;
  return choice[random.int(Math.max(1, choice.length))];
}

export class VoterDoor {
  readonly #options: VoterDoorOptions;
  readonly #streams = new Set<Duplex>();
  readonly #avoided = new Map<string, number>();
  #present: string | undefined;

  constructor(options: VoterDoorOptions) {
    this.#options = options;
  }

  /** The voter that is asked now. */
  get present(): string | undefined {
    return this.#present;
  }

  /** To be called when heartbeats or links have changed. */
  review(): void {
    const { logger } = this.#options;
    const before = this.#present;
    const next = this.#choose();
    if (next === before) return;
    this.#present = next;
    logger.info({ from: before, to: next }, 'another machine serves this one');
    for (const stream of [...this.#streams])
      stream.destroy(new NodeError('NoVoter', 'the machine that served this one was lost'));
  }

  /**
   * A stream whose other end is taken by that machine's daemon, or another one's than `except`. Rejects with NodeError 'NoVoter', or
   * the signal's reason.
   */
  async open(service: DoorService, signal: AbortSignal, except?: string): Promise<Duplex> {
    const { clock, logger } = this.#options;
    if (this.#streams.size >= doorStreamsMax)
      throw new NodeError('NoVoter', `more than ${doorStreamsMax} streams to others are open`);
    const untilMs = clock.monotonicMs() + openPatienceMs;
    let failure: unknown;
    do {
      this.review();
      const peer = this.#present === except ? this.#options.linked().find((other) => other !== except) : this.#present;
      if (peer !== undefined) {
        try {
          return this.#track(await this.#attempt(peer, service, signal));
        } catch (error) {
          signal.throwIfAborted();
          failure = error;
          logger.debug({ peer, error: errorMessage(error) }, 'a machine that holds the state was not reached');
          this.#avoided.set(peer, clock.monotonicMs() + avoidedMs);
          if (this.#choose() !== peer) continue;
        }
      }
      await delay(clock, retryMs, signal);
    } while (clock.monotonicMs() < untilMs);
    const why = failure === undefined ? 'none is connected' : errorMessage(failure);
    throw new NodeError('NoVoter', `no machine that holds the state can be reached: ${why}`, {}, failure);
  }

  #choose(): string | undefined {
    const { linked, voters, clock, random } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const [peer, untilMs] of this.#avoided) if (untilMs <= nowMs) this.#avoided.delete(peer);
    const all = linked();
    const willing = all.filter((peer) => !this.#avoided.has(peer));
    return chooseVoter(willing.length > 0 ? willing : all, voters(), this.#present, random);
  }

  /** The other side's daemon sends one byte when it has taken the stream. */
  async #attempt(peer: string, service: DoorService, signal: AbortSignal): Promise<Duplex> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(attemptMs)]);
    const stream = await this.#options.openStream(peer, service, bounded);
    try {
      await takenByte(stream, bounded);
      return stream;
    } catch (error) {
      stream.destroy();
      throw error;
    }
  }

  #track(stream: Duplex): Duplex {
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    return stream;
  }
}

/** Reads exactly the one byte that comes before everything else. */
export function takenByte(stream: Duplex, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown) => {
      stream.off('readable', onReadable);
      stream.off('end', onEnd);
      stream.off('close', onEnd);
      stream.off('error', settle);
      signal.removeEventListener('abort', onAbort);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onReadable = () => {
      if (stream.read(1) !== null) settle();
    };
    const onEnd = () => settle(new NodeError('NoVoter', 'the other side did not take the stream'));
    const onAbort = () => settle(signal.reason);
    stream.on('readable', onReadable);
    stream.once('end', onEnd);
    stream.once('close', onEnd);
    stream.once('error', settle);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
