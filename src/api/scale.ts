/** The `/scale` subresource: the wanted number of replicas of any kind that has one, as an autoscaling/v1 Scale. */
import { conflict, invalid, notFound } from '../machinery/status.ts';
import type { KubeObject, Scale } from '../machinery/types.ts';
import type { StoreRecord } from '../store/types.ts';
import { groupResource, type ResolvedKind } from './kind-table.ts';
import { checkIdentity, decodeInput } from './object-input.ts';
import { type applyPatch as Apply, applyPatch } from './patch.ts';
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
  return writeScale(context, target, options, (record) => planScale(context, target, record, scale));
}

export async function patchScale(
  context: RegistryContext,
  target: NamedTarget,
  patch: Parameters<typeof Apply>[1],
  options: WriteOptions,
): Promise<Outcome> {
  return writeScale(context, target, options, (record) => {
    const current = scaleOf(target, objectOf(record));
    const patched = structuredClone(applyPatch(current, patch, scaleKind.schema));
    return planScale(context, target, record, decodeScale(target, patched, options));
  });
}

async function writeScale(
  context: RegistryContext,
  target: NamedTarget,
  options: WriteOptions,
  plan: (record: StoreRecord) => Plan,
): Promise<Outcome> {
  const done = await writeLoop(context, { ...target, subresource: undefined }, options.dryRun, (record) => {
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

function planScale(context: RegistryContext, target: NamedTarget, record: StoreRecord, scale: Scale): Plan {
  const { kind } = target.resolved;
  const next = structuredClone(objectOf(record));
  const { uid, resourceVersion } = scale.metadata;
  if (uid && uid !== next.metadata.uid) throw conflict(groupResource(kind), target.name);
  if (resourceVersion) next.metadata.resourceVersion = resourceVersion;
  kind.scale?.setReplicas(next, scale.spec?.replicas ?? 0);
  return planUpdate(context, { ...target, subresource: undefined }, record, next);
}
