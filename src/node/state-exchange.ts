/** Whether this peer's state is the one of the others, from the hashes that ride in heartbeats. Pure. */
import type { StateHash } from '../store/types.ts';

export type StateJudgement =
  /** The same as the others, or nothing to compare. */
  | { kind: 'equal' }
  /** More than half of all members had another state at `index`; `agreeing` are those of them that were heard. */
  | { kind: 'odd'; index: number; own: string; majority: string; agreeing: string[] }
  /** Some peer had another state, and no state has a majority: nobody can tell who is right. */
  | { kind: 'split'; index: number; own: string; others: Record<string, string> };

/** `members`: how many there are, this one among them. The latest index that decides counts. */
export function judgeState(
  own: readonly StateHash[],
  others: ReadonlyMap<string, readonly StateHash[]>,
  members: number,
): StateJudgement {
  let split: StateJudgement | undefined;
  for (const { index, hash } of own.toReversed()) {
    const heard = new Map<string, string>();
    for (const [peer, hashes] of others) {
      const same = hashes.find((other) => other.index === index);
      if (same) heard.set(peer, same.hash);
    }
    const count = (wanted: string) => [...heard.values()].filter((other) => other === wanted).length;
    if (count(hash) === heard.size) {
      // All that were heard agree here; earlier indexes cannot tell otherwise of the state as it is.
      if (heard.size > 0) return { kind: 'equal' };
      continue;
    }
    if ((count(hash) + 1) * 2 > members) return { kind: 'equal' };
    const majority = [...heard.values()].find((other) => other !== hash && count(other) * 2 > members);
    if (majority !== undefined) {
      const agreeing = [...heard.keys()].filter((peer) => heard.get(peer) === majority);
      return { kind: 'odd', index, own: hash, majority, agreeing };
    }
    split ??= { kind: 'split', index, own: hash, others: Object.fromEntries(heard) };
  }
  return split ?? { kind: 'equal' };
}
