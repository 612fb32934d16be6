/** Whether this machine takes a pod up. Pure but for the ledger; the words are those Kubernetes users know. */
import { matchesRequired } from '../../machinery/node-affinity.ts';
import { podAmounts } from '../../machinery/pod-resources.ts';
import { qosClassOf } from '../../machinery/qos.ts';
import { quantityValue } from '../../machinery/quantity.ts';
import { toleratesAll } from '../../machinery/tolerations.ts';
import type { Node, Pod } from '../../machinery/types.ts';
import { isCritical } from '../eviction/rank.ts';
import type { PressureCondition } from '../eviction/types.ts';
import type { HostPorts } from './host-ports.ts';
import type { Ledger, Shortage } from './ledger.ts';
import { podRequests } from './needs.ts';
import { unsupported } from './unsupported.ts';

export interface Refusal {
  reason: string;
  message: string;
}

/** Reserves what the pod needs, or says why not. The refusal is final: the pod's phase becomes Failed. */
export function admit(
  pod: Pod,
  node: Pick<Node, 'metadata'>,
  ledger: Ledger,
  hostPorts: HostPorts,
  pressure: ReadonlySet<PressureCondition> = new Set(),
): Refusal | undefined {
  const pressed = refusedUnderPressure(pod, pressure);
  if (pressed) return pressed;
  const spec = pod.spec!;
  const labels = node.metadata.labels ?? {};
  const wanted = Object.entries(spec.nodeSelector ?? {});
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const unwanted = required !== undefined && !matchesRequired(required.nodeSelectorTerms, node);
  if (unwanted || wanted.some(([key, value]) => labels[key] !== value)) {
    return { reason: 'NodeAffinity', message: 'Pod was rejected: Predicate NodeAffinity failed' };
  }
  const refusal = unsupported(spec);
  if (refusal) return refusal;
  const pages = hugePageShortage(pod);
  if (pages) return pages;
  if (!hostPorts.reserve(pod)) {
    return { reason: 'HostPortConflict', message: 'Pod was rejected: Pod cannot be started due to host port conflict' };
  }
  const shortage = ledger.reserve(pod.metadata.uid!, podRequests(spec));
  if (shortage) hostPorts.drop(pod.metadata.uid!);
  return shortage && { reason: `OutOf${shortage.resource}`, message: shortageMessage(shortage) };
}

/** While the machine is short of memory only those that asked for none are refused, short of anything else all but critical ones. */
function refusedUnderPressure(pod: Pod, pressure: ReadonlySet<PressureCondition>): Refusal | undefined {
  if (pressure.size === 0 || isCritical(pod)) return undefined;
  if (pressure.size === 1 && pressure.has('MemoryPressure')) {
    if (qosClassOf(pod.spec!) !== 'BestEffort') return undefined;
    if (toleratesAll(pod.spec?.tolerations, { key: 'node.kubernetes.io/memory-pressure', effect: 'NoSchedule' }))
      return undefined;
  }
  const message = `Pod was rejected: The node had condition: [${[...pressure].sort().join(' ')}]. `;
  return { reason: 'Evicted', message };
}

/** The Node offers no huge pages, so that the scheduler places no such pod here; one that names the node itself comes all the same. */
function hugePageShortage({ spec }: Pod): Refusal | undefined {
  for (const [resource, amount] of Object.entries(podAmounts(spec!, 'requests', { overhead: true }))) {
    const requested = resource.startsWith('hugepages-') ? quantityValue(amount) : 0;
    if (requested > 0) {
      return { reason: `OutOf${resource}`, message: shortageMessage({ resource, requested, used: 0, capacity: 0 }) };
    }
  }
  return undefined;
}

function shortageMessage({ resource, requested, used, capacity }: Omit<Shortage, 'resource'> & { resource: string }): string {
  return `Pod was rejected: Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`;
}
