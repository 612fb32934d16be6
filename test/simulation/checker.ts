/** What must always hold, whatever fails. Everything the peers do is told to the checker; it throws at the first violation. */
import type { RaftCore } from '../../src/consensus/core.ts';
import type { Message } from '../../src/consensus/messages.ts';
import type { Entry, PeerId } from '../../src/consensus/types.ts';

export class Violation extends Error {}

function must(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new Violation(message());
}

const contentOf = (entry: Entry) => `${entry.kind}:${Buffer.from(entry.data).toString('latin1')}`;

export class Checker {
  readonly #leaders = new Map<number, PeerId>();
  readonly #votes = new Map<string, PeerId>();
  /** Each (index, term) that was ever in a log, with what was there and the term before. */
  readonly #entries = new Map<string, { content: string; previousTerm: number | undefined }>();
  /** By index: the term of the entry committed there, and the term in which it was seen to be committed first. */
  readonly #committed: { term: number; inTerm: number }[] = [{ term: 0, inTerm: 0 }];
  /** What applying each committed entry gave, and hashes of the state, as the first peer that got there had them. */
  readonly #results = new Map<number, string>();
  readonly #hashes = new Map<number, string>();
  /** What each revision changed, and which request made it. */
  readonly #effects = new Map<number, string>();
  readonly #requests = new Map<string, number>();
  readonly #retired = new Set<PeerId>();
  acknowledged = 0;

  get committedLength(): number {
    return this.#committed.length - 1;
  }

  /**
   * At most one leader in a term, and it has everything that was committed in earlier terms. What a later leader committed it
   * may lack: slow votes can make a leader of a term that is over already.
   */
  led(core: RaftCore): void {
    const known = this.#leaders.get(core.term);
    must(known === undefined || known === core.id, () => `${known} and ${core.id} both led term ${core.term}`);
    if (known) return;
    this.#leaders.set(core.term, core.id);
    for (let index = core.log.baseIndex; index < this.#committed.length; index++) {
      const { term, inTerm } = this.#committed[index]!;
      must(
        inTerm >= core.term || core.log.term(index) === term,
        () => `leader ${core.id} of term ${core.term} lacks committed entry ${index}/${term}`,
      );
    }
  }

  /** The disk of this peer is lost: nothing may be heard under its name any more. */
  retire(id: PeerId): void {
    this.#retired.add(id);
  }

  /** A peer votes at most once in a term, also across crashes. */
  sent(message: Message): void {
    must(!this.#retired.has(message.from), () => `${message.from} speaks though its disk is lost`);
    const vote =
      message.type === 'vote' ? message.from : message.type === 'voteResponse' && message.granted ? message.to : undefined;
    if (!vote) return;
    const key = `${message.from} ${message.term}`;
    const earlier = this.#votes.get(key);
    must(
      earlier === undefined || earlier === vote,
      () => `${message.from} voted for ${earlier} and for ${vote} in term ${message.term}`,
    );
    this.#votes.set(key, vote);
  }

  /** Where two logs have an entry of the same index and term, they are the same up to there. */
  stored(core: RaftCore, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const key = `${entry.index} ${entry.term}`;
      const content = contentOf(entry);
      const previousTerm = core.log.term(entry.index - 1);
      const known = this.#entries.get(key);
      if (!known) this.#entries.set(key, { content, previousTerm });
      else {
        const same = known.content === content && (previousTerm === undefined || known.previousTerm === previousTerm);
        must(same, () => `entry ${entry.index}/${entry.term} differs between peers`);
      }
    }
  }

  /** What a peer takes for committed stays committed and is the same everywhere. Returns up to where it was checked. */
  committed(core: RaftCore, checked: number): number {
    const { commit, baseIndex } = core.log;
    for (let index = Math.max(checked + 1, baseIndex); index <= commit; index++) {
      const term = core.log.term(index)!;
      const known = this.#committed[index]?.term;
      if (known === undefined) {
        must(index === this.#committed.length, () => `${core.id} committed ${index} out of order`);
        this.#committed.push({ term, inTerm: core.term });
      } else must(known === term, () => `${core.id} committed ${index}/${term}, but ${index}/${known} was committed`);
    }
    return commit;
  }

  applied(id: PeerId, previous: number, entry: Entry, result: string): void {
    must(entry.index === previous + 1, () => `${id} applied ${entry.index} after ${previous}`);
    const term = this.#committed[entry.index]?.term;
    must(term === entry.term, () => `${id} applied ${entry.index}/${entry.term}, committed is term ${term}`);
    const known = this.#results.get(entry.index);
    must(known === undefined || known === result, () => `${entry.index} gave ${result} on ${id}, but ${known} elsewhere`);
    this.#results.set(entry.index, result);
  }

  /** All state machines are the same after the same entry. */
  state(index: number, hash: string): void {
    const known = this.#hashes.get(index);
    must(known === undefined || known === hash, () => `the state after ${index} differs between peers`);
    this.#hashes.set(index, hash);
  }

  /** A revision is the same change on every peer. */
  event(revision: number, effect: string): void {
    const known = this.#effects.get(revision);
    must(known === undefined || known === effect, () => `revision ${revision} is "${effect}" here and "${known}" elsewhere`);
    this.#effects.set(revision, effect);
  }

  /** A request, however often it was sent, changes something once. */
  tookEffect(requestId: string, revision: number): void {
    const known = this.#requests.get(requestId);
    must(known === undefined || known === revision, () => `${requestId} took effect at ${known} and again at ${revision}`);
    this.#requests.set(requestId, revision);
  }

  /** A client was told that its proposal is committed. */
  acknowledge(index: number, term: number, content: string): void {
    must(this.#committed[index]?.term === term, () => `acknowledged ${index}/${term} is not committed`);
    must(this.#entries.get(`${index} ${term}`)?.content === content, () => `acknowledged ${index}/${term} is another proposal`);
    this.acknowledged = Math.max(this.acknowledged, index);
  }

  /** A read that began when `acknowledged` was known must see that. */
  read(index: number, acknowledged: number): void {
    must(index >= acknowledged, () => `a read at ${index} misses the write acknowledged at ${acknowledged}`);
  }
}
