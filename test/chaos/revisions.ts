/** The order of changes of one group as its revisions tell it, put together from everything that anybody was told. */
import type { Call, Found, Notice, Value, WatchSession } from './history.ts';

export interface Change {
  revision: number;
  key: string;
  /** Empty: the key was deleted. */
  value: Value;
}

export class Revisions {
  readonly problems: string[] = [];
  readonly #byRevision = new Map<number, Change>();
  #sorted: Change[] | undefined;

  constructor(calls: readonly Call[], sessions: readonly WatchSession[]) {
    for (const { found } of calls) for (const [key, { value, revision }] of found ?? []) this.#add({ revision, key, value });
    for (const { notices } of sessions) for (const notice of notices) if (notice.key) this.#add(changeOf(notice));
  }

  /** All, oldest first. */
  get all(): readonly Change[] {
    this.#sorted ??= [...this.#byRevision.values()].sort((a, b) => a.revision - b.revision);
    return this.#sorted;
  }

  /** Those with from < revision <= to. */
  between(from: number, to: number): readonly Change[] {
    return this.all.slice(this.#place(from), this.#place(to));
  }

  /** What there was at a revision. */
  at(revision: number): Map<string, Found> {
    const state = new Map<string, Found>();
    for (const { key, value, revision: changed } of this.all.slice(0, this.#place(revision))) {
      if (value === '') state.delete(key);
      else state.set(key, { value, revision: changed });
    }
    return state;
  }

  /** How many changes have a revision of at most this. */
  #place(revision: number): number {
    let [low, high] = [0, this.all.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.all[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #add(change: Change): void {
    const known = this.#byRevision.get(change.revision);
    if (!known) this.#byRevision.set(change.revision, change);
    else if (known.key !== change.key || known.value !== change.value) {
      this.problems.push(`revision ${change.revision} is ${textOf(known)} to one and ${textOf(change)} to another`);
    }
  }
}

function changeOf({ type, key, value, revision }: Notice): Change {
  return { revision, key, value: type === 'DELETED' ? '' : value };
}

export function textOf({ key, value }: Change): string {
  return value === '' ? `the end of ${key}` : `${key} = ${value}`;
}
