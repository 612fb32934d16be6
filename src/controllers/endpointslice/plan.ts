/**
 * The EndpointSlices of a service: its backends cut into slices of at most 100, one set of slices for each set of ports. Backends
 * stay in the slice they are in, so that a change of one pod changes one slice. Pure.
 */
import type { EndpointSlice, Service } from '../../machinery/types.ts';
import { headlessLabel } from '../endpoints/plan.ts';
import { canonical, same } from '../same.ts';
import { type Backend, backendsOf, hostnameOf, isHeadless, podReference, portsOf } from '../service-backends.ts';

export type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];
type SlicePort = NonNullable<EndpointSlice['ports']>[number];

export const endpointsPerSliceMax = 100;
export const serviceNameLabel = 'kubernetes.io/service-name';
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
export const manager = 'endpointslice-controller.k8s.io';

export interface SliceContent {
  addressType: 'IPv4' | 'IPv6';
  ports: SlicePort[];
  endpoints: Endpoint[];
  labels: Record<string, string>;
}

export interface SlicesPlan {
  create: SliceContent[];
  update: { slice: EndpointSlice; content: SliceContent }[];
  delete: EndpointSlice[];
}

/** `existing`: the slices that this controller has made for the service. */
export function planSlices(
  service: Service,
  pods: Parameters<typeof backendsOf>[1],
  existing: readonly EndpointSlice[],
): SlicesPlan {
  const labels = labelsOf(service);
  const addressType = service.spec?.ipFamilies?.[0] === 'IPv6' ? 'IPv6' : 'IPv4';
  const groups = groupByPorts(service, backendsOf(service, pods));
  // Watchers expect at least one slice, also when it is empty.
  if (groups.size === 0) groups.set(canonical([]), { ports: [], endpoints: new Map() });
  const plan: SlicesPlan = { create: [], update: [], delete: [] };
  const alive = existing.filter(({ metadata }) => !metadata.deletionTimestamp);
  const slicesOf = new Map<string, EndpointSlice[]>();
  for (const slice of alive) {
    const key = slice.addressType === addressType ? canonical(portList(slice.ports)) : 'another family';
    if (!groups.has(key)) plan.delete.push(slice);
    else slicesOf.set(key, [...(slicesOf.get(key) ?? []), slice]);
  }
  for (const [key, { ports, endpoints }] of groups) {
    const content = (list: Endpoint[]): SliceContent => ({ addressType, ports, endpoints: list, labels });
    fill(plan, slicesOf.get(key) ?? [], endpoints, content);
  }
  return plan;
}

/** Distributes `endpoints` (by address) over the slices of one set of ports. */
function fill(
  plan: SlicesPlan,
  slices: EndpointSlice[],
  endpoints: Map<string, Endpoint>,
  content: (list: Endpoint[]) => SliceContent,
): void {
  const left = new Map(endpoints);
  const kept = slices.map((slice) => {
    const list: Endpoint[] = [];
    for (const { addresses } of slice.endpoints ?? []) {
      const address = addresses[0] ?? '';
      const wanted = left.get(address);
      if (wanted) list.push(wanted);
      left.delete(address);
    }
    return { slice, list };
  });
  for (const { list } of [...kept].sort((a, b) => b.list.length - a.list.length)) {
    for (const [address, endpoint] of left) {
      if (list.length >= endpointsPerSliceMax) break;
      list.push(endpoint);
      left.delete(address);
    }
  }
  const rest = [...left.values()];
  for (let start = 0; start < rest.length; start += endpointsPerSliceMax) {
    plan.create.push(content(rest.slice(start, start + endpointsPerSliceMax)));
  }
  let used = kept.filter(({ list }) => list.length > 0);
  if (used.length === 0 && plan.create.length === 0) {
    used = kept.slice(0, 1);
    if (used.length === 0) plan.create.push(content([]));
  }
  for (const entry of kept) if (!used.includes(entry)) plan.delete.push(entry.slice);
  for (const { slice, list } of used) {
    const next = content(list);
    if (!same(slice.endpoints ?? [], next.endpoints) || !same(slice.metadata.labels ?? {}, next.labels)) {
      plan.update.push({ slice, content: next });
    }
  }
}

function groupByPorts(service: Service, backends: Backend[]) {
  const groups = new Map<string, { ports: SlicePort[]; endpoints: Map<string, Endpoint> }>();
  for (const backend of backends) {
    const ports = portList(portsOf(service, backend.pod));
    if (ports.length === 0 && (service.spec?.ports?.length ?? 0) > 0) continue;
    const key = canonical(ports);
    const group = groups.get(key) ?? { ports, endpoints: new Map() };
    groups.set(key, group);
    group.endpoints.set(backend.ip, endpointOf(service, backend));
  }
  return groups;
}

/** In one form and order, so that equal sets of ports are found equal. */
function portList(ports: readonly SlicePort[] | null | undefined): SlicePort[] {
  const list = (ports ?? []).map(({ name, port, protocol, appProtocol }) => ({
    name: name ?? '',
    port,
    protocol: protocol ?? 'TCP',
    ...(appProtocol ? { appProtocol } : {}),
  })) as SlicePort[];
  return list.sort((a, b) => (canonical(a) < canonical(b) ? -1 : 1));
}

function endpointOf(service: Service, { pod, ip, ready, serving, terminating }: Backend): Endpoint {
  const hostname = hostnameOf(service, pod);
  const nodeName = pod.spec?.nodeName;
  return {
    addresses: [ip],
    conditions: { ready, serving, terminating },
    ...(hostname ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    targetRef: podReference(pod),
  } as Endpoint;
}

function labelsOf(service: Service): Record<string, string> {
  return {
    ...service.metadata.labels,
    ...(isHeadless(service) ? { [headlessLabel]: '' } : {}),
    [serviceNameLabel]: service.metadata.name,
    [managedByLabel]: manager,
  };
}
