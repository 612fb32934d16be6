/** The metadata that the server owns: uid, times, generation, generated names. Callers can neither set nor change it. */
import { isDeepStrictEqual } from 'node:util';
import type { Random } from '../lib/random.ts';
import type { KindDefinition } from '../machinery/kind.ts';
import { conflict, invalid, StatusError } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import { groupResource } from './kind-table.ts';

const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const suffixLength = 5;
const generatedNameMax = 63;

/** RFC 3339 in whole seconds, UTC. */
export function timestamp(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}

/** A random (version 4) UUID. */
export function newUid(random: Random): string {
  const bytes = Buffer.from(Array.from({ length: 16 }, () => random.int(256)));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** `base` cut so that with five random characters it fits a DNS label. */
export function generateName(base: string, random: Random): string {
  let name = base.slice(0, generatedNameMax - suffixLength);
  for (let i = 0; i < suffixLength; i++) name += suffixAlphabet[random.int(suffixAlphabet.length)];
  return name;
}

export function hasGeneration(kind: KindDefinition): boolean {
  return kind.generationFields?.length !== 0;
}

/** Makes `object` new: whatever its caller put into server-owned fields is replaced. */
export function stampNew(object: KubeObject, kind: KindDefinition, options: { uid: string; wallMs: number }): void {
  const { metadata } = object;
  for (const owned of [
    'resourceVersion',
    'selfLink',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'managedFields',
  ] as const) {
    delete metadata[owned];
  }
  metadata.uid = options.uid;
  metadata.creationTimestamp = timestamp(options.wallMs);
  if (hasGeneration(kind)) metadata.generation = 1;
  else delete metadata.generation;
}

/** Carries the server-owned fields over to the next state of an object. */
export function inheritOwned(next: KubeObject, current: KubeObject): void {
  const { metadata } = next;
  const from = current.metadata;
  for (const owned of ['selfLink', 'managedFields'] as const) delete metadata[owned];
  metadata.resourceVersion = from.resourceVersion;
  metadata.uid = from.uid;
  metadata.creationTimestamp = from.creationTimestamp;
  metadata.generation = from.generation;
  metadata.deletionTimestamp = from.deletionTimestamp;
  metadata.deletionGracePeriodSeconds = from.deletionGracePeriodSeconds;
  for (const key of ['generation', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const) {
    if (metadata[key] === undefined) delete metadata[key];
  }
}

const mayBeEmpty = ['labels', 'annotations', 'finalizers', 'ownerReferences', 'managedFields'] as const;

/** Lists and maps of the metadata that hold nothing are not there: so the reference server's types write them. */
export function dropEmpty({ metadata }: KubeObject): void {
  for (const name of mayBeEmpty) {
    const value = metadata[name];
    if (value !== undefined && Object.keys(value).length === 0) delete metadata[name];
  }
}

/** Adds one to the generation when a spec-like field differs. */
export function countGeneration(next: KubeObject, current: KubeObject, kind: KindDefinition): void {
  if (!hasGeneration(kind)) return;
  const fields = generationFields(kind, next, current);
  const member = (object: KubeObject, field: string) => (object as unknown as Record<string, unknown>)[field];
  const changed = fields.some((field) => !isDeepStrictEqual(withoutUndefined(member(next, field)), member(current, field)));
  if (changed) next.metadata.generation = (current.metadata.generation ?? 0) + 1;
}

const notCounted = new Set(['apiVersion', 'kind', 'metadata']);

function generationFields({ generationFields = ['spec'], hasStatus }: KindDefinition, ...objects: KubeObject[]): string[] {
  if (generationFields !== 'all') return generationFields;
  const names = new Set(objects.flatMap((object) => Object.keys(object)));
  return [...names].filter((name) => !notCounted.has(name) && !(hasStatus && name === 'status'));
}

/** Defaults may leave members undefined, which are not stored; compare what would be stored. */
function withoutUndefined(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** Whether an object that is to be made says which version of it is stored. What is no number is dropped in silence. */
export function namesVersion({ metadata: { resourceVersion = '' } }: KubeObject): boolean {
  return /^\d+$/.test(resourceVersion) && Number(resourceVersion) !== 0;
}

/** How the reference server refuses such an object: its store finds out, after everything else. */
export function versionOfNew(): StatusError {
  return new StatusError({
    ...{ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code: 500 },
    message: 'resourceVersion should not be set on objects to be created',
  });
}

/** StatusError 422 when a patch makes the object another one. */
export function checkSameUid({ metadata: { name, uid } }: KubeObject, current: KubeObject, kind: KindDefinition): void {
  if (!uid || uid === current.metadata.uid) return;
  const error = { type: 'Invalid', field: 'metadata.uid', value: uid, detail: 'field is immutable' } as const;
  throw invalid(kind.group, kind.kind, name, [error]);
}

/** StatusError 409 when a deletion is meant for another state, or another object, than the stored one. */
export function checkDeletionPreconditions(
  { metadata: { name, uid = '', resourceVersion = '' } }: KubeObject,
  { group, kind }: KindDefinition,
  wanted: { uid?: string; resourceVersion?: string },
): void {
  const refuse = (what: string, is: string, should: string, happened: string) => {
    const why = `the ${what} in the precondition (${should}) does not match the ${what} in record (${is}). The object might have been ${happened}`;
    // The kind takes the place of the resource in this message.
    return conflict({ group, resource: kind }, name, why);
  };
  if (wanted.uid && wanted.uid !== uid) throw refuse('UID', uid, wanted.uid, 'deleted and then recreated');
  if (wanted.resourceVersion && wanted.resourceVersion !== resourceVersion) {
    throw refuse('ResourceVersion', resourceVersion, wanted.resourceVersion, 'modified');
  }
}

/** StatusError 409 when the caller wrote about another state, or another object, than the stored one. */
export function checkPreconditions(
  current: KubeObject,
  kind: KindDefinition,
  wanted: { uid?: string; resourceVersion?: string },
): void {
  const { name, uid = '', resourceVersion = '' } = current.metadata;
  if (wanted.uid && wanted.uid !== uid) {
    const why = `Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: ${uid}`;
    throw conflict(groupResource(kind), name, why);
  }
  if (wanted.resourceVersion && wanted.resourceVersion !== '0' && wanted.resourceVersion !== resourceVersion) {
    throw conflict(groupResource(kind), name);
  }
}
