/**
 * What objects take of a ResourceQuota. Source: Kubernetes documentation, "Resource Quotas". Used by admission, which counts what
 * is added, and by the controller that counts afresh. Pure.
 */
import type { PersistentVolumeClaim } from './kind-types.ts';
import { type Amounts, podAmounts } from './pod-resources.ts';
import type { GroupResource } from './status.ts';
import type { KubeObject, Pod, PodSpec, Service } from './types.ts';

const classSuffix = '.storageclass.storage.k8s.io/';
const classAnnotation = 'volume.beta.kubernetes.io/storage-class';
const serviceNames = ['services', 'services.nodeports', 'services.loadbalancers'];
const claimNames = ['persistentvolumeclaims', 'requests.storage'];
/** Counted under their plain names, too. */
const plainlyCounted = ['replicationcontrollers', 'resourcequotas', 'secrets', 'configmaps'];
/** When one of these is limited, every container must say how much it takes. */
const mustBeSaid = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'];

/** The resource whose objects take of this name of a quota: `count/deployments.apps` → deployments of apps, `limits.cpu` → pods. */
export function countedResource(name: string): GroupResource {
  if (name.startsWith('count/')) {
    const [resource = '', ...group] = name.slice('count/'.length).split('.');
    return { group: group.join('.'), resource };
  }
  if (serviceNames.includes(name)) return { group: '', resource: 'services' };
  if (claimNames.includes(name) || name.includes(classSuffix)) return { group: '', resource: 'persistentvolumeclaims' };
  if (plainlyCounted.includes(name)) return { group: '', resource: name };
  return { group: '', resource: 'pods' };
}

/** What one object takes, by the names that quotas have for it. `nowMs` is wall time. */
export function usageOf({ group, resource }: GroupResource, object: KubeObject, nowMs: number): Amounts {
  const usage: Amounts = { [`count/${resource}${group ? `.${group}` : ''}`]: '1' };
  if (group !== '') return usage;
  if (plainlyCounted.includes(resource)) usage[resource] = '1';
  if (resource === 'services') Object.assign(usage, serviceUsage(object as Service));
  if (resource === 'persistentvolumeclaims') Object.assign(usage, claimUsage(object as PersistentVolumeClaim));
  if (resource === 'pods' && isCharged(object as Pod, nowMs)) Object.assign(usage, podUsage(object as Pod));
  return usage;
}

/** False for a pod that is over, or should long be gone: its machine may be. */
function isCharged({ metadata, status }: Pod, nowMs: number): boolean {
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return false;
  if (!metadata.deletionTimestamp) return true;
  return nowMs <= Date.parse(metadata.deletionTimestamp) + (metadata.deletionGracePeriodSeconds ?? 0) * 1000;
}

function podUsage({ spec }: Pod): Amounts {
  const requests = podAmounts(spec as PodSpec, 'requests', { overhead: true });
  const limits = podAmounts(spec as PodSpec, 'limits', { overhead: true });
  return { pods: '1', ...computeUsage(requests, limits) };
}

function computeUsage(requests: Amounts, limits: Amounts): Amounts {
  const usage: Amounts = {};
  for (const name of ['cpu', 'memory', 'ephemeral-storage']) {
    const [request, limit] = [requests[name], limits[name]];
    if (request !== undefined) usage[name] = usage[`requests.${name}`] = request;
    if (limit !== undefined) usage[`limits.${name}`] = limit;
  }
  for (const [name, amount] of Object.entries(requests)) {
    if (name.startsWith('hugepages-')) usage[name] = usage[`requests.${name}`] = amount;
    else if (name.includes('/')) usage[`requests.${name}`] = amount;
  }
  return usage;
}

/** What containers leave unsaid although the quota limits it: `limits.cpu for: app; limits.memory for: app,side`. */
export function unsaid(hard: Amounts, { spec }: Pod): string {
  const missing = new Map<string, Set<string>>();
  for (const { name, resources } of [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]) {
    const said = computeUsage(resources?.requests ?? {}, resources?.limits ?? {});
    for (const wanted of mustBeSaid) {
      if (hard[wanted] === undefined || said[wanted] !== undefined) continue;
      missing.set(wanted, (missing.get(wanted) ?? new Set()).add(name));
    }
  }
  const names = [...missing.keys()].sort();
  return names.map((name) => `${name} for: ${[...(missing.get(name) ?? [])].sort().join(',')}`).join('; ');
}

/** Ports are counted before they are allotted, so what counts is whether they will be. */
function serviceUsage({ spec = {} }: Service): Amounts {
  const { type, ports = [], allocateLoadBalancerNodePorts } = spec;
  const usage: Amounts = { services: '1' };
  if (type === 'LoadBalancer') usage['services.loadbalancers'] = '1';
  const chosen = type === 'LoadBalancer' && allocateLoadBalancerNodePorts === false;
  const counted = chosen ? ports.filter(({ nodePort }) => nodePort) : ports;
  if (type === 'NodePort' || type === 'LoadBalancer') usage['services.nodeports'] = String(counted.length);
  return usage;
}

function claimUsage({ metadata, spec }: PersistentVolumeClaim): Amounts {
  const usage: Amounts = { persistentvolumeclaims: '1' };
  const storageClass = metadata.annotations?.[classAnnotation] ?? spec?.storageClassName ?? '';
  const storage = spec?.resources?.requests?.storage;
  if (storage !== undefined) usage['requests.storage'] = storage;
  if (storageClass === '') return usage;
  usage[`${storageClass}${classSuffix}persistentvolumeclaims`] = '1';
  if (storage !== undefined) usage[`${storageClass}${classSuffix}requests.storage`] = storage;
  return usage;
}
