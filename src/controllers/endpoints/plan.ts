/** The Endpoints of a service: its addresses grouped by the ports they share, ready and not ready apart. Pure. */
import type { Endpoints, Service } from '../../machinery/types.ts';
import { canonical } from '../same.ts';
import {
  type Backend,
  type BackendPort,
  backendsOf,
  hostnameOf,
  isHeadless,
  podReference,
  portsOf,
} from '../service-backends.ts';

export type Subset = NonNullable<Endpoints['subsets']>[number];
type Address = NonNullable<Subset['addresses']>[number];

/** An Endpoints object holds at most this many addresses; the rest are in EndpointSlices only. */
const addressesMax = 1_000;
export const headlessLabel = 'service.kubernetes.io/headless';
const managedByLabel = 'endpoints.kubernetes.io/managed-by';
const overCapacityAnnotation = 'endpoints.kubernetes.io/over-capacity';

export interface EndpointsPlan {
  subsets: Subset[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export function planEndpoints(service: Service, pods: Parameters<typeof backendsOf>[1]): EndpointsPlan {
  const backends = backendsOf(service, pods).filter(({ terminating, ready }) => ready || !terminating);
  // Ready ones first: when there are too many, they stay.
  const kept = [...backends].sort((a, b) => Number(b.ready) - Number(a.ready)).slice(0, addressesMax);
  const groups = new Map<string, { ports: BackendPort[]; backends: Backend[] }>();
  for (const backend of kept) {
    const ports = portsOf(service, backend.pod);
    if (ports.length === 0 && (service.spec?.ports?.length ?? 0) > 0) continue;
    const key = canonical(ports);
    const group = groups.get(key) ?? { ports, backends: [] };
    groups.set(key, group);
    group.backends.push(backend);
  }
  const subsets = [...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => subsetOf(service, group));
  return {
    subsets,
    labels: {
      ...service.metadata.labels,
      ...(isHeadless(service) ? { [headlessLabel]: '' } : {}),
      [managedByLabel]: 'endpoint-controller',
    },
    annotations: backends.length > kept.length ? { [overCapacityAnnotation]: 'truncated' } : {},
  };
}

function subsetOf(service: Service, { ports, backends }: { ports: BackendPort[]; backends: Backend[] }): Subset {
  const addresses = (ready: boolean) =>
    backends
      .filter((backend) => backend.ready === ready)
      .map((backend) => addressOf(service, backend))
      .sort((a, b) => (a.ip < b.ip ? -1 : 1));
  const [ready, notReady] = [addresses(true), addresses(false)];
  return {
    ...(ready.length > 0 ? { addresses: ready } : {}),
    ...(notReady.length > 0 ? { notReadyAddresses: notReady } : {}),
    ...(ports.length > 0 ? { ports } : {}),
  };
}

function addressOf(service: Service, { pod, ip }: Backend): Address {
  const hostname = hostnameOf(service, pod);
  const nodeName = pod.spec?.nodeName;
  return { ip, ...(hostname ? { hostname } : {}), ...(nodeName ? { nodeName } : {}), targetRef: podReference(pod) };
}
