/**
 * Until when this machine may consider itself in contact with the quorum of the cluster, as its peer thread says. The agent
 * keeps the time itself, on its own monotonic clock and from the moment of asking, so a daemon that stops answering, is paused
 * or dies lets the lease run out like a cut network does. Once it is over, the others may start what runs here elsewhere.
 */
import { request } from 'node:http';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { RepeatingTask } from '../lib/repeating-task.ts';
import type { Node } from '../machinery/types.ts';
import type { PodEvents } from './pods/services.ts';

const askIntervalMs = 500;
const answerTimeoutMs = 1_000;
const answerBytesMax = 4_096;

export interface LeaseWatchOptions {
  /** How long the lease lasts from now on; undefined: no answer. */
  ask: () => Promise<number | undefined>;
  events: PodEvents;
  node: () => Pick<Node, 'metadata'>;
  clock: Clock;
  logger: Logger;
  /** The lease is over: what must not run in two places has to stop here. */
  onLeaseLost?: () => void;
  onLeaseRegained?: () => void;
  /** The first lease since this agent runs. */
  onFirstLease?: () => void;
}

export class LeaseWatch {
  readonly #options: LeaseWatchOptions;
  readonly #task: RepeatingTask;
  #untilMs = Number.NEGATIVE_INFINITY;
  /** Undefined before the first grant: a machine that just starts has lost nothing. */
  #held: boolean | undefined;
  #lostMs = 0;
  #expiry: Timer | undefined;

  constructor(options: LeaseWatchOptions) {
    this.#options = options;
    const { clock, logger } = options;
    const onError = (error: unknown) => logger.warn({ error }, 'the lease could not be asked for; it runs on as it is');
    this.#task = new RepeatingTask({ clock, intervalMs: askIntervalMs, run: () => this.#look(), onError });
  }

  /** Whether the lease lasts. */
  get held(): boolean {
    return this.#options.clock.monotonicMs() < this.#untilMs;
  }

  start(): void {
    this.#task.start();
  }

  async stop(): Promise<void> {
    this.#expiry?.cancel();
    await this.#task.stop();
    this.#expiry?.cancel();
  }

  async #look(): Promise<void> {
    const { clock, ask } = this.#options;
    const askedMs = clock.monotonicMs();
    const remainingMs = await ask();
    if (remainingMs === undefined) return;
    this.#untilMs = Math.max(this.#untilMs, askedMs + remainingMs);
    this.#judge();
  }

  #judge(): void {
    const { clock } = this.#options;
    this.#expiry?.cancel();
    const remainingMs = this.#untilMs - clock.monotonicMs();
    if (remainingMs > 0) {
      this.#expiry = clock.setTimer(remainingMs, () => this.#judge());
      if (this.#held === false) this.#regained();
      else if (this.#held === undefined) this.#options.onFirstLease?.();
      this.#held = true;
    } else if (this.#held) {
      this.#held = false;
      this.#lost();
    }
  }

  #lost(): void {
    const { clock, logger, events, node, onLeaseLost } = this.#options;
    this.#lostMs = clock.monotonicMs();
    const message = 'This machine is out of contact with the quorum of the cluster: its lease is over';
    logger.warn({}, message);
    events.record(about(node()), 'Warning', 'NodeLeaseLost', message);
    onLeaseLost?.();
  }

  #regained(): void {
    const { clock, logger, events, node, onLeaseRegained } = this.#options;
    const seconds = Math.round((clock.monotonicMs() - this.#lostMs) / 1000);
    const message = `This machine was without a lease for ${seconds} s and is in contact with the quorum of the cluster again`;
    logger.info({ seconds }, message);
    events.record(about(node()), 'Normal', 'NodeLeaseRegained', message);
    onLeaseRegained?.();
  }
}

function about({ metadata }: Pick<Node, 'metadata'>): Node {
  return { apiVersion: 'v1', kind: 'Node', metadata } as Node;
}

/** Asks the peer thread over its socket. Undefined when there is no answer. */
export function askLease(socketPath: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const call = request({ socketPath, path: '/lease', timeout: answerTimeoutMs, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > answerBytesMax) call.destroy();
      });
      response.on('error', () => resolve(undefined));
      response.on('close', () => resolve(undefined));
      response.on('end', () => resolve(response.statusCode === 200 ? remainingIn(text) : undefined));
    });
    call.on('timeout', () => call.destroy());
    // No answer is an answer here: the lease runs out by itself.
    call.on('error', () => resolve(undefined));
    call.end();
  });
}

function remainingIn(text: string): number | undefined {
  try {
    const { remainingMs } = JSON.parse(text) as { remainingMs?: unknown };
    return typeof remainingMs === 'number' && Number.isFinite(remainingMs) ? remainingMs : undefined;
  } catch {
    return undefined;
  }
}
