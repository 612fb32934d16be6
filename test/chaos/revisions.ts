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
    for (const change of unseenDeletions(this.all, calls, sessions)) this.#add(change);
    this.#sorted = undefined;
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

/**
 * Deletions whose caller got no answer and whose event nobody was there to see: what came later shows that they took effect, and when at
 * the earliest and latest. Of the revisions in between each gets one (a half: which one it was is not known) at which no watch was
 * looking, where there is one.
 */
function unseenDeletions(known: readonly Change[], calls: readonly Call[], sessions: readonly WatchSession[]): Change[] {
  const states = [...listed(calls), ...sessions.flatMap(initialState)];
  const creations = new Set(
    calls.flatMap(({ kind, value, outcome }) => (kind === 'create' && value && outcome !== 'refused' ? [value] : [])),
  );
  const deletions = new Map<string, Change>();
  for (const { kind, outcome, key, expected } of calls) {
    if (kind !== 'delete' || outcome !== 'unknown' || !expected) continue;
    const next = known.find((change) => change.key === key && change.revision > expected.revision);
    if (next?.value === '') continue;
    const own = states.filter(({ revision }) => revision >= expected.revision && revision < (next?.revision ?? Infinity));
    const present = own.filter(({ found }) => found.get(key) === expected.revision).map(({ revision }) => revision);
    const absent = own.filter(({ found }) => !found.has(key)).map(({ revision }) => revision);
    if (next && creations.has(next.value)) absent.push(next.revision);
    if (absent.length === 0) continue;
    const [after, before] = [Math.max(expected.revision, ...present), Math.min(...absent)];
    if (after >= before) continue;
    const ends = sessions.map(({ notices }) => (notices.at(-1)?.revision ?? 0) + 0.5);
    const places = [before - 0.5, after + 0.5, ...ends].filter((place) => place > after && place < before);
    const revision = places.find((place) => !sessions.some((session) => looksAt(session, place))) ?? before - 0.5;
    deletions.set(`${key} ${expected.revision}`, { revision, key, value: '' });
  }
  return [...deletions.values()];
}

/** All keys of a revision with their own revisions. */
interface KnownState {
  revision: number;
  found: ReadonlyMap<string, number>;
}

function listed(calls: readonly Call[]): KnownState[] {
  return calls.flatMap(({ kind, outcome, revision, found }) =>
    kind === 'list' && outcome === 'done' && revision !== undefined
      ? [{ revision, found: new Map([...(found ?? [])].map(([key, one]) => [key, one.revision])) }]
      : [],
  );
}

function initialState({ after, notices }: WatchSession): KnownState[] {
  const end = notices.findIndex(({ type }) => type === 'INITIAL_END');
  if (after !== undefined || end < 0) return [];
  return [
    { revision: notices[end]!.revision, found: new Map(notices.slice(0, end).map(({ key, revision }) => [key, revision])) },
  ];
}

/** Whether a change at that revision would have been told by the watch. */
function looksAt({ after, notices }: WatchSession, revision: number): boolean {
  const from = after ?? notices.find(({ type }) => type === 'INITIAL_END')?.revision;
  const last = notices.at(-1)?.revision;
  return from !== undefined && last !== undefined && from < revision && revision < last;
}

function changeOf({ type, key, value, revision }: Notice): Change {
  return { revision, key, value: type === 'DELETED' ? '' : value };
}

export function textOf({ key, value }: Change): string {
  return value === '' ? `the end of ${key}` : `${key} = ${value}`;
}
