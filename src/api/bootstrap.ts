/** What clients expect in every cluster from its first minute: the system's namespaces, roles and the `kubernetes` Service. */
import type { Client } from '../machinery/client.ts';
import { namespaces, priorityClasses, serviceAccounts, services } from '../machinery/resources.ts';
import { isReason } from '../machinery/status.ts';
import type { Service } from '../machinery/types.ts';
import { systemClasses } from './kinds/priority-class.ts';
import { reconcileDefaultRoles } from './rbac/reconcile.ts';

const systemNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
/** Where the peers' API listens, for the Service's target. Its endpoints name the real ports. */
const apiTargetPort = 6443;

/** Creates what is missing; leaves what is there as it is. Rejects with the first error that is not "already exists". */
export async function bootstrapCluster(client: Client, apiAddress: string, signal: AbortSignal): Promise<void> {
  for (const name of systemNamespaces) {
    await ignoreExisting(client.create(namespaces, { metadata: { name } }, { signal }));
    await ignoreExisting(client.create(serviceAccounts, { metadata: { name: 'default' } }, { namespace: name, signal }));
  }
  await reconcileDefaultRoles(client, signal);
  for (const [name, value] of Object.entries(systemClasses)) {
    const description = 'For pods without which the cluster, or a machine of it, does not work.';
    await ignoreExisting(client.create(priorityClasses, { metadata: { name }, value, description }, { signal }));
  }
  const kubernetes = {
    metadata: { name: 'kubernetes', labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: {
      type: 'ClusterIP',
      clusterIP: apiAddress,
      ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: apiTargetPort }],
    },
  };
  await ignoreExisting(client.create<Service>(services, kubernetes, { namespace: 'default', signal }));
}

async function ignoreExisting(creation: Promise<unknown>): Promise<void> {
  try {
    await creation;
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
  }
}
