/** The APIServices of the groups that this server serves itself: clients list them, and their priorities order discovery. */
import type { Client } from '../../machinery/client.ts';
import type { ApiService } from '../../machinery/kind-types.ts';
import type { Resource } from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { GroupVersions } from '../kind-table.ts';

export const apiServices: Resource<ApiService> = {
  group: 'apiregistration.k8s.io',
  version: 'v1',
  resource: 'apiservices',
  kind: 'APIService',
  namespaced: false,
};

const managedLabel = 'kube-aggregator.kubernetes.io/automanaged';
/** As kube-apiserver orders its groups, a step of a hundred for each, behind the core group's own. */
const order = [
  ...['apps', 'events.k8s.io', 'authentication.k8s.io', 'authorization.k8s.io', 'autoscaling', 'batch'],
  ...['certificates.k8s.io', 'networking.k8s.io', 'policy', 'rbac.authorization.k8s.io', 'storage.k8s.io'],
  ...['apiextensions.k8s.io', 'admissionregistration.k8s.io', 'scheduling.k8s.io', 'coordination.k8s.io', 'node.k8s.io'],
  ...['discovery.k8s.io', 'flowcontrol.apiserver.k8s.io', 'apiregistration.k8s.io'],
];
const corePriority = 18_000;
const highest = 17_800;
const step = 100;
/** Groups that come by definitions of users. */
const otherGroups = 1_000;
/** Groups of nothing but old versions: clients should find a kind in its present home first. */
const oldGroups = 100;

/** Creates what is missing and removes what is served no more. Rejects with the first error that is not another peer's same work. */
export async function syncLocalServices(
  client: Client,
  { groups, isOld }: { groups: readonly GroupVersions[]; isOld(group: string): boolean },
  signal: AbortSignal,
): Promise<void> {
  const wanted = new Map(
    groups.flatMap((group) => localServices(group, isOld(group.group))).map((made) => [made.metadata.name, made]),
  );
  const { items } = await client.list(apiServices, { signal });
  const present = new Set(items.map(({ metadata }) => metadata.name));
  for (const [name, service] of wanted) {
    if (!present.has(name)) await unless(client.create(apiServices, service, { signal }), 'AlreadyExists');
  }
  for (const { metadata, spec } of items) {
    if (spec?.service || !metadata.labels?.[managedLabel] || wanted.has(metadata.name)) continue;
    await unless(client.delete(apiServices, metadata.name, { signal }), 'NotFound');
  }
}

/** Pure. */
export function localServices({ group, versions }: GroupVersions, old: boolean) {
  const groupPriorityMinimum = priorityOf(group, old);
  return versions.map((version, index) => ({
    metadata: { name: `${version}.${group}`, labels: { [managedLabel]: 'onstart' } },
    spec: { ...(group ? { group } : {}), version, groupPriorityMinimum, versionPriority: Math.max(1, 100 - index * 5) },
  }));
}

function priorityOf(group: string, old: boolean): number {
  if (group === '') return corePriority;
  const place = order.indexOf(group);
  if (place >= 0) return highest - place * step;
  return old ? oldGroups : otherGroups;
}

async function unless(work: Promise<unknown>, reason: 'AlreadyExists' | 'NotFound'): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isReason(error, reason)) throw error;
  }
}
