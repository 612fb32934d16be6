/** The `/scale` subresource: the wanted number of replicas of any kind that has one, as an autoscaling/v1 Scale. */

import { isAbsent } from '../machinery/apply/values.ts';
import type { PatchType } from '../machinery/client.ts';
import { copyJson } from '../machinery/copy.ts';
import { conflict, invalid, notFound } from '../machinery/status.ts';
import type { KubeObject, Scale } from '../machinery/types.ts';
import type { StoreRecord } from '../store/types.ts';
import { admissionRequest, withAdmitted } from './admission/request.ts';
import { appliedScale } from './apply.ts';
import { checkPatchOptions, type Track, updateTracker, withoutManaged } from './field-tracking.ts';
import { groupResource, type ResolvedKind } from './kind-table.ts';
import { checkIdentity, decodeInput, isRecord } from './object-input.ts';
import { applyPatch } from './patch.ts';
import type { NamedTarget, Outcome, RegistryContext, WriteOptions } from './registry-types.ts';
import { objectOf } from './stored-objects.ts';
import { planUpdate } from './update.ts';
import { type Plan, writeLoop } from './write-loop.ts';

const scaleKind: ResolvedKind['version'] = { name: 'v1', schema: 'autoscaling.v1.Scale' };

/** The scale of an object. The kind must have one. */
export function scaleOf(target: NamedTarget, object: KubeObject): Scale {
  const mapping = target.resolved.kind.scale;
  if (!mapping) throw notFound(groupResource(target.resolved.kind), `${target.name}/scale`);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const { spec, status } = mapping.get(object);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: 0, ...spec },
    status,
  };
}

export async function updateScale(
  context: RegistryContext,
  target: NamedTarget,
  body: unknown,
  options: WriteOptions,
): Promise<Outcome> {
  const scale = decodeScale(target, body, options);
  const track = updateTracker(context, target, options);
  return writeScale(context, target, options, (record) => planScale(context, target, { record, scale, track, options }));
}

export async function patchScale(
  context: RegistryContext,
  target: NamedTarget,
  patch: { type: PatchType; body: unknown },
  options: WriteOptions,
): Promise<Outcome> {
  const { type, body } = patch;
  checkPatchOptions(type, options);
  if (type === 'apply') return applyScale(context, target, body, options);
  const track = updateTracker(context, target, options);
  return writeScale(context, target, options, async (record) => {
    const current = scaleOf(target, objectOf(record));
    const patched = copyJson(applyPatch(current, { type, body }, scaleKind.schema));
    return planScale(context, target, { record, scale: decodeScale(target, patched, options), track, options });
  });
}

async function applyScale(context: RegistryContext, target: NamedTarget, body: unknown, options: WriteOptions): Promise<Outcome> {
  const config = decodeScale(target, copyJson(body), options);
  const said = isRecord(body) && isRecord(body.spec) && !isAbsent(body.spec.replicas);
  return writeScale(context, target, options, async (record) => {
    const scale = { ...config, spec: { replicas: config.spec?.replicas ?? 0 } };
    const { object, track } = appliedScale(context, target, {
      record,
      replicas: said ? scale.spec.replicas : undefined,
      options,
    });
    const applied = { ...scale, spec: target.resolved.kind.scale?.get(object).spec };
    return planScale(context, target, { record, scale: applied, track, options });
  });
}

async function writeScale(
  context: RegistryContext,
  target: NamedTarget,
  options: WriteOptions,
  plan: (record: StoreRecord) => Promise<Plan>,
): Promise<Outcome> {
  const done = await writeLoop(context, { ...target, subresource: undefined }, options.dryRun, async (record) => {
    if (!record) throw notFound(groupResource(target.resolved.kind), target.name);
    return plan(record);
  });
  return { code: 200, object: scaleOf(target, done.object) };
}

function decodeScale(target: NamedTarget, body: unknown, options: WriteOptions): Scale {
  const { kind } = target.resolved;
  const resolved: ResolvedKind = {
    kind: { ...kind, group: 'autoscaling', kind: 'Scale', versions: [scaleKind] },
    version: scaleKind,
  };
  const scale = decodeInput(resolved, body, options) as Scale;
  checkIdentity(target, scale);
  const replicas = scale.spec?.replicas ?? 0;
  if (Number.isInteger(replicas) && replicas >= 0) return scale;
  throw invalid('autoscaling', 'Scale', target.name, [
    { type: 'Invalid', field: 'spec.replicas', value: replicas, detail: 'must be greater than or equal to 0' },
  ]);
}

async function planScale(
  context: RegistryContext,
  target: NamedTarget,
  { record, scale, track, options }: { record: StoreRecord; scale: Scale; track: Track; options: WriteOptions },
): Promise<Plan> {
  const { kind } = target.resolved;
  const current = objectOf(record);
  const request = admissionRequest({
    operation: 'UPDATE',
    target,
    object: scale,
    oldObject: scaleOf(target, current),
    options,
  });
  await context.admission.admit(request, context);
  const next = copyJson(withoutManaged(current));
  const { uid, resourceVersion } = scale.metadata;
  if (uid && uid !== next.metadata.uid) throw conflict(groupResource(kind), target.name);
  if (resourceVersion) next.metadata.resourceVersion = resourceVersion;
  kind.scale?.setReplicas(next, (request.object as Scale).spec?.replicas ?? 0);
  const plan = await planUpdate(context, { ...target, subresource: undefined }, record, next, { track, options });
  return withAdmitted(plan, request);
}
