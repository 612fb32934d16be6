/** Follows the members through a machine that holds the state: line after line, and from another machine when one is lost. */
import { type Clock, delay } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { ClusterDoor } from './cluster-door.ts';
import type { MemberNews } from './cluster-routes.ts';

const retryMs = 500;
/** A list of a thousand members is a quarter of this. */
const lineBytesMax = 1024 * 1024;

export interface MemberFeedOptions {
  door: Pick<ClusterDoor, 'stream'>;
  /** One after the other; a failure is reported, and the list comes again. */
  onNews: (news: MemberNews) => Promise<void>;
  clock: Clock;
  logger: Logger;
}

export class MemberFeed {
  readonly #options: MemberFeedOptions;
  #running: { abort: AbortController; ended: Promise<void> } | undefined;

  constructor(options: MemberFeedOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#running) return;
    const abort = new AbortController();
    this.#running = { abort, ended: this.#follow(abort.signal) };
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    running?.abort.abort(new Error('stopped'));
    await running?.ended;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { door, onNews, clock, logger } = this.#options;
    while (!signal.aborted) {
      try {
        const answer = await door.stream('GET', '/cluster/members', undefined, signal);
        for await (const line of lines(answer as AsyncIterable<Buffer>)) await onNews(JSON.parse(line) as MemberNews);
      } catch (error) {
        if (!signal.aborted) logger.debug({ error: errorMessage(error) }, 'the members are not told at present');
      }
      // The only rejection is the stop itself, which ends the loop.
      await delay(clock, retryMs, signal).catch(() => undefined);
    }
  }
}

async function* lines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      yield rest.subarray(0, end).toString();
      rest = rest.subarray(end + 1);
    }
    if (rest.length > lineBytesMax) throw new Error(`a line is longer than ${lineBytesMax} bytes`);
  }
}
