/**
 * Optimistic writing: read the record, decide, write on the condition that the record is still the same; again when it is
 * not. The first decision is made on what this peer has, which may be old: an error or "nothing to do" counts only after
 * a barrier or a failed condition has shown the state to be recent. So the usual write costs one round and no more.
 */
import { conflict, StatusError } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import type { Condition, Operation, StoreRecord } from '../store/types.ts';
import { admitGrowth } from './growth.ts';
import { groupResource } from './kind-table.ts';
import { dropEmpty } from './object-metadata.ts';
import type { NamedTarget, RegistryContext } from './registry-types.ts';
import { prepareRecords, servedRecord, storedObject } from './served-records.ts';
import type { Charge } from './shared-writes.ts';
import { encodeObject, keyOf, objectOf, parseValue } from './stored-objects.ts';
import { checkFence, firstOutcome, writtenAt } from './taken-over.ts';

const attemptsMax = 24;

/** What one attempt wants written. */
export interface Plan {
  /** The object as it shall be; undefined removes it. */
  next: KubeObject | undefined;
  /** Besides the condition and the operation on the object's own key. */
  conditions?: Condition[];
  operations?: Operation[];
  /** Changes of records that other writes change, too. */
  charges?: Charge[];
}

export interface Written {
  /** As stored; for a removal the last state. It may be the one that reads share: never change it. */
  object: KubeObject;
  value: Uint8Array;
  revision: number;
  removed: boolean;
  /** Known when the write was taken over from another machine: whether it made the object. */
  created?: boolean;
}

/**
 * `attempt` is called with the present record and gives a plan, or rejects with a StatusError for the caller. It must not change
 * the record's object and may be called several times. StatusError 409 when others keep changing the object.
 */
export async function writeLoop(
  context: RegistryContext,
  target: NamedTarget,
  dryRun: boolean,
  attempt: (record: StoreRecord | undefined) => Promise<Plan>,
): Promise<Written> {
  const { store } = context;
  const { kind } = target.resolved;
  const ids = dryRun ? undefined : target.ids;
  const key = keyOf(kind, target.namespace, target.name);
  let recent = false;
  const refresh = async () => {
    await store.barrier(target.signal);
    recent = true;
  };
  if (ids?.unknownFate) {
    const done = await firstOutcome(context, target, ids);
    if (done) return done;
    ids.unknownFate = false;
    recent = true;
  } else if (dryRun || context.admission.needsRecent(target)) await refresh();
  for (let count = 0; count < attemptsMax; count++) {
    const held = store.get(key);
    if (held) await prepareRecords(kind, [held], target.signal);
    const record = held && servedRecord(kind, held);
    let plan: Plan;
    try {
      plan = await attempt(record);
    } catch (error) {
      if (recent || !(error instanceof StatusError)) throw error;
      await refresh();
      continue;
    }
    if (plan.next) dropEmpty(plan.next);
    const value = plan.next ? encodeObject(plan.next) : undefined;
    const own = plan.next && (await storedObject(kind, plan.next, target.signal));
    const bytes = own === plan.next || !own ? value : encodeObject(own);
    const unchanged = record && value && plan.next && sameContent(value, plan.next, record) && isStored(held, own, bytes);
    if (unchanged && !recent) {
      await refresh();
      continue;
    }
    if (unchanged) return { object: objectOf(record), value: record.value, revision: record.modRevision, removed: false };
    if (value && plan.next) admitGrowth(context, target, record?.value.length, { object: plan.next, bytes: value.length });
    if (dryRun) return written(value ?? lastValue(record), record?.modRevision ?? 0, !value);
    const transaction = {
      conditions: [{ key, modRevision: record?.modRevision ?? 0 }, ...(plan.conditions ?? [])],
      operations: [
        bytes ? ({ type: 'put', key, value: bytes } as const) : ({ type: 'delete', key } as const),
        ...(plan.operations ?? []),
      ],
    };
    const result = plan.charges?.length
      ? await context.shared.write({ ...transaction, charges: plan.charges }, target.signal, ids)
      : await store.write({ ...transaction, requestId: ids?.next() }, target.signal);
    if ('refused' in result) {
      if (recent) throw result.refused;
      await refresh();
      continue;
    }
    checkFence(result);
    if (result.ok && ids?.shared) return await writtenAt(context, target, result.revision);
    if (result.ok) {
      const stored = bytes && bytes === value && store.get(key);
      if (stored && stored.modRevision === result.revision) {
        return { object: objectOf(stored), value: stored.value, revision: result.revision, removed: false };
      }
      return written(value ?? lastValue(record), result.revision, !value);
    }
    recent = true;
  }
  throw conflict(groupResource(kind), target.name);
}

function written(value: Uint8Array, revision: number, removed: boolean): Written {
  return { object: parseValue(value, revision), value, revision, removed };
}

function lastValue(record: StoreRecord | undefined): Uint8Array {
  if (!record) throw new RangeError('a plan removes what does not exist');
  return record.value;
}

/** Served as it is to be, an object may still be stored in an old form: then writing it again renews that. */
function isStored(held: StoreRecord | undefined, own: KubeObject | undefined, bytes: Buffer | undefined): boolean {
  return held !== undefined && own !== undefined && bytes !== undefined && sameContent(bytes, own, held);
}

/** Equal but for the order of members: writing it would change nothing. The same content has the same bytes in some order. */
function sameContent(value: Buffer, next: KubeObject, record: StoreRecord): boolean {
  if (value.length !== record.value.length) return false;
  if (value.equals(record.value)) return true;
  return byteSum(value) === byteSum(record.value) && sameJson(next, objectOf(record));
}

function byteSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index++) sum += bytes[index]!;
  return sum;
}

/** Equal as JSON: members that are undefined are not there. `b` has none. */
function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  for (const name in right) if (!Object.hasOwn(left, name) || !sameJson(left[name], right[name])) return false;
  for (const name in left) if (left[name] !== undefined && !Object.hasOwn(right, name)) return false;
  return true;
}
