/**
 * Server-side apply: a PATCH that says what its manager wants to own. It is merged into the live object, or creates it, and
 * then goes the way of an update.
 */

import { compare, fieldsOf } from '../machinery/apply/compare.ts';
import { complaintsOf } from '../machinery/apply/configuration.ts';
import { union } from '../machinery/apply/field-set.ts';
import { cameFromLastApplied, kubectlManager, withLastApplied } from '../machinery/apply/last-applied.ts';
import { makeEntry, type Owner } from '../machinery/apply/managers.ts';
import { extractFields } from '../machinery/apply/merge.ts';
import {
  type Applied,
  ApplyConflict,
  applyConfiguration,
  type Conflict,
  ownable,
  type WriteFacts,
} from '../machinery/apply/ownership.ts';
import { copyJson } from '../machinery/copy.ts';
import { checkDepth } from '../machinery/depth.ts';
import { groupOf } from '../machinery/kind.ts';
import { checkObject } from '../machinery/schemas.ts';
import { badRequest, conflict, failure, notFound, type StatusError } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import type { StoreRecord } from '../store/types.ts';
import { demandCreation, planCreation } from './create.ts';
import { checkPatchOptions, entriesOf, formsOf, type Track, withoutManaged, writeFacts } from './field-tracking.ts';
import { apiVersionOf, groupResource, type ResolvedKind } from './kind-table.ts';
import { checkIdentity, decodeInput, isRecord } from './object-input.ts';
import { checkSameUid, newUid } from './object-metadata.ts';
import { outcomeOf } from './outcome.ts';
import type { NamedTarget, Outcome, RegistryContext, WriteOptions } from './registry-types.ts';
import { fromStorage, objectOf } from './stored-objects.ts';
import { planUpdate } from './update.ts';
import { type Plan, writeLoop } from './write-loop.ts';

/** The subresource may be 'status'. */
export async function applyObject(
  context: RegistryContext,
  target: NamedTarget,
  body: unknown,
  options: WriteOptions,
): Promise<Outcome> {
  checkPatchOptions('apply', options);
  const { resolved } = target;
  const config = decodeConfiguration(target, body);
  const uid = newUid(context.random);
  const warningsBefore = options.warnings.length;
  let created = false;
  const done = await writeLoop(context, target, options.dryRun, async (record) => {
    const attempt = { ...options, warnings: options.warnings.slice(0, warningsBefore) };
    created = !record;
    const plan = await (record
      ? planApply(context, target, record, config, attempt)
      : planFirst(context, target, config, { uid, options: attempt }));
    options.warnings.splice(0, Number.POSITIVE_INFINITY, ...attempt.warnings);
    return plan;
  });
  return outcomeOf(resolved, done, (done.created ?? created) ? 201 : 200);
}

async function planApply(
  context: RegistryContext,
  target: NamedTarget,
  record: StoreRecord,
  config: KubeObject,
  options: WriteOptions,
): Promise<Plan> {
  const { resolved } = target;
  const stored = objectOf(record);
  const live = withoutManaged(fromStorage(resolved, stored));
  const facts = { ...factsOf(context, target, options), form: formsOf(resolved.kind).of(apiVersionOf(resolved)) };
  const { object, entries } = applyTo(live, stored, config, { ...facts, force: options.force ?? false });
  const next = decodeInput(resolved, copyJson(object), options, 'patch');
  const { uid, resourceVersion } = config.metadata;
  if (uid) next.metadata.uid = uid;
  if (resourceVersion) next.metadata.resourceVersion = resourceVersion;
  checkIdentity(target, next);
  checkSameUid(next, stored, resolved.kind);
  return planUpdate(context, target, record, next, { track: () => entries, options });
}

function applyTo(live: KubeObject, stored: KubeObject, config: object, facts: WriteFacts & { force: boolean }): Applied {
  const recorded = entriesOf(stored);
  const kubectl = facts.owner.manager === kubectlManager && !facts.owner.subresource;
  try {
    const applied = applyConfiguration(live, config, recorded, facts);
    return kubectl ? { ...applied, object: withLastApplied(applied.object, config) } : applied;
  } catch (error) {
    if (!(error instanceof ApplyConflict)) throw error;
    if (!kubectl || !cameFromLastApplied(live, error.fields, facts)) throw conflictStatus(error.conflicts);
    const applied = applyConfiguration(live, config, recorded, { ...facts, force: true });
    return { ...applied, object: withLastApplied(applied.object, config) };
  }
}

/** Nothing is there yet: the configuration is the object. */
async function planFirst(
  context: RegistryContext,
  target: NamedTarget,
  config: KubeObject,
  { uid, options }: { uid: string; options: WriteOptions },
): Promise<Plan> {
  const { resolved } = target;
  if (target.subresource) throw notFound(groupResource(resolved.kind), target.name);
  demandCreation(context, target);
  const wanted = config.metadata;
  if (wanted.uid) {
    const why = `uid mismatch: the provided object specified uid ${wanted.uid}, and no existing object was found`;
    throw conflict(groupResource(resolved.kind), target.name, why);
  }
  if (wanted.resourceVersion && wanted.resourceVersion !== '0') throw conflict(groupResource(resolved.kind), target.name);
  const { owner, now, inScope } = factsOf(context, target, options);
  const { shape } = formsOf(resolved.kind).of(owner.apiVersion);
  const entries = [makeEntry(owner, fieldsOf(ownable(config, inScope), shape), now)];
  const object = decodeInput(resolved, copyJson(config), options, 'patch');
  checkIdentity(target, object);
  return planCreation(context, target, object, { uid, track: () => entries, options });
}

function factsOf(context: RegistryContext, target: NamedTarget, options: WriteOptions): WriteFacts {
  return writeFacts(context, target, options, 'Apply');
}

/** StatusError 400 when the body is not a configuration of this object. */
function decodeConfiguration(target: NamedTarget, body: unknown): KubeObject {
  const { resolved } = target;
  if (!isRecord(body)) throw badRequest('the body of the request is not a JSON object');
  checkDepth(body);
  const expected = apiVersionOf(resolved);
  const { apiVersion = '', kind } = body;
  if (apiVersion !== expected) {
    throw badRequest(
      `Incorrect version specified in apply patch. Specified patch version: ${String(apiVersion)}, expected: ${expected}`,
    );
  }
  if (kind !== resolved.kind.kind) {
    throw badRequest(`the kind in the data (${String(kind ?? '')}) does not match the expected kind (${resolved.kind.kind})`);
  }
  if (body.metadata !== undefined && !isRecord(body.metadata)) throw badRequest('metadata is not an object');
  const config = { ...body, metadata: { ...(body.metadata as object | undefined) } } as KubeObject;
  const { managedFields } = config.metadata;
  if (Array.isArray(managedFields) ? managedFields.length > 0 : managedFields) {
    throw badRequest('metadata.managedFields must be nil');
  }
  delete config.metadata.managedFields;
  checkIdentity(target, config);
  const complaints = complaintsOf(config, formsOf(resolved.kind).of(expected).shape);
  if (complaints.length === 0) complaints.push(...checkObject(config, resolved.version.schema).errors);
  if (complaints.length > 0) throw badRequest(unfit(target, resolved, complaints));
  return config;
}

function unfit({ namespace = '', name }: NamedTarget, { kind, version }: ResolvedKind, complaints: string[]): string {
  const what = complaints.length === 1 ? complaints[0] : `errors:\n${complaints.map((text) => `  ${text}`).join('\n')}`;
  return `failed to create typed patch object (${namespace}/${name}; ${groupOf(kind, version)}/${version.name}, Kind=${kind.kind}): ${what}`;
}

/** 409, with one cause for each field. */
function conflictStatus(conflicts: readonly Conflict[]): StatusError {
  const causes = conflicts.map(({ owner, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${ownerText(owner)}`,
    field: path,
  }));
  return failure(409, 'Conflict', conflictText(conflicts), { causes });
}

function conflictText(conflicts: readonly Conflict[]): string {
  const [first] = conflicts;
  if (first && conflicts.length === 1) {
    return `Apply failed with 1 conflict: conflict with ${ownerText(first.owner)}: ${first.path}`;
  }
  const byOwner = new Map<string, string[]>();
  for (const { owner, path } of conflicts) {
    const text = ownerText(owner);
    byOwner.set(text, [...(byOwner.get(text) ?? []), path]);
  }
  const parts = [...byOwner].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const lines = parts.flatMap(([owner, paths]) => [`conflicts with ${owner}:`, ...paths.map((path) => `- ${path}`)]);
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`;
}

function ownerText({ manager, operation, apiVersion, subresource }: Owner): string {
  const name = JSON.stringify(manager) + (subresource ? ` with subresource ${JSON.stringify(subresource)}` : '');
  return operation === 'Update' ? `${name} using ${apiVersion}` : name;
}

/**
 * The number of replicas applied through `/scale`: as if its manager had applied that field of the object, and nothing else.
 * `replicas` is undefined when the configuration says none. Gives the object as it shall be, and who owns what.
 */
export function appliedScale(
  context: RegistryContext,
  target: NamedTarget,
  { record, replicas, options }: { record: StoreRecord; replicas: number | undefined; options: WriteOptions },
): { object: KubeObject; track: Track } {
  const { kind } = target.resolved;
  const stored = objectOf(record);
  const live = withoutManaged(stored);
  const facts = factsOf(context, { ...target, resolved: { kind, version: kind.versions[0] } }, options);
  const withReplicas = (count: number) => {
    const object = copyJson(live);
    kind.scale?.setReplicas(object, count);
    return object;
  };
  const said = replicas === undefined ? {} : scaleField(live, withReplicas, facts, replicas);
  const { object, entries } = applyTo(live, stored, said, { ...facts, force: options.force ?? false });
  return { object: object as KubeObject, track: () => entries };
}

/** The part of the object that holds the number of replicas: what differs when it is another. */
function scaleField(
  live: KubeObject,
  withReplicas: (count: number) => KubeObject,
  { form }: WriteFacts,
  replicas: number,
): object {
  const { added, modified } = compare(withReplicas(replicas), withReplicas(replicas + 1), form.shape);
  const missing = compare(live, withReplicas(replicas + 1), form.shape);
  const fields = union(union(added, modified), missing.added);
  return (extractFields(withReplicas(replicas), fields, form.shape) as object | undefined) ?? {};
}
