/**
 * Puts together what keeps this peer's state honest: the store's own hash at the start, the comparison with the others, and the
 * repair. While the state is not trusted, this peer serves nothing and hands leadership to another voter.
 */
import type { ConsensusStatus, Entry } from '../consensus/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Store } from '../store/index.ts';
import { NodeError } from './errors.ts';
import type { StateJudgement } from './state-exchange.ts';
import { type OfferedSnapshot, StateRepair } from './state-repair.ts';
import { fetchState } from './state-stream.ts';

export interface StateGuardOptions {
  store: Store;
  streamsSocket: string;
  apply: (entries: Entry[]) => Promise<void>;
  status: () => Promise<ConsensusStatus>;
  /** Gives leadership to another voter, if this peer has it and another can take it. */
  handOver: () => Promise<void>;
  onChange: (reason: string | undefined) => void;
  clock: Clock;
  logger: Logger;
}

export class StateGuard {
  readonly repair: StateRepair;
  readonly #options: StateGuardOptions;
  #attempts = 0;

  constructor(options: StateGuardOptions) {
    this.#options = options;
    const { store, apply, onChange, clock, logger } = options;
    this.repair = new StateRepair({ store, apply, fetch: (signal) => this.#fetch(signal), onChange, clock, logger });
  }

  /** Why this peer does not serve; undefined while its state is trusted. */
  get reason(): string | undefined {
    return this.repair.reason;
  }

  /**
   * After the start of consensus: resolves when the state that was loaded is trusted, which it nearly always is at once.
   * Throws NodeError 'StateDamaged' when nobody else has the state.
   */
  async checkLoaded(): Promise<void> {
    const { store, status } = this.#options;
    if (store.damage === undefined) return;
    const { membership, id } = await status();
    if (![...membership.voters, ...membership.learners].some((peer) => peer !== id)) {
      throw new NodeError(
        'StateDamaged',
        `${store.damage}, and no other member has the state: the disk is not to be trusted, restore this machine from a backup`,
      );
    }
    this.repair.distrust(store.damage);
    await this.repair.settled();
  }

  judged(judgement: StateJudgement): void {
    const { logger } = this.#options;
    if (judgement.kind === 'split') {
      logger.error({ ...judgement }, 'peers have different states and none of them a majority: compare them before writing on');
    } else if (judgement.kind === 'odd') {
      const { index, own, majority, agreeing } = judgement;
      logger.error({ index, own, majority, agreeing }, 'the state of this peer differs from that of the majority');
      this.repair.distrust(`the state of this peer differs from that of the majority at log index ${index}`);
    }
  }

  /** From the leader or, in turn, from the others: one that distrusts its own state refuses. */
  async #fetch(signal: AbortSignal): Promise<OfferedSnapshot> {
    const { status, streamsSocket, handOver } = this.#options;
    await handOver();
    const { id, leader, membership } = await status();
    const others = [...membership.voters, ...membership.learners].filter((peer) => peer !== id);
    const ordered = [...others.filter((peer) => peer === leader), ...others.filter((peer) => peer !== leader)];
    const peer = ordered[this.#attempts++ % ordered.length];
    if (peer === undefined) throw new NodeError('StateDamaged', 'no other member has the state');
    return fetchState(streamsSocket, peer, signal);
  }
}
