/**
 * The endpoints of the service `kubernetes` in `default`: the machines that serve the API now. That service has no selector; pods
 * reach the API through it, so it follows the living peers within seconds.
 */
import { isIPv6 } from 'node:net';
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { serviceNameLabel } from '../endpointslice/plan.ts';
import { queueController } from '../queue-controller.ts';
import { same } from '../same.ts';

const namespace = 'default';
const name = 'kubernetes';
const key = `${namespace}/${name}`;
const recheckMs = 5_000;
const managedBy = 'endpointslice.kubernetes.io/managed-by';

/** The two objects for these addresses; in one order, each once. Pure. */
export function planApiEndpoints(addresses: readonly { ip: string; port: number }[], portName: string) {
  const sorted = [...new Map(addresses.map((each) => [`${each.ip} ${each.port}`, each])).values()];
  sorted.sort((a, b) => a.port - b.port || (a.ip < b.ip ? -1 : 1));
  const ports = [...new Set(sorted.map(({ port }) => port))];
  const subsets = ports.map((port) => ({
    addresses: sorted.filter((each) => each.port === port).map(({ ip }) => ({ ip })),
    ports: [{ name: portName, port, protocol: 'TCP' }],
  }));
  // A slice has one set of ports: that of the first port, which is the only one unless peers were set up differently.
  const inSlice = sorted.filter(({ port }) => port === ports[0]);
  const slice = {
    addressType: inSlice[0] && isIPv6(inSlice[0].ip) ? 'IPv6' : 'IPv4',
    endpoints: inSlice.map(({ ip }) => ({ addresses: [ip], conditions: { ready: true } })),
    ports: ports.slice(0, 1).map((port) => ({ name: portName, port, protocol: 'TCP' })),
  };
  return { subsets, slice };
}

export function kubernetesServiceController(context: ControllerContext): Controller {
  const { client, services, nodes, nodeHealth, options } = context;
  const endpoints = context.informer(r.endpoints);
  const slices = context.informer(r.endpointSlices);
  const controller = queueController(context, {
    name: 'kubernetes-service',
    workers: 1,
    reconcile,
    start: () => {
      controller.queue.add(key);
      return nodeHealth.onChange(() => controller.queue.add(key));
    },
  });
  const onObject = ({ object }: { object: { metadata: { name: string; namespace?: string } } }) => {
    if (object.metadata.name === name && object.metadata.namespace === namespace) controller.queue.add(key);
  };
  services.onChange(onObject);
  endpoints.onChange(onObject);
  slices.onChange(onObject);
  nodes.onChange(({ type }) => type !== 'updated' && controller.queue.add(key));

  async function reconcile(_: string, signal: AbortSignal): Promise<void> {
    controller.queue.addAfter(key, recheckMs);
    const service = services.get(namespace, name);
    const addresses = options.apiAddresses();
    // Without any address nothing is known (this peer has just started): what stands is better than nothing.
    if (!service || addresses.length === 0) return;
    const { subsets, slice } = planApiEndpoints(addresses, service.spec?.ports?.[0]?.name ?? 'https');
    await writeEndpoints(subsets, signal);
    await writeSlice(slice, signal);
  }

  async function writeEndpoints(subsets: ReturnType<typeof planApiEndpoints>['subsets'], signal: AbortSignal): Promise<void> {
    const existing = endpoints.get(namespace, name);
    if (existing && same(existing.subsets ?? [], subsets)) return;
    if (existing) await client.update(r.endpoints, { ...existing, subsets }, { signal });
    else await unlessThere(client.create(r.endpoints, { metadata: { name, namespace }, subsets }, { namespace, signal }));
  }

  async function writeSlice(content: ReturnType<typeof planApiEndpoints>['slice'], signal: AbortSignal): Promise<void> {
    const existing = slices.get(namespace, name);
    const { addressType, ...rest } = content;
    if (existing && same(existing.endpoints, rest.endpoints) && same(existing.ports, rest.ports)) return;
    if (existing) await client.update(r.endpointSlices, { ...existing, ...rest }, { signal });
    else {
      const labels = { [serviceNameLabel]: name, [managedBy]: 'kontiki' };
      await unlessThere(
        client.create(r.endpointSlices, { metadata: { name, namespace, labels }, addressType, ...rest }, { namespace, signal }),
      );
    }
  }

  return controller;
}

/** Made meanwhile by another: the watch will show it. */
async function unlessThere(creation: Promise<unknown>): Promise<void> {
  try {
    await creation;
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
  }
}
