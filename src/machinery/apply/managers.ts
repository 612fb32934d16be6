/**
 * The entries of metadata.managedFields: who owns what, since when, through which version. One entry for each applier and
 * subresource, one for each updater, version and subresource.
 */

import { difference, type FieldSet, fieldSetComplaint, isEmpty, sorted, union } from './field-set.ts';
import { isAbsent, isMap } from './values.ts';

export interface Owner {
  manager: string;
  operation: 'Apply' | 'Update';
  apiVersion: string;
  subresource?: string | undefined;
}

/** Members in the order in which Kubernetes writes them. */
export interface ManagedEntry extends Owner {
  time?: string;
  fieldsType: 'FieldsV1';
  fieldsV1: FieldSet;
}

/** Entries of updaters beyond this many are put together, the oldest first. */
export const updatersMax = 10;
const oldUpdates = 'ancient-changes';

/** True when two owners share an entry: an applier keeps its own over all versions. */
export function sameOwner(a: Owner, b: Owner): boolean {
  if (a.manager !== b.manager || a.operation !== b.operation || (a.subresource ?? '') !== (b.subresource ?? '')) return false;
  return a.operation === 'Apply' || a.apiVersion === b.apiVersion;
}

export function makeEntry({ manager, operation, apiVersion, subresource }: Owner, fields: FieldSet, time?: string): ManagedEntry {
  return {
    manager,
    operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: sorted(fields),
    ...(subresource ? { subresource } : {}),
  };
}

/** The same entry with other fields; undefined when none are left. */
export function withFields(entry: ManagedEntry, fields: FieldSet): ManagedEntry | undefined {
  if (fields === entry.fieldsV1) return entry;
  return isEmpty(fields) ? undefined : { ...entry, fieldsV1: fields };
}

/** Every entry without these fields; entries that lose nothing stay the same object. */
export function without(entries: readonly ManagedEntry[], lost: (entry: ManagedEntry) => FieldSet): ManagedEntry[] {
  return entries
    .map((entry) => withFields(entry, difference(entry.fieldsV1, lost(entry))))
    .filter((entry) => entry !== undefined);
}

/** By operation, time, manager, version and subresource. */
export function inOrder(entries: readonly ManagedEntry[]): ManagedEntry[] {
  const keys = (entry: ManagedEntry) => [
    entry.operation,
    entry.time ?? '',
    entry.manager,
    entry.apiVersion,
    entry.subresource ?? '',
  ];
  return [...entries].sort((a, b) => {
    const right = keys(b);
    for (const [index, left] of keys(a).entries()) {
      if (left !== right[index]) return left < right[index]! ? -1 : 1;
    }
    return 0;
  });
}

/** Puts the oldest updaters of each version into one entry, until there are few enough of them. */
export function capped(entries: readonly ManagedEntry[]): readonly ManagedEntry[] {
  const updaters = entries.filter(({ operation }) => operation === 'Update');
  let excess = updaters.length - updatersMax;
  if (excess <= 0) return entries;
  const kept = new Set(entries);
  const buckets = new Map<string, ManagedEntry>();
  for (const entry of inOrder(updaters)) {
    if (excess <= 0) break;
    const bucket = buckets.get(entry.apiVersion);
    if (bucket) {
      kept.delete(bucket);
      kept.delete(entry);
      const { apiVersion } = entry;
      const fields = union(bucket.fieldsV1, entry.fieldsV1);
      const merged = makeEntry({ manager: oldUpdates, operation: 'Update', apiVersion }, fields, entry.time);
      kept.add(merged);
      buckets.set(apiVersion, merged);
      excess--;
    } else {
      buckets.set(entry.apiVersion, entry);
    }
  }
  return [...kept];
}

/** What a caller sent as managedFields. 'reset' is its way to ask that nothing be owned any more. */
export function decodeEntries(value: unknown): ManagedEntry[] | 'reset' | { complaint: string } {
  if (isAbsent(value)) return [];
  if (!Array.isArray(value)) return { complaint: 'managedFields is not a list' };
  if (value.length === 1 && isMap(value[0]) && Object.keys(value[0]).length === 0) return 'reset';
  const entries: ManagedEntry[] = [];
  for (const raw of value as unknown[]) {
    const complaint = entryComplaint(raw);
    if (complaint) return { complaint };
    const { fieldsV1, time, ...owner } = raw as ManagedEntry;
    const entry = makeEntry({ ...owner, manager: owner.manager || 'unknown' }, fieldsV1 ?? {}, time);
    if (!isEmpty(entry.fieldsV1) && !entries.some((other) => sameOwner(other, entry))) entries.push(entry);
  }
  return entries;
}

function entryComplaint(raw: unknown): string | undefined {
  if (!isMap(raw)) return 'an entry of managedFields is not an object';
  const { manager, operation, apiVersion, fieldsType, fieldsV1, time, subresource } = raw;
  if (operation !== 'Apply' && operation !== 'Update') return 'operation must be `Apply` or `Update`';
  if (typeof apiVersion !== 'string' || apiVersion === '') return 'apiVersion must not be empty';
  if (fieldsType !== 'FieldsV1') return 'fieldsType must be `FieldsV1`';
  for (const text of [manager, time, subresource]) {
    if (!isAbsent(text) && typeof text !== 'string') return 'manager, time and subresource must be strings';
  }
  return isAbsent(fieldsV1) ? undefined : fieldSetComplaint(fieldsV1);
}

const managerBytesMax = 128;
const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;

/** What is wrong with the name of a manager; undefined when nothing is. */
export function managerComplaint(manager: string): string | undefined {
  if (Buffer.byteLength(manager) > managerBytesMax) return `may not be more than ${managerBytesMax} bytes`;
  return printable.test(manager) ? undefined : 'should only contain printable characters';
}

/** The manager of a client that names none: what its User-Agent begins with. */
export function managerOfAgent(userAgent: string): string {
  let name = '';
  let bytes = 0;
  for (const character of userAgent.split('/', 1)[0] ?? '') {
    if (!printable.test(character)) continue;
    bytes += Buffer.byteLength(character);
    if (bytes > managerBytesMax) break;
    name += character;
  }
  return name || 'unknown';
}
