/**
 * GET of one object and of collections. Linearizable unless the caller says `resourceVersion=0`: a barrier, then the state
 * of this peer. Long collections come in pages of one revision.
 */
import { errorCode } from '../lib/errors.ts';
import type { KindDefinition } from '../machinery/kind.ts';
import { badRequest, expired, failure, invalid, notFound, StatusError } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import type { StoreRecord } from '../store/types.ts';
import { componentStatus, componentStatuses, isComponentStatus } from './component-statuses.ts';
import { decodeContinue, encodeContinue } from './continue-token.ts';
import { groupResource } from './kind-table.ts';
import { nodeLease, nodeLeases } from './node-leases.ts';
import type { NamedTarget, RegistryContext, Target } from './registry-types.ts';
import { type Selection, selectionOf } from './selection.ts';
import { needsPreparation, prepareRecords, servedRecord } from './served-records.ts';
import { keyOf, objectOf, prefixOf, spliceRevision } from './stored-objects.ts';

const notOlderTimeoutMs = 3_000;
/** Of a walk over many objects, each of which may have to be parsed: so many are looked at before it looks at the time. */
export const recordsBetweenLooks = 8;

export interface ListRequest {
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: string;
}

export interface ListAnswer {
  entries: Entry[];
  revision: number;
  continue?: string;
  remainingItemCount?: number;
}

/** One object of an answer: a stored one, parsed only when its members are needed, or one made up for the answer. */
export class Entry {
  /** The stored one, as it is served; undefined for one made up. */
  readonly record: StoreRecord | undefined;
  /** The other kind. */
  readonly made: KubeObject | undefined;

  private constructor(record: StoreRecord | undefined, object: KubeObject | undefined) {
    this.record = record;
    this.made = object;
  }

  static of(kind: KindDefinition, record: StoreRecord): Entry {
    return new Entry(servedRecord(kind, record), undefined);
  }

  static made(object: KubeObject): Entry {
    return new Entry(undefined, object);
  }

  /** Storage version; shared. */
  get object(): KubeObject {
    return this.made ?? objectOf(this.record as StoreRecord);
  }

  /** JSON of the storage version. */
  get json(): Buffer[] {
    const { record } = this;
    return record ? spliceRevision(record.value, record.modRevision) : [Buffer.from(JSON.stringify(this.made))];
  }
}

/** StatusError 404 when it does not exist. */
export async function getEntry(context: RegistryContext, target: NamedTarget, resourceVersion = ''): Promise<Entry> {
  const { kind } = target.resolved;
  if (isComponentStatus(kind)) return Entry.made(await componentStatus(context, target));
  await reach(context, target, resourceVersion);
  const lease = nodeLease(context, kind, target.namespace, target.name);
  if (lease) return Entry.made(lease);
  const record = context.store.get(keyOf(kind, target.namespace, target.name));
  if (!record) throw notFound(groupResource(kind), target.name);
  await prepareRecords(kind, [record], target.signal);
  return Entry.of(kind, record);
}

export async function listEntries(context: RegistryContext, target: Target, request: ListRequest): Promise<ListAnswer> {
  checkListRequest(request);
  if (isComponentStatus(target.resolved.kind)) {
    const made = await componentStatuses(context, target, request);
    return { entries: made.map(Entry.made), revision: context.store.revision };
  }
  const selection = selectionOf(target, request);
  const token = request.continue ? decodeContinue(request.continue) : undefined;
  if (!token) await reach(context, target, request.resourceVersion ?? '');
  const revision = token ? token.revision : exactRevision(request);
  if (token && token.revision === undefined) await context.store.barrier(target.signal);
  const { kind } = target.resolved;
  const single = selection.name !== undefined;
  const prefix = single ? keyOf(kind, selection.namespace, selection.name ?? '') : prefixOf(kind, selection.namespace);
  // A list with made-up entries, of which there is one for each node, is not cut into pages.
  const whole = nodeLeases(context, kind, selection.namespace).length > 0;
  const page = { prefix, single, revision, limit: whole ? 0 : (request.limit ?? 0), startAfter: token?.startAfter };
  try {
    if (needsPreparation(kind)) {
      const { records, revision: shown } = context.store.list(prefix, { revision });
      await prepareRecords(kind, records, target.signal);
      page.revision = token || revision !== undefined ? revision : shown;
    }
    return await collect(context, target, selection, page);
  } catch (error) {
    if (errorCode(error) === 'FutureRevision') throw tooLarge(revision ?? 0, context.store.revision);
    if (errorCode(error) !== 'Compacted') throw error;
    throw token ? expiredToken(token.startAfter) : expired('The provided resource version is too old.');
  }
}

interface Page {
  prefix: string;
  /** The prefix is the key of the one object that may match; it comes before all that begin with it. */
  single: boolean;
  revision: number | undefined;
  /** 0: no limit. */
  limit: number;
  startAfter: string | undefined;
}

async function collect(context: RegistryContext, target: Target, selection: Selection, page: Page): Promise<ListAnswer> {
  const { prefix, single, startAfter } = page;
  const { everything } = selection;
  const { kind } = target.resolved;
  const limit = single ? 1 : everything && page.limit ? page.limit : undefined;
  // Records do not change: what is taken here is one state of all, however long it takes to go through it.
  const { records, revision, remaining } = context.store.list(prefix, {
    startAfter,
    revision: page.revision,
    ...(limit === undefined ? {} : { limit }),
  });
  if (everything) {
    const entries = withLeases(
      context,
      target,
      selection,
      records.map((record) => Entry.of(kind, record)),
    );
    const last = records.at(-1);
    if (remaining === 0 || !last) return { entries, revision };
    return { entries, revision, continue: encodeContinue({ revision, startAfter: last.key }), remainingItemCount: remaining };
  }
  const entries: Entry[] = [];
  for (const [index, record] of records.entries()) {
    if (index % recordsBetweenLooks === 0 && context.turns.over()) {
      await context.turns.next();
      target.signal?.throwIfAborted();
    }
    const entry = Entry.of(kind, record);
    if (!selection.matches(entry.object)) continue;
    entries.push(entry);
    if (entries.length === page.limit && index < records.length - 1) {
      return { entries, revision, continue: encodeContinue({ revision, startAfter: record.key }) };
    }
  }
  return { entries: withLeases(context, target, selection, entries), revision };
}

/** Stored leases and those of the nodes, by name; the nodes' win. */
function withLeases(context: RegistryContext, target: Target, selection: Selection, entries: Entry[]): Entry[] {
  const leases = nodeLeases(context, target.resolved.kind, selection.namespace).filter((lease) => selection.matches(lease));
  if (leases.length === 0) return entries;
  const { kind } = target.resolved;
  const byKey = new Map(
    entries.map((entry) => [keyOf(kind, entry.object.metadata.namespace, entry.object.metadata.name), entry]),
  );
  for (const lease of leases) {
    byKey.set(keyOf(kind, lease.metadata.namespace, lease.metadata.name), Entry.made(lease));
  }
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

/** Waits until this peer may answer a read about `resourceVersion` ('' latest, '0' any, else not older). */
export async function reach(context: RegistryContext, target: Target, resourceVersion: string): Promise<void> {
  if (resourceVersion === '0') return;
  if (resourceVersion === '') return context.store.barrier(target.signal);
  const revision = parseResourceVersion(resourceVersion);
  if (context.store.revision >= revision) return;
  const timeout = new AbortController();
  const timer = context.clock.setTimer(notOlderTimeoutMs, () => timeout.abort(tooLarge(revision, context.store.revision)));
  const signal = target.signal ? AbortSignal.any([timeout.signal, target.signal]) : timeout.signal;
  try {
    await context.store.waitForRevision(revision, signal);
  } catch (error) {
    throw timeout.signal.aborted && !target.signal?.aborted ? timeout.signal.reason : error;
  } finally {
    timer.cancel();
  }
}

/** StatusError 400 unless it is a decimal number. */
export function parseResourceVersion(text: string): number {
  if (!/^\d{1,15}$/.test(text)) {
    const value = JSON.stringify(text);
    const why = `strconv.ParseUint: parsing ${value}: ${/^\d+$/.test(text) ? 'value out of range' : 'invalid syntax'}`;
    throw badRequest(`invalid resource version: resourceVersion: Invalid value: ${value}: ${why}`);
  }
  return Number(text);
}

function exactRevision(request: ListRequest): number | undefined {
  const { resourceVersion = '', resourceVersionMatch = '', limit = 0 } = request;
  const exact = resourceVersionMatch === 'Exact' || (resourceVersionMatch === '' && limit > 0);
  return exact && resourceVersion !== '' && resourceVersion !== '0' ? parseResourceVersion(resourceVersion) : undefined;
}

function checkListRequest(request: ListRequest): void {
  const { resourceVersion = '', resourceVersionMatch = '' } = request;
  if (request.continue && resourceVersion && resourceVersion !== '0') {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  const wrong = (type: 'Forbidden' | 'NotSupported', detail: string) =>
    invalid('meta.k8s.io', 'ListOptions', '', [
      { type, field: 'resourceVersionMatch', ...(type === 'NotSupported' ? { value: resourceVersionMatch } : {}), detail },
    ]);
  if (resourceVersionMatch === '') return;
  if (request.continue) throw wrong('Forbidden', 'resourceVersionMatch is forbidden when continue is provided');
  if (!resourceVersion) throw wrong('Forbidden', 'resourceVersionMatch is forbidden unless resourceVersion is provided');
  if (resourceVersionMatch !== 'Exact' && resourceVersionMatch !== 'NotOlderThan') {
    throw wrong('NotSupported', 'supported values: "Exact", "NotOlderThan"');
  }
  if (resourceVersionMatch === 'Exact' && resourceVersion === '0') {
    throw wrong('Forbidden', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  }
}

export function tooLarge(wanted: number, current: number): StatusError {
  return failure(504, 'Timeout', `Too large resource version: ${wanted}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

/** The answer holds a token that goes on from the same place in the present state. */
function expiredToken(startAfter: string): StatusError {
  const { status } = expired(
    'The continue token is too old to go on with the same state. Start again without it, or use the token in this answer for the rest of the list as it is now.',
  );
  const metadata = { continue: encodeContinue({ revision: undefined, startAfter }) };
  return new StatusError({ ...status, metadata: metadata as unknown as Record<string, never> });
}
