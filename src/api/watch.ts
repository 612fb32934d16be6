/**
 * Watches: events of the store become events of a selection. An object that starts to match is ADDED, one that stops is
 * DELETED. Order is the store's; nothing is left out or told twice. The sink is called synchronously and must not block.
 */
import type { Timer } from '../lib/clock.ts';
import { errorCode, errorMessage } from '../lib/errors.ts';
import type { KindDefinition } from '../machinery/kind.ts';
import { expired, internalError, invalid, StatusError } from '../machinery/status.ts';
import type { StoreEvent, StoreRecord, Watch } from '../store/types.ts';
import { parseResourceVersion, reach, recordsBetweenLooks, tooLarge } from './read.ts';
import type { RegistryContext, Target } from './registry-types.ts';
import { type Selection, selectionOf } from './selection.ts';
import { needsPreparation, prepareRecords, servedRecord } from './served-records.ts';
import { keyOf, objectOf, prefixOf } from './stored-objects.ts';

const bookmarkIntervalMs = 60_000;
/** Records of one watch that wait for their turn. */
const waitingRecordsMax = 50_000;
/** A watch whose time will be up says so long before where it is, so that its client can go on from there. */
const bookmarkBeforeEndMs = 2_000;

export interface WatchRequest {
  labelSelector?: string;
  fieldSelector?: string;
  /** Missing or '0': first everything there is, as ADDED. */
  resourceVersion?: string;
  resourceVersionMatch?: string;
  sendInitialEvents?: boolean;
  allowWatchBookmarks?: boolean;
  /** Left out: until cancelled. */
  timeoutMs?: number;
}

export interface ObjectNotice {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  record: StoreRecord;
  /** The resourceVersion that the event carries. */
  revision: number;
  /** The store's event behind it, the same object for every watcher; undefined for initial events. */
  event: StoreEvent | undefined;
}

export interface BookmarkNotice {
  type: 'BOOKMARK';
  revision: number;
  /** The end of the initial events. */
  initialEnd: boolean;
}

export interface WatchSink {
  onNotice(notice: ObjectNotice | BookmarkNotice): void;
  /** Without an error: the time is up. Nothing comes afterwards. */
  onEnd(error: StatusError | undefined): void;
}

export interface PreparedWatch {
  /** Starts; may call the sink before it returns. Gives the function that stops. */
  start(sink: WatchSink): () => void;
}

/** Checks the request and waits until this peer can serve it. StatusError for bad selectors and versions. */
export async function prepareWatch(context: RegistryContext, target: Target, request: WatchRequest): Promise<PreparedWatch> {
  const selection = selectionOf(target, request);
  const version = request.resourceVersion ?? '';
  if (request.sendInitialEvents && request.resourceVersionMatch !== 'NotOlderThan') {
    throw invalid('meta.k8s.io', 'ListOptions', '', [
      {
        type: 'Forbidden',
        field: 'resourceVersionMatch',
        detail: 'sendInitialEvents requires resourceVersionMatch=NotOlderThan',
      },
    ]);
  }
  const after = version === '' || version === '0' ? undefined : parseResourceVersion(version);
  await reach(context, target, version);
  // A thousand watches that wait for the same barrier must not all start in the same round of the event loop.
  await context.turns.next();
  target.signal?.throwIfAborted();
  const initial = request.sendInitialEvents ?? after === undefined;
  return {
    start(sink) {
      const session = new WatchSession(context, target, selection, sink);
      session.start(request, { initial, after });
      return () => session.stop();
    },
  };
}

class WatchSession {
  readonly #context: RegistryContext;
  /** Of the keys that may matter. */
  readonly #prefix: string;
  /** Set when only one object can match: then it is the prefix, and events of longer keys are passed over. */
  readonly #onlyKey: string | undefined;
  readonly #selection: Selection;
  readonly #sink: WatchSink;
  readonly #timers: Timer[] = [];
  readonly #kind: KindDefinition;
  /** Aborted when the watch ends: work for it is of no use any more. */
  readonly #over = new AbortController();
  /** Steps that have to wait, in order: for a webhook that converts, or until all that is there was sent. Undefined: none. */
  #chain: Promise<void> | undefined;
  #waiting = 0;
  readonly #watches: Watch[] = [];
  #endMs = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(context: RegistryContext, target: Target, selection: Selection, sink: WatchSink) {
    const { kind } = target.resolved;
    this.#kind = kind;
    this.#context = context;
    this.#onlyKey = selection.name === undefined ? undefined : keyOf(kind, selection.namespace, selection.name);
    this.#prefix = this.#onlyKey ?? prefixOf(kind, selection.namespace);
    this.#selection = selection;
    this.#sink = sink;
  }

  start(request: WatchRequest, from: { initial: boolean; after: number | undefined }): void {
    const { store } = this.#context;
    try {
      let after = from.after ?? store.revision;
      if (from.initial) {
        const end = request.sendInitialEvents && request.allowWatchBookmarks;
        after = this.#sendPresent((revision) => end && this.#bookmark(revision, true));
      }
      if (this.#stopped) return;
      const watch = store.watch(this.#prefix, after, {
        onEvents: (events) => this.#onEvents(events),
        onEnd: (reason) => this.#end(expired(`the watch has ended (${reason}): list again`)),
      });
      if (this.#stopped) watch.cancel();
      else {
        this.#watches.push(watch);
        this.#followDefinition();
      }
    } catch (error) {
      this.#end(this.#startError(error, from.after ?? 0));
    }
    if (this.#stopped) return;
    if (request.timeoutMs !== undefined) {
      this.#endMs = this.#context.clock.monotonicMs() + request.timeoutMs;
      this.#timer(request.timeoutMs, () => this.#end(undefined));
    }
    if (request.allowWatchBookmarks) this.#scheduleBookmark();
  }

  stop(): void {
    this.#stopped = true;
    this.#over.abort(new Error('the watch is over'));
    for (const watch of this.#watches) watch.cancel();
    for (const timer of this.#timers) timer.cancel();
  }

  /** When the definition of the kind changes, or goes, the watch ends: its client asks again, and is served by the new one. */
  #followDefinition(): void {
    const { store, table } = this.#context;
    const { definitionKey, group, plural, versions } = this.#kind;
    if (definitionKey === undefined) return;
    const check = () => {
      if (table.findStored(group, versions[0].name, plural)?.kind !== this.#kind) this.#end(undefined);
    };
    // After everybody has heard of it, the table among them.
    const onEvents = () => queueMicrotask(check);
    this.#watches.push(store.watch(definitionKey, store.revision, { onEvents, onEnd: () => undefined }));
  }

  #startError(error: unknown, wanted: number): StatusError {
    const { store } = this.#context;
    if (errorCode(error) === 'Compacted') {
      return expired(`too old resource version: ${wanted} (${store.compactedRevision})`);
    }
    if (errorCode(error) === 'FutureRevision') return tooLarge(wanted, store.revision);
    throw error;
  }

  /** Everything that matches now, as ADDED; gives the revision this shows. `then` comes after the last of them. */
  #sendPresent(then: (revision: number) => void): number {
    const { store } = this.#context;
    const { records, revision } = store.list(this.#prefix, this.#onlyKey === undefined ? {} : { limit: 1 });
    const done = () => {
      if (!this.#stopped) then(revision);
    };
    this.#whenReady(records, () => {
      const sent = this.#sendSome(records, 0);
      if (sent < records.length) return this.#sendRest(records, sent, done);
      done();
    });
    return revision;
  }

  /** What this turn has time for, beginning at `from`; gives where to go on. */
  #sendSome(records: readonly StoreRecord[], from: number): number {
    for (let index = from; index < records.length; index++) {
      if (this.#stopped) return records.length;
      if (index > from && index % recordsBetweenLooks === 0 && this.#context.turns.over()) return index;
      const record = servedRecord(this.#kind, records[index]!);
      if (this.#matches(record)) this.#send({ type: 'ADDED', record, revision: record.modRevision, event: undefined });
    }
    return records.length;
  }

  async #sendRest(records: readonly StoreRecord[], from: number, done: () => void): Promise<void> {
    for (let sent = from; sent < records.length; ) {
      await this.#context.turns.next();
      sent = this.#sendSome(records, sent);
    }
    done();
  }

  #onEvents(events: readonly StoreEvent[]): void {
    if (!this.#chain && !needsPreparation(this.#kind)) {
      this.#tell(events);
      return;
    }
    const records = events.flatMap(({ record, previous }) => (previous ? [record, previous] : [record]));
    this.#whenReady(records, () => this.#tell(events));
  }

  /** At once; or, one step after the other, when a webhook has converted the records and the steps before are done. */
  #whenReady(records: readonly StoreRecord[], step: () => void | Promise<void>): void {
    if (!this.#chain && !needsPreparation(this.#kind)) {
      const going = step();
      if (going) this.#follow(going);
      return;
    }
    this.#waiting += records.length;
    if (this.#waiting > waitingRecordsMax) {
      this.#end(expired('the changes come faster than they can be told: list again'));
      return;
    }
    const run = async () => {
      if (this.#stopped) return;
      await prepareRecords(this.#kind, records, this.#over.signal);
      this.#waiting -= records.length;
      if (!this.#stopped) await step();
    };
    this.#follow((this.#chain ?? Promise.resolve()).then(run));
  }

  /** Later steps come after this one; when none has come until it is done, the next one waits no more. */
  #follow(going: Promise<void>): void {
    const link = going
      .catch((error: unknown) => this.#end(error instanceof StatusError ? error : internalError(errorMessage(error))))
      .then(() => {
        if (this.#chain === link) this.#chain = undefined;
      });
    this.#chain = link;
  }

  #tell(events: readonly StoreEvent[]): void {
    for (const event of events) {
      if (this.#stopped) return;
      const { revision } = event;
      if (this.#onlyKey !== undefined && event.record.key !== this.#onlyKey) continue;
      const record = servedRecord(this.#kind, event.record);
      const previous = event.previous && servedRecord(this.#kind, event.previous);
      if (event.type === 'delete') {
        if (this.#matches(record)) this.#send({ type: 'DELETED', record, revision, event });
        continue;
      }
      const before = previous !== undefined && this.#matches(previous);
      if (this.#matches(record)) this.#send({ type: before ? 'MODIFIED' : 'ADDED', record, revision, event });
      else if (before) this.#send({ type: 'DELETED', record: previous, revision, event });
    }
  }

  #matches(record: StoreRecord): boolean {
    return this.#selection.everything || this.#selection.matches(objectOf(record));
  }

  #send(notice: ObjectNotice): void {
    this.#sink.onNotice(notice);
  }

  #bookmark(revision: number, initialEnd: boolean): void {
    if (!this.#stopped) this.#sink.onNotice({ type: 'BOOKMARK', revision, initialEnd });
  }

  #scheduleBookmark(): void {
    const beforeEndMs = this.#endMs - bookmarkBeforeEndMs - this.#context.clock.monotonicMs();
    this.#timer(beforeEndMs > 0 ? Math.min(bookmarkIntervalMs, beforeEndMs) : bookmarkIntervalMs, () => {
      const { revision } = this.#context.store;
      this.#whenReady([], () => this.#bookmark(revision, false));
      if (!this.#stopped) this.#scheduleBookmark();
    });
  }

  #timer(delayMs: number, callback: () => void): void {
    const timer = this.#context.clock.setTimer(delayMs, () => {
      this.#timers.splice(this.#timers.indexOf(timer), 1);
      callback();
    });
    this.#timers.push(timer);
  }

  #end(error: StatusError | undefined): void {
    if (this.#stopped) return;
    this.stop();
    this.#sink.onEnd(error);
  }
}
