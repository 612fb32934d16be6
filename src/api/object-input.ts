/**
 * What a caller sent becomes an object of the storage version: identity checked against the URL, fields checked against
 * the schema, null and unknown members dropped, as a decoder into typed structures would.
 */
import { type CheckResult, checkObject, pruneUnknown, schema } from '../machinery/schemas.ts';
import { badRequest, invalid, type StatusError } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import { apiVersionOf, type ResolvedKind } from './kind-table.ts';
import type { Target, WriteOptions } from './registry-types.ts';
import { toStorage } from './stored-objects.ts';

/**
 * Takes over `body` (it may be changed). `origin` 'patch' reports unknown fields the way a patch does. StatusError 400 or
 * 422 when it is not an object of the kind.
 */
export function decodeInput(
  resolved: ResolvedKind,
  body: unknown,
  options: Pick<WriteOptions, 'fieldValidation' | 'warnings' | 'complaints'>,
  origin: 'body' | 'patch' = 'body',
): KubeObject {
  if (!isRecord(body)) throw badRequest('the body of the request is not a JSON object');
  const object = body as unknown as KubeObject;
  checkType(resolved, object);
  const { decode } = resolved.version;
  if (!decode) dropNulls(body);
  if (decode && object.metadata === null) delete (object as { metadata?: unknown }).metadata;
  if (object.metadata === undefined) object.metadata = { name: '' };
  if (!isRecord(object.metadata)) {
    const type = Array.isArray(object.metadata) ? 'array' : (typeof object.metadata).replace('boolean', 'bool');
    const where = `Go struct field ${resolved.kind.kind}.metadata of type v1.ObjectMeta`;
    throw badRequest(`${cannotBeHandled(resolved)}: json: cannot unmarshal ${type} into ${where}`);
  }
  if (decode) complain(resolved, decode(object), options, origin);
  else if (schema(resolved.version.schema)) checkFields(resolved, object, options, origin);
  return toStorage(resolved, object);
}

function checkType(resolved: ResolvedKind, object: KubeObject): void {
  const expected = apiVersionOf(resolved);
  const { kind } = resolved.kind;
  object.apiVersion ||= expected;
  object.kind ||= kind;
  if (object.apiVersion === expected && object.kind === kind) return;
  const [version = '', group = ''] = object.apiVersion.split('/').reverse();
  const known = resolved.version.decode !== undefined || schema(`${firstLabel(group)}.${version}.${object.kind}`) !== undefined;
  if (!known) {
    throw unfit(resolved, object, `no kind "${object.kind}" is registered for version "${object.apiVersion}"`);
  }
  if (object.kind === kind && (group === resolved.kind.group || resolved.version.decode)) {
    throw badRequest(`the API version in the data (${object.apiVersion}) does not match the expected API version (${expected})`);
  }
  const types = `(${version}.${object.kind}) to (${firstLabel(resolved.kind.group)}.${kind})`;
  throw unfit(resolved, object, `converting ${types}: unknown conversion`);
}

const firstLabel = (group: string) => group.split('.')[0] || 'core';

function unfit(resolved: ResolvedKind, { apiVersion, kind }: KubeObject, why: string): StatusError {
  const version = JSON.stringify(apiVersion.slice(apiVersion.indexOf('/') + 1));
  return badRequest(`${kind} in version ${version} cannot be handled as a ${resolved.kind.kind}: ${why}`);
}

function checkFields(
  resolved: ResolvedKind,
  object: KubeObject,
  options: Pick<WriteOptions, 'fieldValidation' | 'warnings' | 'complaints'>,
  origin: 'body' | 'patch',
): void {
  const result = checkObject(object, resolved.version.schema);
  complain(resolved, result, options, origin);
  if (result.unknownFields.length > 0) pruneUnknown(object, resolved.version.schema);
}

function complain(
  resolved: ResolvedKind,
  { unknownFields, errors }: CheckResult,
  options: Pick<WriteOptions, 'fieldValidation' | 'warnings' | 'complaints'>,
  origin: 'body' | 'patch',
): void {
  if (errors.length > 0) {
    const detail = errors.join(', ');
    if (origin === 'patch') throw unfitPatch(detail);
    throw badRequest(`${cannotBeHandled(resolved)}: ${detail}`);
  }
  const complaints = [
    ...unknownFields.map((field) => `unknown field ${JSON.stringify(field)}`),
    ...(origin === 'body' ? (options.complaints ?? []) : []),
  ];
  if (complaints.length > 0 && options.fieldValidation === 'Strict') {
    const detail = `strict decoding error: ${complaints.join(', ')}`;
    if (origin === 'body') throw badRequest(`${cannotBeHandled(resolved)}: ${detail}`);
    throw unfitPatch(detail);
  }
  if (options.fieldValidation === 'Warn') options.warnings.push(...complaints);
}

/** About the outcome of a patch, which is not repeated here: it may be large. */
function unfitPatch(detail: string): StatusError {
  return invalid('', '', '', [{ type: 'Invalid', field: 'patch', value: 'patched object', detail }]);
}

function cannotBeHandled({ kind, version }: ResolvedKind): string {
  return `${kind.kind} in version ${JSON.stringify(version.name)} cannot be handled as a ${kind.kind}`;
}

/** Fills in namespace and name from the URL. StatusError 400 when the object says otherwise. */
export function checkIdentity(target: Target & { name?: string }, object: KubeObject): void {
  const { metadata } = object;
  const namespace = target.resolved.kind.namespaced ? target.namespace : undefined;
  if (metadata.namespace && metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (namespace) metadata.namespace = namespace;
  else delete metadata.namespace;
  if (target.name === undefined) return;
  metadata.name ||= target.name;
  if (metadata.name !== target.name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${target.name})`);
  }
}

/** Removes members that are null, at any depth. Items of lists stay. */
export function dropNulls(value: unknown): void {
  if (Array.isArray(value)) {
    for (const item of value) dropNulls(item);
  } else if (isRecord(value)) {
    for (const [key, member] of Object.entries(value)) {
      if (member === null || member === undefined) delete value[key];
      else if (typeof member === 'object') dropNulls(member);
    }
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
