/**
 * Node leases without writes: machines tell of themselves by gossip, so the lease that clients of Kubernetes look at for a
 * sign of life (kubectl describe node) is made from the table of heartbeats when somebody asks.
 */
import type { KindDefinition } from '../machinery/kind.ts';
import type { NodeHealthView } from '../machinery/node-health.ts';
import type { Lease } from '../machinery/types.ts';
import type { RegistryContext } from './registry-types.ts';

export const nodeLeaseNamespace = 'kube-node-lease';
const leaseDurationSeconds = 4;

function isLeaseKind(kind: KindDefinition): boolean {
  return kind.group === 'coordination.k8s.io' && kind.plural === 'leases';
}

/** Undefined when this is not a node's lease, or that node has never been heard of. */
export function nodeLease(
  context: RegistryContext,
  kind: KindDefinition,
  namespace: string | undefined,
  name: string,
): Lease | undefined {
  if (!isLeaseKind(kind) || namespace !== nodeLeaseNamespace) return undefined;
  const view = context.nodeHealth.get(name);
  return view && leaseOf(view, context.store.revision);
}

/** The leases of all nodes, when the collection holds them. */
export function nodeLeases(context: RegistryContext, kind: KindDefinition, namespace: string | undefined): Lease[] {
  if (!isLeaseKind(kind) || (namespace !== undefined && namespace !== nodeLeaseNamespace)) return [];
  return context.nodeHealth.list().map((view) => leaseOf(view, context.store.revision));
}

function leaseOf(view: NodeHealthView, revision: number): Lease {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: view.nodeName, namespace: nodeLeaseNamespace, resourceVersion: String(revision) },
    spec: {
      holderIdentity: view.nodeName,
      leaseDurationSeconds,
      renewTime: microTime(view.lastHeartbeatMs),
    },
  };
}

/** RFC 3339 with six decimals, as MicroTime is written. */
function microTime(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 23)}000Z`;
}
