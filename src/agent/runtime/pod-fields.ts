/** Fields of the pod as environment variables and files (downward API). Pure. */
import { quantityMilli } from '../../machinery/quantity.ts';
import type { Container, Pod } from '../../machinery/types.ts';
import { AgentError } from '../errors.ts';

/** What the agent knows better than the stored pod. */
export interface FieldValues {
  podIp: string | undefined;
  hostIp: string;
  nodeName: string;
  /** Stand in for limits that a container does not set. */
  allocatable: { cpuMilli: number; memoryBytes: number; ephemeralStorageBytes: number };
}

/** AgentError 'ContainerConfig' for a path that is no such field. */
export function podField(pod: Pod, path: string, values: FieldValues): string {
  const { metadata, spec } = pod;
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed) return metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2]!] ?? '';
  switch (path) {
    case 'metadata.name':
      return metadata.name;
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
      return formatMap(metadata.labels);
    case 'metadata.annotations':
      return formatMap(metadata.annotations);
    case 'spec.nodeName':
      return spec?.nodeName ?? values.nodeName;
    case 'spec.serviceAccountName':
      return spec?.serviceAccountName ?? 'default';
    case 'status.hostIP':
    case 'status.hostIPs':
      return values.hostIp;
    case 'status.podIP':
    case 'status.podIPs':
      return values.podIp ?? '';
  }
  throw new AgentError('ContainerConfig', `unsupported fieldPath: ${path}`);
}

/** `key="value"` lines, sorted by key: the form of the downward API files. */
function formatMap(map: Record<string, string> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}

export interface ResourceFieldRef {
  containerName?: string;
  resource: string;
  divisor?: string;
}

/** A request or limit divided by the divisor (default 1), rounded up. A missing limit is what the machine can give. */
export function resourceField(pod: Pod, container: Container | undefined, ref: ResourceFieldRef, values: FieldValues): string {
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const of = ref.containerName ? all.find(({ name }) => name === ref.containerName) : container;
  if (!of) throw new AgentError('ContainerConfig', `container ${ref.containerName ?? ''} not found`);
  const [kind = '', ...nameParts] = ref.resource.split('.');
  const name = nameParts.join('.');
  if ((kind !== 'limits' && kind !== 'requests') || !name) {
    throw new AgentError('ContainerConfig', `unsupported container resource : ${ref.resource}`);
  }
  const set = of.resources?.[kind]?.[name] ?? (kind === 'requests' ? of.resources?.limits?.[name] : undefined);
  const divisorText = ref.divisor && ref.divisor !== '0' ? ref.divisor : '1';
  const divisorMilli = quantityMilli(divisorText);
  const milli = set !== undefined ? quantityMilli(set) : kind === 'limits' ? fallbackMilli(name, values) : 0;
  return String(Math.ceil(milli / divisorMilli));
}

function fallbackMilli(name: string, { allocatable }: FieldValues): number {
  if (name === 'cpu') return allocatable.cpuMilli;
  if (name === 'memory') return allocatable.memoryBytes * 1000;
  if (name === 'ephemeral-storage') return allocatable.ephemeralStorageBytes * 1000;
  return 0;
}
