/**
 * A watch as a client of HTTP sees it: one JSON object for each event and line. The head goes out before the first event,
 * because kubectl waits for it. A client that does not read is cut off, it does not make the server keep events for it.
 */
import type { Random } from '../../lib/random.ts';
import type { StatusError } from '../../machinery/status.ts';
import type { StoreEvent } from '../../store/types.ts';
import { apiVersionOf, isStorageVersion, type ResolvedKind } from '../kind-table.ts';
import { fromStorage, objectAt, spliceRevision } from '../stored-objects.ts';
import { partialObject, table, tableRow } from '../table.ts';
import type { BookmarkNotice, ObjectNotice, PreparedWatch } from '../watch.ts';
import type { Exchange } from './exchange.ts';
import type { Form } from './negotiation.ts';

/** Events that wait for one client, beyond the initial ones. */
const pendingBytesMax = 16 * 1024 * 1024;
const encodingsMax = 256;
/** What is told in one go is cut into writes of about this size. */
const writeBytes = 64 * 1024;
const timeoutMinMs = 30 * 60_000;

/** Without `timeoutSeconds`: 30 to 60 minutes, so that clients of a restarted peer do not all come back at once. */
export function watchTimeoutMs(asked: number | undefined, random: Random): number {
  if (asked !== undefined && asked > 0) return Math.min(asked, 2 ** 31 / 1000 - 1) * 1000;
  return timeoutMinMs + Math.floor(random.float() * timeoutMinMs);
}

/** Bytes of recent events, encoded once for all watchers of one form. */
export class EncodedEvents {
  readonly #byEvent = new Map<StoreEvent, Map<string, Buffer>>();

  get(event: StoreEvent, form: string, encode: () => Buffer): Buffer {
    let forms = this.#byEvent.get(event);
    if (!forms) {
      forms = new Map();
      this.#byEvent.set(event, forms);
      if (this.#byEvent.size > encodingsMax) this.#byEvent.delete(this.#byEvent.keys().next().value as StoreEvent);
    }
    let bytes = forms.get(form);
    if (!bytes) {
      bytes = encode();
      forms.set(form, bytes);
    }
    return bytes;
  }
}

/** Where events go: the answer to a request, or a socket. */
export interface WatchOutput extends Pick<Exchange, 'signal' | 'open' | 'write' | 'pendingBytes' | 'end' | 'destroy'> {
  /** Each write is a message: events must not share one. */
  readonly messages?: true;
}

export interface WatchStreamOptions {
  exchange: WatchOutput;
  prepared: PreparedWatch;
  resolved: ResolvedKind;
  form: Form;
  encoded: EncodedEvents;
  now: () => number;
  /** Ends the stream when the server stops. */
  closing: AbortSignal;
}

/** Resolves when the watch is over, for whatever reason. */
export async function streamWatch(options: WatchStreamOptions): Promise<void> {
  const { exchange, prepared, form, closing } = options;
  exchange.open(
    200,
    form.view.type === 'plain' ? 'application/json' : `application/json;as=${viewName(form)};v=v1;g=meta.k8s.io`,
  );
  const over = Promise.withResolvers<void>();
  const finish = () => over.resolve();
  let initialBytes = 0;
  // What is told in one go is written in one go: each write costs more than what is in it.
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  const flush = () => {
    if (waiting.length === 0) return;
    const writes = waiting.length === 1 || exchange.messages ? waiting : [Buffer.concat(waiting, waitingBytes)];
    waiting = [];
    waitingBytes = 0;
    for (const bytes of writes) exchange.write(bytes);
    if (exchange.pendingBytes <= pendingBytesMax + initialBytes) return;
    exchange.destroy();
    finish();
  };
  const write = (bytes: Buffer) => {
    if (waiting.push(bytes) === 1) queueMicrotask(flush);
    waitingBytes += bytes.length;
    if (waitingBytes >= writeBytes) flush();
  };
  const stop = prepared.start({
    onNotice(notice) {
      const bytes = encodeNotice(options, notice);
      if (notice.type !== 'BOOKMARK' && !notice.event) initialBytes += bytes.length;
      write(bytes);
    },
    onEnd(error) {
      if (error) write(line('ERROR', Buffer.from(JSON.stringify((error as StatusError).status))));
      flush();
      exchange.end();
      finish();
    },
  });
  // Not one composite signal: those cost more than the rest of this function.
  const ends = [exchange.signal, closing];
  for (const signal of ends) {
    signal.addEventListener('abort', finish, { once: true });
    if (signal.aborted) finish();
  }
  await over.promise;
  closing.removeEventListener('abort', finish);
  stop();
  flush();
  exchange.end();
}

function viewName({ view }: Form): string {
  return view.type === 'table' ? 'Table' : 'PartialObjectMetadata';
}

function encodeNotice(options: WatchStreamOptions, notice: ObjectNotice | BookmarkNotice): Buffer {
  const { resolved, form, encoded } = options;
  if (notice.type === 'BOOKMARK') return line('BOOKMARK', Buffer.from(JSON.stringify(bookmark(options, notice))));
  const encode = () => line(notice.type, ...objectPieces(options, notice));
  // Cells hold ages, which are not the same for a later watcher of an old event.
  if (!notice.event || form.view.type === 'table') return encode();
  const key = `${notice.type} ${form.view.type} ${apiVersionOf(resolved)}`;
  return encoded.get(notice.event, key, encode);
}

function objectPieces({ resolved, form, now }: WatchStreamOptions, notice: ObjectNotice): Buffer[] {
  const { record, revision } = notice;
  const { view } = form;
  if (view.type === 'plain' && isStorageVersion(resolved)) return spliceRevision(record.value, revision);
  const object = objectAt(record, revision);
  if (view.type === 'plain') return [Buffer.from(JSON.stringify(fromStorage(resolved, object)))];
  if (view.type === 'partial') return [Buffer.from(JSON.stringify(partialObject(object)))];
  const metadata = { resourceVersion: String(revision) };
  return [Buffer.from(JSON.stringify(table(resolved.kind, metadata, [tableRow(resolved, object, view.include, now())])))];
}

function bookmark({ resolved, form }: WatchStreamOptions, { revision, initialEnd }: BookmarkNotice): object {
  const resourceVersion = String(revision);
  const annotations = initialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
  const metadata = { resourceVersion, creationTimestamp: null, ...annotations };
  if (form.view.type === 'table') return table(resolved.kind, { resourceVersion, ...annotations }, []);
  if (form.view.type === 'partial') return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
  return { kind: resolved.kind.kind, apiVersion: apiVersionOf(resolved), metadata };
}

const newline = Buffer.from('}\n');

function line(type: string, ...object: Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), ...object, newline]);
}
