/**
 * Objects as the store holds them: keys, bytes, and the two ways back. A stored value is JSON whose first members are
 * apiVersion, kind and metadata, without a resourceVersion: that is the record's revision and is spliced in when served,
 * so that a read copies bytes instead of parsing them.
 */
import { assert } from '../lib/assert.ts';
import type { KindDefinition } from '../machinery/kind.ts';
import type { KubeObject } from '../machinery/types.ts';
import type { StoreRecord } from '../store/types.ts';
import { apiVersionOf, isStorageVersion, type ResolvedKind } from './kind-table.ts';

/** The prefix of all keys of a kind, or of those in one namespace. Ends with a slash. */
export function prefixOf(kind: KindDefinition, namespace?: string): string {
  const root = `/registry/${kind.group || 'core'}/${kind.plural}/`;
  return kind.namespaced && namespace ? `${root}${namespace}/` : root;
}

export function keyOf(kind: KindDefinition, namespace: string | undefined, name: string): string {
  assert(!kind.namespaced || namespace, `key of ${kind.plural} needs a namespace`);
  return prefixOf(kind, namespace) + name;
}

export function namespaceKey(name: string): string {
  return `/registry/core/namespaces/${name}`;
}

/** The bytes to store. Members that are undefined vanish. */
export function encodeObject(object: KubeObject): Buffer {
  const { apiVersion, kind, metadata, ...rest } = object;
  const { name, resourceVersion: _, ...others } = metadata;
  return Buffer.from(JSON.stringify({ apiVersion, kind, metadata: { name, ...others }, ...rest }));
}

const parsed = new WeakMap<StoreRecord, KubeObject>();

/** The object of a record, parsed once, with its resourceVersion. Shared: never change it. */
export function objectOf(record: StoreRecord): KubeObject {
  let object = parsed.get(record);
  if (!object) {
    object = parseValue(record.value, record.modRevision);
    parsed.set(record, object);
  }
  return object;
}

/** A fresh object from stored bytes, as of `revision`. */
export function parseValue(value: Uint8Array, revision: number): KubeObject {
  const object = JSON.parse(asBuffer(value).toString('utf8')) as KubeObject;
  object.metadata.resourceVersion = String(revision);
  return object;
}

/** The record's object as if last changed at `revision` (what a DELETED event carries). */
export function objectAt(record: StoreRecord, revision: number): KubeObject {
  const object = objectOf(record);
  if (revision === record.modRevision) return object;
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}

const [quote, backslash, opening, closing] = [0x22, 0x5c, 0x7b, 0x7d];

/** Where the members of metadata begin: after the first brace inside, since apiVersion and kind are texts without any. */
export function metadataStart(value: Uint8Array): number {
  let at = 1;
  while (at < value.length && value[at] !== opening) at++;
  assert(at < value.length, 'a stored value has no metadata');
  return at + 1;
}

/** Where metadata ends: the place of its closing brace. */
export function metadataEnd(value: Uint8Array): number {
  let depth = 1;
  for (let at = metadataStart(value); at < value.length; at++) {
    const byte = value[at];
    if (byte === quote) {
      // To the end of the text; a quote in it stands behind a backslash.
      for (at++; value[at] !== quote && at < value.length; at++) if (value[at] === backslash) at++;
    } else if (byte === opening) depth++;
    else if (byte === closing && --depth === 0) return at;
  }
  assert(false, 'the metadata of a stored value has no end');
}

/** The member that `value` lacks, to be put in at `metadataStart`. */
export function revisionMember(revision: number): string {
  return `"resourceVersion":"${revision}",`;
}

/** Stored bytes with the resourceVersion in them, in pieces that share memory with `value`. */
export function spliceRevision(value: Uint8Array, revision: number): Buffer[] {
  const bytes = asBuffer(value);
  const cut = metadataStart(bytes);
  return [bytes.subarray(0, cut), Buffer.from(revisionMember(revision)), bytes.subarray(cut)];
}

export function asBuffer(value: Uint8Array): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** A stored (or shared) object in the form of the requested version. Never changes `object`. */
export function fromStorage(resolved: ResolvedKind, object: KubeObject): KubeObject {
  if (isStorageVersion(resolved)) return object;
  const converted = resolved.version.fromStorage?.(structuredClone(object)) ?? object;
  return { ...converted, apiVersion: apiVersionOf(resolved) };
}

/** A caller's object in the form of the storage version. May change `object`. */
export function toStorage(resolved: ResolvedKind, object: KubeObject): KubeObject {
  if (isStorageVersion(resolved)) return object;
  const converted = resolved.version.toStorage?.(object) ?? object;
  const storage = { kind: resolved.kind, version: resolved.kind.versions[0] };
  return { ...converted, apiVersion: apiVersionOf(storage) };
}
