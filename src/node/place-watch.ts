/**
 * For a machine that holds the log: finds out that the leader has dismissed it. Once it is out of the log's membership it is told
 * nothing more by consensus, so while it has no leader, or no vote, it follows the members through another machine.
 */
import type { ConsensusStatus } from '../consensus/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { RepeatingTask } from '../lib/repeating-task.ts';
import type { ClusterDoor } from './cluster-door.ts';
import { MemberFeed } from './member-feed.ts';

const lookIntervalMs = 500;

export interface PlaceWatchOptions {
  id: string;
  status: () => Promise<ConsensusStatus>;
  door: Pick<ClusterDoor, 'stream'>;
  /** Called once. Up to `index` everything is committed, and this machine is no member there. */
  onDismissed: (index: number) => void;
  clock: Clock;
  logger: Logger;
}

export class PlaceWatch {
  readonly #task: RepeatingTask;
  readonly #feed: MemberFeed;

  constructor({ id, status, door, onDismissed, clock, logger }: PlaceWatchOptions) {
    let told = false;
    this.#feed = new MemberFeed({
      door,
      onNews: async ({ index, members }) => {
        if (told || members.find((member) => member.id === id)?.log !== 'dismissed') return;
        told = true;
        onDismissed(index);
      },
      clock,
      logger,
    });
    this.#task = new RepeatingTask({
      clock,
      intervalMs: lookIntervalMs,
      run: async () => {
        const { role, leader } = await status();
        if (role === 'leader' || (role === 'follower' && leader !== undefined)) await this.#feed.stop();
        else this.#feed.start();
      },
      onError: (error) => logger.warn({ error }, 'looking for the own place failed and will be repeated'),
    });
  }

  start(): void {
    this.#task.start();
  }

  async stop(): Promise<void> {
    await this.#task.stop();
    await this.#feed.stop();
  }
}
