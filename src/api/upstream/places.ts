/** Where a connection leads: to a port of a pod, or to an address that every machine can reach. Pure but for the store it reads. */
import type { Random } from '../../lib/random.ts';
import { badRequest, notFound, serviceUnavailable } from '../../machinery/status.ts';
import type { EndpointSlice, Service } from '../../machinery/types.ts';
import type { StoreReader } from '../../store/types.ts';
import { objectOf } from '../stored-objects.ts';

export type Place =
  /** Through the agent of its node: a pod network is not reachable from every peer. */
  | { type: 'pod'; nodeName: string; namespace: string; pod: string; port: number }
  | { type: 'address'; host: string; port: number }
  /** The HTTP server of a node's agent. */
  | { type: 'agent'; nodeName: string };

type ServicePort = NonNullable<NonNullable<Service['spec']>['ports']>[number];

const sliceLabel = 'kubernetes.io/service-name';

/**
 * A ready endpoint of a service's port. `port` is a number or a name of the service; undefined takes its only port.
 * StatusError 404 without the service, 400 without the port, 503 when nothing behind it is ready.
 */
export function placeOfService(
  { store, random }: { store: StoreReader; random: Random },
  service: { namespace: string; name: string; port: number | string | undefined },
): Place {
  const { namespace, name } = service;
  const record = store.get(`/registry/core/services/${namespace}/${name}`);
  if (!record) throw notFound({ group: '', resource: 'services' }, name);
  const { spec } = objectOf(record) as Service;
  const port = portOf(spec?.ports ?? [], service);
  if (spec?.type === 'ExternalName') {
    const number = port?.port ?? Number(service.port);
    if (!Number.isInteger(number)) throw badRequest(`no service port "${service.port}" found for service "${name}"`);
    return { type: 'address', host: spec.externalName ?? '', port: number };
  }
  if (!port) {
    const shown = typeof service.port === 'number' ? service.port : JSON.stringify(service.port ?? '');
    throw serviceUnavailable(`no service port ${shown} found for service "${name}"`);
  }
  const places = store
    .list(`/registry/discovery.k8s.io/endpointslices/${namespace}/`)
    .records.map((found) => objectOf(found) as EndpointSlice)
    .filter(({ metadata }) => metadata.labels?.[sliceLabel] === name)
    .flatMap((slice) => readyPlaces(slice, port, namespace));
  const place = places[places.length > 1 ? random.int(places.length) : 0];
  if (!place) throw serviceUnavailable(`no endpoints available for service "${name}"`);
  return place;
}

function portOf(ports: ServicePort[], { port }: { port: number | string | undefined }): ServicePort | undefined {
  if (port === undefined || port === '') return ports.length === 1 ? ports[0] : ports.find(({ name }) => !name);
  const named = ports.find(({ name }) => name === String(port));
  return named ?? ports.find((candidate) => candidate.port === Number(port));
}

function readyPlaces(slice: EndpointSlice, { name: wanted = '' }: ServicePort, namespace: string): Place[] {
  const port = slice.ports?.find(({ name = '' }) => name === wanted)?.port;
  if (port === undefined) return [];
  return (slice.endpoints ?? []).flatMap(({ addresses, conditions, targetRef, nodeName }): Place[] => {
    const [host] = addresses;
    if (conditions?.ready === false || host === undefined) return [];
    if (targetRef?.kind === 'Pod' && targetRef.name && nodeName) {
      return [{ type: 'pod', nodeName, namespace: targetRef.namespace ?? namespace, pod: targetRef.name, port }];
    }
    return [{ type: 'address', host, port }];
  });
}
