/**
 * Stored records as a kind serves them. For most kinds that is what is stored. A custom resource may have been stored in another version
 * of its kind, and under an older schema: it is converted, pruned and given its defaults when it is read, once for each record.
 */
import { assert } from '../lib/assert.ts';
import type { KindDefinition } from '../machinery/kind.ts';
import type { KubeObject } from '../machinery/types.ts';
import type { StoreRecord } from '../store/types.ts';
import { encodeObject, objectOf } from './stored-objects.ts';

type Served = WeakMap<StoreRecord, StoreRecord>;

const served = new WeakMap<KindDefinition, Served>();
/** Objects that one call of a webhook is given. */
const batchMax = 500;

function servedBy(kind: KindDefinition): Served {
  let records = served.get(kind);
  if (!records) {
    records = new WeakMap();
    served.set(kind, records);
  }
  return records;
}

/** The record with the bytes that the kind serves. Where a webhook converts, `prepareRecords` must have had it before. */
export function servedRecord(kind: KindDefinition, record: StoreRecord): StoreRecord {
  const form = kind.storedForm;
  if (!form) return record;
  const records = servedBy(kind);
  const known = records.get(record);
  if (known) return known;
  const stored = objectOf(record);
  const foreign = stored.apiVersion !== form.servedAs;
  assert(!foreign || !form.convert, 'a record that a webhook must convert was not prepared');
  return remember(kind, record, foreign ? { ...stored, apiVersion: form.servedAs } : stored);
}

function remember(kind: KindDefinition, record: StoreRecord, object: KubeObject): StoreRecord {
  const complete = kind.storedForm?.complete(object) ?? object;
  const made = complete === objectOf(record) ? record : { ...record, value: encodeObject(complete) };
  servedBy(kind).set(record, made);
  return made;
}

/** True when records of this kind may have to wait for a webhook before they can be served. */
export function needsPreparation(kind: KindDefinition): boolean {
  return kind.storedForm?.convert !== undefined;
}

/** Has the webhook of the kind convert what is stored in other versions. Rejects with StatusError when it fails. */
export async function prepareRecords(kind: KindDefinition, records: readonly StoreRecord[], signal?: AbortSignal): Promise<void> {
  const form = kind.storedForm;
  if (!form?.convert) return;
  const waiting = new Map<string, StoreRecord[]>();
  for (const record of records) {
    const { apiVersion } = objectOf(record);
    if (apiVersion === form.servedAs || servedBy(kind).has(record)) continue;
    waiting.set(apiVersion, [...(waiting.get(apiVersion) ?? []), record]);
  }
  for (const group of waiting.values()) {
    for (let start = 0; start < group.length; start += batchMax) {
      const batch = group.slice(start, start + batchMax);
      const objects = batch.map((record) => structuredClone(objectOf(record)));
      const converted = await form.convert(objects, form.servedAs, signal);
      for (const [index, record] of batch.entries()) remember(kind, record, converted[index] as KubeObject);
    }
  }
}

/** The form in which an object of this kind is stored. Never changes it. */
export async function storedObject(kind: KindDefinition, object: KubeObject, signal?: AbortSignal): Promise<KubeObject> {
  const form = kind.storedForm;
  if (!form || form.storedAs === form.servedAs) return object;
  if (!form.convert) return { ...object, apiVersion: form.storedAs };
  const [converted] = await form.convert([structuredClone(object)], form.storedAs, signal);
  return converted ?? object;
}
