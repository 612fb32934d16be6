/**
 * Whether a history of clients could have come from one register at one place: each operation takes effect at one moment between
 * its call and its answer. After Wing and Gong, with remembered configurations as in Lowe's version. Clients do one thing at a
 * time, so what has taken effect is a place in each client's list, and few orders are left to try.
 */

/** What a register holds; the empty text: nothing. */
export type Value = string;

export interface RegisterOperation {
  client: number;
  /** Moments of one clock; all differ. No answer came at Infinity: it takes effect at any time after its call, or never. */
  calledAt: number;
  answeredAt: number;
  /** The value after it took effect on `value`; undefined: it cannot have given its answer then. */
  effect: (value: Value) => Value | undefined;
  text: string;
  /** It never changes a value, whatever that is: a read, or what was refused. */
  idle?: boolean;
}

/** More configurations than this are not tried; such a history counts as not decided. */
const configurationsMax = 500_000;

/** Undefined: the history is linearizable; else why not. */
export function contradiction(operations: readonly RegisterOperation[]): string | undefined {
  const clients = new Map<number, RegisterOperation[]>();
  for (const operation of [...operations].sort((a, b) => a.calledAt - b.calledAt)) {
    clients.set(operation.client, [...(clients.get(operation.client) ?? []), operation]);
  }
  const lists = [...clients.values()];
  const tried = new Set<string>();
  const open: { places: number[]; value: Value }[] = [{ places: lists.map(() => 0), value: '' }];
  let furthest = { done: -1, waiting: '' };
  while (open.length > 0) {
    const { places, value } = open.pop()!;
    const waiting = lists.flatMap((list, client) => list[places[client]!] ?? []);
    const firstAnswer = Math.min(...waiting.map(({ answeredAt }) => answeredAt));
    if (firstAnswer === Number.POSITIVE_INFINITY) return undefined;
    const done = places.reduce((sum, place) => sum + place, 0);
    if (done > furthest.done) furthest = { done, waiting: `${waiting.map(({ text }) => text).join('; ')} after "${value}"` };
    const able = lists.flatMap((list, client) => {
      const next = list[places[client]!];
      const after = next && next.calledAt <= firstAnswer ? next.effect(value) : undefined;
      return after === undefined ? [] : [{ client, after, idle: next?.idle }];
    });
    // What never changes anything may as well come first: every order that has it later is also one with it here.
    const idle = able.find((one) => one.idle);
    for (const { client, after } of idle ? [idle] : able) {
      const then = places.with(client, places[client]! + 1);
      const key = `${then} ${after}`;
      if (tried.has(key)) continue;
      tried.add(key);
      open.push({ places: then, value: after });
    }
    if (tried.size > configurationsMax) return `not decided after ${configurationsMax} configurations`;
  }
  return `no order explains the answers; stuck at: ${furthest.waiting}`;
}
