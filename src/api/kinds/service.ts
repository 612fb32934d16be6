/** Service: one address for a set of pods. Cluster IPs and node ports are given out by the registry, not here. */
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1035Label } from '../../machinery/names.ts';
import type { Service } from '../../machinery/types.ts';
import { ageColumn, column, formatMap, nameColumn, wideColumn } from './columns.ts';
import { isExternal, type ServiceSpec, validateServiceSpec, validateServiceUpdate } from './service-validation.ts';

const affinitySecondsDefault = 10_800;

export const serviceKind: KindDefinition<Service> = {
  group: '',
  kind: 'Service',
  plural: 'services',
  singular: 'service',
  shortNames: ['svc'],
  categories: ['all'],
  namespaced: true,
  versions: [{ name: 'v1', schema: 'core.v1.Service' }],
  hasStatus: true,
  subresources: ['proxy'],
  createOnUpdate: true,
  generationFields: [],

  setDefaults(service) {
    service.spec ??= {};
    setSpecDefaults(service.spec);
    service.status ??= {};
    service.status.loadBalancer ??= {};
  },

  prepare(next, previous, { creating }) {
    if (creating) next.status = { loadBalancer: {} };
    const spec = next.spec as ServiceSpec;
    if (spec.type !== 'ExternalName') return;
    // What the registry had given the service under its former type is not the caller's wish.
    if (spec.clusterIP && spec.clusterIP === previous?.spec?.clusterIP) {
      delete spec.clusterIP;
      delete spec.clusterIPs;
    }
  },

  validate: (service) => [
    ...validateMetadata(service.metadata, { namespaced: true, nameCheck: isDns1035Label }),
    ...validateServiceSpec(service.spec as ServiceSpec),
  ],

  validateUpdate: (next, previous) => validateServiceUpdate(next.spec as ServiceSpec, previous.spec as ServiceSpec),

  columns: [
    nameColumn,
    column('Type', ({ spec }) => spec?.type ?? '', 'How the service is reached.'),
    column('Cluster-IP', ({ spec }) => spec?.clusterIPs?.[0] || spec?.clusterIP || '<none>', 'Address inside the cluster.'),
    column('External-IP', externalIp, 'Address outside the cluster.'),
    column('Port(s)', ports, 'Ports of the service, and on the nodes.'),
    ageColumn,
    wideColumn('Selector', ({ spec }) => formatMap(spec?.selector), 'Chooses the pods.'),
  ],

  selectableFields: {
    'spec.clusterIP': ({ spec }) => spec?.clusterIP ?? '',
    'spec.type': ({ spec }) => spec?.type ?? '',
  },
};

function setSpecDefaults(spec: ServiceSpec): void {
  spec.sessionAffinity ||= 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  else if (spec.sessionAffinity === 'ClientIP') {
    spec.sessionAffinityConfig ??= {};
    spec.sessionAffinityConfig.clientIP ??= {};
    spec.sessionAffinityConfig.clientIP.timeoutSeconds ??= affinitySecondsDefault;
  }
  spec.type ||= 'ClusterIP';
  for (const port of spec.ports ?? []) {
    port.protocol ||= 'TCP';
    port.targetPort ||= port.port;
  }
  if (isExternal(spec)) spec.externalTrafficPolicy ||= 'Cluster';
  else if (spec.externalTrafficPolicy === 'Cluster') delete spec.externalTrafficPolicy;
  if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ||= 'Cluster';
  else delete spec.internalTrafficPolicy;
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
}

function externalIp({ spec, status }: Service): string {
  const fixed = spec?.externalIPs ?? [];
  switch (spec?.type) {
    case 'ClusterIP':
    case 'NodePort':
      return fixed.join(',') || '<none>';
    case 'LoadBalancer': {
      const given = formatAddresses(status?.loadBalancer?.ingress);
      return [...(given ? [given] : []), ...fixed].join(',') || '<pending>';
    }
    case 'ExternalName':
      return spec.externalName ?? '';
    default:
      return '<unknown>';
  }
}

/** Addresses or names of a load balancer, each once. */
export function formatAddresses(ingress: { ip?: string; hostname?: string }[] = []): string {
  return [...new Set(ingress.map(({ ip, hostname }) => ip || hostname || '').filter(Boolean))].sort().join(',');
}

function ports({ spec }: Service): string {
  const list = (spec?.ports ?? []).map(
    ({ port, nodePort, protocol }) => `${nodePort ? `${port}:${nodePort}` : port}/${protocol}`,
  );
  return list.join(',') || '<none>';
}
