/**
 * Makes the default roles and bindings at bootstrap, and gives them back what they have lost. What was added to them stays;
 * an object whose autoupdate annotation is "false" is left alone.
 */
import { aggregatedRules } from '../../machinery/aggregation.ts';
import type { Client } from '../../machinery/client.ts';
import { clusterRoleBindings, clusterRoles } from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { ClusterRole, ClusterRoleBinding, KubeObject, Subject } from '../../machinery/types.ts';
import { sameJson } from '../kinds/field-errors.ts';
import { missingRules } from './coverage.ts';
import { autoUpdateAnnotation, type DefaultBinding, type DefaultRole, defaultBindings, defaultRoles } from './default-roles.ts';

/** Idempotent. Rejects with the first error that is not the work of another peer at the same time. */
export async function reconcileDefaultRoles(client: Client, signal: AbortSignal): Promise<void> {
  const roles = await client.list(clusterRoles, { signal });
  const presentRoles = new Map(roles.items.map((role) => [role.metadata.name, role]));
  for (const wanted of defaultRoles) {
    const next = roleStep(wanted, presentRoles.get(wanted.metadata.name));
    if (next?.step === 'create')
      await unlessDone(client.create(clusterRoles, { ...wanted, rules: firstRules(wanted) }, { signal }));
    if (next?.step === 'update') await unlessDone(client.update(clusterRoles, next.object, { signal }));
  }
  const bindings = await client.list(clusterRoleBindings, { signal });
  const presentBindings = new Map(bindings.items.map((binding) => [binding.metadata.name, binding]));
  for (const wanted of defaultBindings) {
    const next = bindingStep(wanted, presentBindings.get(wanted.metadata.name));
    if (next?.step === 'replace') await client.delete(clusterRoleBindings, wanted.metadata.name, { signal });
    if (next?.step === 'update') await unlessDone(client.update(clusterRoleBindings, next.object, { signal }));
    else if (next) await unlessDone(client.create(clusterRoleBindings, wanted, { signal }));
  }
}

type Step<T> = { step: 'create' } | { step: 'replace' } | { step: 'update'; object: T } | undefined;

/** Pure. */
export function roleStep(wanted: DefaultRole, present: ClusterRole | undefined): Step<ClusterRole> {
  if (!present) return { step: 'create' };
  if (leftAlone(present)) return undefined;
  const { aggregationRule } = wanted;
  // The rules of an aggregated role are its controller's.
  const missing = aggregationRule ? [] : missingRules(present.rules ?? [], wanted.rules ?? []);
  const object = withMetadata(present, wanted.metadata);
  object.rules = [...(present.rules ?? []), ...missing];
  if (aggregationRule) object.aggregationRule = aggregationRule;
  return sameJson(object, present) ? undefined : { step: 'update', object };
}

/** Pure. */
export function bindingStep(wanted: DefaultBinding, present: ClusterRoleBinding | undefined): Step<ClusterRoleBinding> {
  if (!present) return { step: 'create' };
  if (leftAlone(present)) return undefined;
  if (!sameJson(present.roleRef, wanted.roleRef)) return { step: 'replace' };
  const there = new Set((present.subjects ?? []).map(subjectText));
  const object = withMetadata(present, wanted.metadata);
  object.subjects = [
    ...(present.subjects ?? []),
    ...(wanted.subjects ?? []).filter((subject) => !there.has(subjectText(subject))),
  ];
  return sameJson(object, present) ? undefined : { step: 'update', object };
}

const subjectText = ({ kind, namespace = '', name }: Subject) => JSON.stringify([kind, namespace, name]);

function leftAlone({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[autoUpdateAnnotation] === 'false';
}

function withMetadata<T extends KubeObject>(present: T, wanted: KubeObject['metadata']): T {
  const copy = structuredClone(present);
  copy.metadata.labels = { ...copy.metadata.labels, ...wanted.labels };
  copy.metadata.annotations = { ...copy.metadata.annotations, ...wanted.annotations };
  return copy;
}

/** An aggregated role starts with what it will gather, so that nobody waits for the controller in a new cluster. */
function firstRules(wanted: DefaultRole): DefaultRole['rules'] {
  const all = defaultRoles.map((each) => ({ apiVersion: '', kind: '', ...structuredClone(each) }));
  // `edit` gathers `view`, `admin` gathers `edit`: from the inside out.
  for (const name of ['view', 'edit', 'admin']) {
    const found = all.find(({ metadata }) => metadata.name === name);
    if (found) found.rules = aggregatedRules(found, all) ?? [];
  }
  return all.find(({ metadata }) => metadata.name === wanted.metadata.name)?.rules ?? [];
}

/** Another peer may have led a moment ago and done the same. */
async function unlessDone(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isReason(error, 'AlreadyExists') && !isReason(error, 'Conflict') && !isReason(error, 'NotFound')) throw error;
  }
}
