/**
 * Admission by ResourceQuotas. What a write takes is checked and counted in the transaction of the write itself, on the condition
 * that the quota has not changed, so no two writers pass together (shared-writes.ts lets those of one peer share a transaction).
 * What is given back is counted by the quota's controller.
 */
import type { ResourceQuota } from '../../machinery/kind-types.ts';
import { type Amounts, addAmounts } from '../../machinery/pod-resources.ts';
import { compareQuantities, subtractQuantities } from '../../machinery/quantity.ts';
import { countUsage, inScopes, maskAmounts } from '../../machinery/quota.ts';
import { unsaid, usageOf } from '../../machinery/quota-usage.ts';
import type { GroupResource } from '../../machinery/status.ts';
import type { KubeObject, Pod } from '../../machinery/types.ts';
import type { StoreRecord } from '../../store/types.ts';
import { groupResource } from '../kind-table.ts';
import type { RegistryContext } from '../registry-types.ts';
import { encodeObject, objectOf, parseValue, prefixOf } from '../stored-objects.ts';
import { isAbout, isPodResize, refusal } from './lookups.ts';
import type { AdmissionPlugin, AdmissionRequest } from './types.ts';

/** Kinds whose objects may come to take more by a change. */
const growing = ['pods', 'services', 'persistentvolumeclaims'];

/** StatusError 403 when a quota would be exceeded, or limits something of which the pod does not say how much it takes. */
export const resourceQuota: AdmissionPlugin = {
  name: 'ResourceQuota',
  handles(request) {
    const { operation, target } = request;
    if (isPodResize(request)) return true;
    if (target.namespace === undefined || target.subresource) return false;
    return operation === 'CREATE' || growing.some((plural) => isAbout(request, '', plural, ['UPDATE']));
  },
  validate(request, context) {
    const { records } = context.store.list(`/registry/core/resourcequotas/${request.target.namespace}/`);
    if (records.length === 0) return;
    const of = groupResource(request.target.resolved.kind);
    const mine = records.filter((record) => inScopes(objectOf(record) as ResourceQuota, of, request.object as KubeObject));
    if (of.group === '' && of.resource === 'pods') for (const record of mine) demandAmounts(request, record);
    for (const record of mine) charge(request, context, record, of);
  },
};

function demandAmounts(request: AdmissionRequest, record: StoreRecord): void {
  const { metadata, spec } = objectOf(record) as ResourceQuota;
  if (request.operation !== 'CREATE') return;
  const missing = unsaid(spec?.hard ?? {}, request.object as Pod);
  if (missing) throw refusal(request, `failed quota: ${metadata.name}: must specify ${missing}`);
}

function charge(request: AdmissionRequest, context: RegistryContext, record: StoreRecord, of: GroupResource): void {
  const apply = (present: StoreRecord, value: Uint8Array) => {
    const quota = parseValue(value, present.modRevision) as ResourceQuota;
    const next = charged(request, context, quota, of);
    return next && encodeObject(next);
  };
  // Whoever has no room is told before anything is written, and a trial run writes nothing.
  if (!charged(request, context, objectOf(record) as ResourceQuota, of)) return;
  request.with.charges.push({ key: record.key, apply });
}

/** The quota with what the write takes; undefined when it takes nothing. StatusError 403 when there is no room. */
function charged(
  request: AdmissionRequest,
  context: RegistryContext,
  quota: ResourceQuota,
  of: GroupResource,
): ResourceQuota | undefined {
  const hard = quota.spec?.hard ?? {};
  const taken = growth(request, quota, of, context.clock.wallMs());
  if (Object.keys(taken).length === 0) return undefined;
  const used = usedOf(context, quota);
  const after = { ...used };
  addAmounts(after, taken);
  const exceeded = Object.keys(taken).filter((name) => compareQuantities(after[name] as string, hard[name] as string) > 0);
  if (exceeded.length === 0) return { ...quota, status: { ...quota.status, hard, used: after } };
  const show = (amounts: Amounts) =>
    exceeded
      .sort()
      .map((name) => `${name}=${amounts[name]}`)
      .join(',');
  const why = `exceeded quota: ${quota.metadata.name}, requested: ${show(taken)}, used: ${show(used)}, limited: ${show(hard)}`;
  throw refusal(request, why);
}

/** What the write takes of the quota more than before. */
function growth({ object, oldObject }: AdmissionRequest, quota: ResourceQuota, of: GroupResource, nowMs: number): Amounts {
  const hard = quota.spec?.hard ?? {};
  const usage = maskAmounts(usageOf(of, object as KubeObject, nowMs), hard);
  const before = oldObject && inScopes(quota, of, oldObject) ? usageOf(of, oldObject, nowMs) : {};
  const more = Object.entries(usage).map(([name, amount]) => [name, subtractQuantities(amount, before[name] ?? '0')] as const);
  return Object.fromEntries(more.filter(([, amount]) => compareQuantities(amount, '0') > 0));
}

/** As the quota's status says; counted on the spot when the quota is so new (or so changed) that it does not say all. */
function usedOf({ store, table, clock }: RegistryContext, quota: ResourceQuota): Amounts {
  const hard = quota.spec?.hard ?? {};
  const used = quota.status?.used;
  if (used && Object.keys(hard).every((name) => used[name] !== undefined)) return maskAmounts(used, hard);
  const objectsOf = ({ group, resource }: GroupResource) => {
    const kind = table.kinds.find((candidate) => candidate.group === group && candidate.plural === resource);
    if (!kind?.namespaced) return [];
    return store.list(prefixOf(kind, quota.metadata.namespace)).records.map(objectOf);
  };
  return countUsage(quota, objectsOf, clock.wallMs());
}
