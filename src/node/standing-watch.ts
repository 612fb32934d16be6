/**
 * Finds out that this machine was removed. The others cut a removed peer off at once, so it may never see the end of its own
 * record: when members that it reaches refuse it, it asks them whether it is one. Only the word of a member counts, and a member
 * gives it only after a quorum has confirmed what it read.
 */
import type { Clock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { RepeatingTask } from '../lib/repeating-task.ts';
import type { AskPeer } from './join.ts';
import { decodeAnswer, encodeQuestion, type StandingAnswer } from './member-asks.ts';
import type { Member } from './peer-protocol.ts';

const intervalMs = 2_000;
/** Asked in one round; the next round asks others. */
const askedMax = 3;
const addressesMax = 4;

export interface StandingWatchOptions {
  clock: Clock;
  logger: Logger;
  /** The members that do not take this peer for one. */
  refusers: () => Promise<Member[]>;
  ask: AskPeer;
  /** Called once. */
  onRemoved: (toldBy: string) => void;
}

export class StandingWatch {
  readonly #options: StandingWatchOptions;
  readonly #task: RepeatingTask;
  #misses = 0;
  #removed = false;

  constructor(options: StandingWatchOptions) {
    const { clock, logger } = options;
    this.#options = options;
    const onError = (error: unknown) => logger.warn({ error }, 'asking for the own membership failed and will be repeated');
    this.#task = new RepeatingTask({ clock, intervalMs, run: () => this.round(), onError });
  }

  start(): void {
    this.#task.start();
  }

  stop(): Promise<void> {
    return this.#task.stop();
  }

  async round(): Promise<void> {
    const { refusers, onRemoved } = this.#options;
    const members = this.#removed ? [] : await refusers();
    if (members.length === 0) {
      this.#misses = 0;
      return;
    }
    // One round of grace: others may not know a newcomer yet.
    const first = this.#misses++ * askedMax;
    if (first === 0) return;
    const asked = Array.from({ length: Math.min(askedMax, members.length) }, (_, n) => members[(first + n) % members.length]);
    const answers = await Promise.all(asked.map((member) => this.#isMember(member as Member)));
    const denial = answers.indexOf(false);
    if (denial < 0 || this.#removed) return;
    this.#removed = true;
    onRemoved((asked[denial] as Member).nodeName);
  }

  /** Undefined: no answer. */
  async #isMember({ id, addresses, nodeName }: Member): Promise<boolean | undefined> {
    const { ask, logger } = this.#options;
    for (const address of addresses.slice(0, addressesMax)) {
      try {
        const { from, answer } = await ask(address, encodeQuestion({ type: 'standing' }));
        if (from === id) return decodeAnswer<StandingAnswer>('standing', answer)?.member;
      } catch (error) {
        logger.debug({ nodeName, address, error: errorMessage(error) }, 'a member did not say whether this machine is one');
      }
    }
    return undefined;
  }
}
