/**
 * Who watches which prefix. An event is matched by looking up the key's beginnings of the lengths in use, so its cost
 * depends on how many different lengths are watched, not on how many watchers there are.
 */
import type { StoreEvent, Watch, WatchListener } from './types.ts';

export interface Watcher {
  readonly prefix: string;
  readonly listener: WatchListener;
  /** Everything up to here is delivered. */
  revision: number;
  cancelled: boolean;
}

export class WatchIndex {
  readonly #byPrefix = new Map<string, Set<Watcher>>();
  /** Lengths of the prefixes in use, each with the number of prefixes. */
  readonly #lengths = new Map<number, number>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(watcher: Watcher): Watch {
    let group = this.#byPrefix.get(watcher.prefix);
    if (!group) {
      group = new Set();
      this.#byPrefix.set(watcher.prefix, group);
      this.#lengths.set(watcher.prefix.length, (this.#lengths.get(watcher.prefix.length) ?? 0) + 1);
    }
    group.add(watcher);
    this.#size++;
    return { cancel: () => this.#remove(watcher) };
  }

  /** Gives each watcher those events of one transaction that it watches. Watchers of one prefix share the array. */
  deliver(events: readonly StoreEvent[], revision: number): void {
    if (this.#size === 0) return;
    const matches = new Map<Set<Watcher>, StoreEvent[]>();
    for (const event of events) {
      const { key } = event.record;
      for (const length of this.#lengths.keys()) {
        if (length > key.length) continue;
        const group = this.#byPrefix.get(length === key.length ? key : key.slice(0, length));
        if (!group) continue;
        const matched = matches.get(group);
        if (matched) matched.push(event);
        else matches.set(group, [event]);
      }
    }
    for (const [group, matched] of matches) {
      for (const watcher of group) {
        // A watch that was opened by a listener during this very delivery has had these events from the window.
        if (watcher.cancelled || watcher.revision >= revision) continue;
        watcher.revision = revision;
        callListener(() => watcher.listener.onEvents(matched));
      }
    }
  }

  endAll(reason: 'restored' | 'closed'): void {
    const watchers = [...this.#byPrefix.values()].flatMap((group) => [...group]);
    this.#byPrefix.clear();
    this.#lengths.clear();
    this.#size = 0;
    for (const watcher of watchers) {
      if (watcher.cancelled) continue;
      watcher.cancelled = true;
      callListener(() => watcher.listener.onEnd(reason));
    }
  }

  #remove(watcher: Watcher): void {
    if (watcher.cancelled) return;
    watcher.cancelled = true;
    const group = this.#byPrefix.get(watcher.prefix);
    if (!group?.delete(watcher)) return;
    this.#size--;
    if (group.size > 0) return;
    this.#byPrefix.delete(watcher.prefix);
    const length = watcher.prefix.length;
    const count = this.#lengths.get(length)! - 1;
    if (count === 0) this.#lengths.delete(length);
    else this.#lengths.set(length, count);
  }
}

/** A listener must not throw. If one does, the state machine goes on unharmed and the process crashes right after. */
export function callListener(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
