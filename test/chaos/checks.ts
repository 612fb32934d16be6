/** What must be true of a run's history, whatever was broken meanwhile. Each check gives the contradictions it found. Pure. */
import { contradiction, type RegisterOperation } from '../simulation/linearizability.ts';
import type { Call, WatchSession } from './history.ts';
import { Revisions, textOf } from './revisions.ts';

const problemsMax = 30;

export interface History {
  calls: readonly Call[];
  sessions: readonly WatchSession[];
}

/** Empty: nothing contradicts anything. At most `problemsMax`. */
export function checkHistory({ calls, sessions }: History): string[] {
  const problems: string[] = realTimeOrder(calls);
  const groups = new Set(calls.map(({ group }) => group));
  for (const group of groups) {
    const own = calls.filter((call) => call.group === group);
    const watches = sessions.filter((session) => session.group === group);
    const revisions = new Revisions(own, watches);
    const found = [
      ...revisions.problems,
      ...changesWereAsked(own, revisions),
      ...watches.flatMap((session) => watchIsComplete(session, revisions)),
      ...listsAreOfOneRevision(own, revisions),
      ...registersAreLinearizable(own),
    ];
    problems.push(...found.map((text) => `group ${group}: ${text}`));
  }
  return problems.slice(0, problemsMax);
}

const whoOf = ({ kind, key, client, peer, calledMs, answeredMs, answer }: Call) =>
  `${kind} ${key} of client ${client} through peer-${peer} (${calledMs} to ${answeredMs} ms: ${answer})`;

/** Revisions grow along real time, over all keys: what was answered before another call began is not newer than that. */
export function realTimeOrder(calls: readonly Call[]): string[] {
  const problems: string[] = [];
  const told = calls.flatMap((call) => {
    const writes = call.outcome === 'done' && (call.kind === 'create' || call.kind === 'update');
    const revision = writes ? call.found?.get(call.key)?.revision : call.revision;
    return revision === undefined ? [] : [{ call, writes, revision }];
  });
  const byAnswer = [...told].sort((a, b) => a.call.answeredAt - b.call.answeredAt);
  let answered = 0;
  let newest: (typeof told)[number] | undefined;
  for (const one of [...told].sort((a, b) => a.call.calledAt - b.call.calledAt)) {
    for (let next = byAnswer[answered]; next && next.call.answeredAt < one.call.calledAt; next = byAnswer[++answered]) {
      if (!newest || next.revision > newest.revision) newest = next;
    }
    if (!newest || one.revision > newest.revision || (!one.writes && one.revision === newest.revision)) continue;
    problems.push(
      `${whoOf(one.call)} is of revision ${one.revision}, but ${newest.revision} was answered before: ${whoOf(newest.call)}`,
    );
  }
  return problems;
}

/** Every change was asked for, took effect once, on what it demanded; and no acknowledged one is missing between two others. */
export function changesWereAsked(calls: readonly Call[], revisions: Revisions): string[] {
  const problems: string[] = [];
  const writes = new Map(calls.flatMap((call) => (call.value === undefined ? [] : [[call.value, call]])));
  const state = new Map<string, { value: string; revision: number }>();
  const seen = new Set<string>();
  for (const change of revisions.all) {
    const { key, value, revision } = change;
    const before = state.get(key);
    const text = `revision ${revision}, ${textOf(change)},`;
    if (value === '') {
      const asked = calls.some(
        (call) =>
          call.kind === 'delete' &&
          call.outcome !== 'refused' &&
          call.key === key &&
          call.expected?.revision === before?.revision,
      );
      if (!before || !asked) problems.push(`${text} is a deletion that nobody asked for after revision ${before?.revision}`);
      state.delete(key);
      continue;
    }
    const write = writes.get(value);
    if (!write || write.key !== key) problems.push(`${text} was written by nobody`);
    else if (write.outcome === 'refused') problems.push(`${text} was refused to its writer: ${whoOf(write)}`);
    else if (write.expected?.revision !== before?.revision) {
      problems.push(`${text} came after revision ${before?.revision}, demanded was ${write.expected?.revision}`);
    }
    if (seen.has(value)) problems.push(`${text} took effect twice`);
    seen.add(value);
    state.set(key, { value, revision });
  }
  return problems;
}

/** From where a watch began to the last thing that it told: every change once, in order, as what it was; bookmarks not ahead. */
export function watchIsComplete(session: WatchSession, revisions: Revisions): string[] {
  const problems: string[] = [];
  const say = (text: string) =>
    problems.push(
      `the watch of ${session.watcher} through peer-${session.peer} (${session.openedMs} to ${session.endedMs} ms) ${text}`,
    );
  const { initial, rest, from } = split(session);
  if (from === undefined) return problems;
  const state = revisions.at(from);
  if (session.after === undefined) {
    const same = initial.length === state.size && initial.every(({ key, revision }) => state.get(key)?.revision === revision);
    if (!same) say(`began with ${initial.map(({ key, revision }) => `${key}@${revision}`)} as the state of revision ${from}`);
  }
  let position = from;
  for (const notice of rest) {
    const { type, key, value, revision } = notice;
    const bookmark = type === 'BOOKMARK';
    if (revision < position || (!bookmark && revision === position)) say(`went from revision ${position} back to ${revision}`);
    const left = revisions.between(position, bookmark ? revision : revision - 0.5);
    if (left.length > 0) say(`left out ${left.map((one) => `${one.revision} (${textOf(one)})`)} before ${type} ${revision}`);
    position = Math.max(position, revision);
    if (bookmark) continue;
    const before = state.get(key);
    const right = type === 'DELETED' ? before?.value === value : type === (before ? 'MODIFIED' : 'ADDED');
    if (!right) say(`said ${type} ${key} = ${value} at revision ${revision}, where it was ${before?.value ?? 'absent'} before`);
    if (type === 'DELETED') state.delete(key);
    else state.set(key, { value, revision });
  }
  return problems;
}

/** What came before the end of the initial events, and what after; `from` is undefined when that end did not come. */
function split({ after, notices }: WatchSession) {
  if (after !== undefined) return { initial: [], rest: notices, from: after };
  const end = notices.findIndex(({ type }) => type === 'INITIAL_END');
  return { initial: notices.slice(0, end), rest: notices.slice(end + 1), from: notices[end]?.revision };
}

/** A list is the whole state of the revision that it names. */
export function listsAreOfOneRevision(calls: readonly Call[], revisions: Revisions): string[] {
  return calls.flatMap((call) => {
    if (call.kind !== 'list' || call.outcome !== 'done') return [];
    const state = revisions.at(call.revision!);
    const same =
      state.size === call.found!.size && [...state].every(([key, one]) => call.found!.get(key)?.revision === one.revision);
    const text = (of: typeof state) => [...of].map(([key, { revision }]) => `${key}@${revision}`);
    return same ? [] : [`${whoOf(call)} shows ${text(call.found!)} as revision ${call.revision}, which has ${text(state)}`];
  });
}

/** Each key by itself, without any regard for revisions. */
export function registersAreLinearizable(calls: readonly Call[]): string[] {
  const keys = new Set(calls.map(({ key }) => key).filter(Boolean));
  return [...keys].flatMap((key) => {
    const operations = calls.flatMap((call) => operationOf(call, key) ?? []);
    const why = contradiction(operations);
    return why === undefined ? [] : [`${key} (${operations.length} operations) is not linearizable: ${why}`];
  });
}

/** Undefined for what says nothing about the key. */
function operationOf(call: Call, key: string): RegisterOperation | undefined {
  const { kind, client, calledAt, answeredAt, expected, value, outcome } = call;
  if (call.key !== key && kind !== 'list') return undefined;
  const idle = kind === 'get' || kind === 'list' || outcome === 'refused';
  const operation = (effect: RegisterOperation['effect']) => ({ client, calledAt, answeredAt, effect, text: whoOf(call), idle });
  if (kind === 'get' || kind === 'list') {
    const seen = call.found?.get(key)?.value ?? '';
    return outcome === 'done' ? operation((now) => (now === seen ? now : undefined)) : undefined;
  }
  const holds = (now: string) => now === (expected?.value ?? '');
  const left = value ?? '';
  if (outcome === 'refused') return operation((now) => (holds(now) ? undefined : now));
  return operation((now) => (holds(now) ? left : undefined));
}
