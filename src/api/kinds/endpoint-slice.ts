/** EndpointSlice: a part of the addresses behind a Service, with their conditions. */
import { isIP } from 'node:net';
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Label, isDns1123Subdomain, isQualifiedName } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { EndpointSlice } from '../../machinery/types.ts';
import { ageColumn, column, firstOf, nameColumn } from './columns.ts';
import { validateReachableIp } from './endpoints.ts';
import { checkImmutable, checkOneOf, checkPortNumber, duplicate, invalidValue, invalidWhen, required } from './field-errors.ts';

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];
type Port = NonNullable<EndpointSlice['ports']>[number];

const addressTypes = ['IPv4', 'IPv6', 'FQDN'];
const endpointsMax = 1000;
const addressesMax = 100;
const portsMax = 20_000;
const shownMax = 3;

export const endpointSliceKind: KindDefinition<EndpointSlice> = {
  group: 'discovery.k8s.io',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  singular: 'endpointslice',
  namespaced: true,
  versions: [{ name: 'v1', schema: 'discovery.v1.EndpointSlice' }],
  hasStatus: false,
  generationFields: ['endpoints', 'ports', 'addressType'],

  setDefaults(slice) {
    slice.endpoints ??= [];
    for (const port of slice.ports ?? []) {
      port.name ??= '';
      port.protocol ||= 'TCP';
    }
  },

  validate(slice) {
    return [
      ...validateMetadata(slice.metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
      ...checkOneOf('addressType', slice.addressType, addressTypes),
      ...validateEndpoints(slice),
      ...validatePorts(slice.ports ?? []),
    ];
  },

  validateUpdate: (next, previous) => checkImmutable('addressType', next.addressType, previous.addressType),

  columns: [
    nameColumn,
    column('AddressType', ({ addressType }) => addressType, 'What the addresses are.'),
    column('Ports', portsCell, 'Ports of every endpoint.'),
    column('Endpoints', endpointsCell, 'Addresses of the endpoints.'),
    ageColumn,
  ],
};

function validateEndpoints({ endpoints = [], addressType }: EndpointSlice): FieldError[] {
  if (endpoints.length > endpointsMax) {
    return [{ type: 'TooMany', field: 'endpoints', detail: `must have at most ${endpointsMax} items` }];
  }
  return endpoints.flatMap((endpoint, index) => validateEndpoint(endpoint, addressType, `endpoints[${index}]`));
}

function validateEndpoint(endpoint: Endpoint, addressType: string, path: string): FieldError[] {
  const addresses = endpoint.addresses ?? [];
  const errors: FieldError[] = [];
  if (addresses.length === 0) errors.push(required(`${path}.addresses`, 'must contain at least 1 address'));
  if (addresses.length > addressesMax) {
    errors.push({ type: 'TooMany', field: `${path}.addresses`, detail: `must have at most ${addressesMax} items` });
  }
  const seen = new Set<string>();
  for (const [index, address] of addresses.entries()) {
    const at = `${path}.addresses[${index}]`;
    if (seen.has(address)) errors.push(duplicate(at, address));
    seen.add(address);
    errors.push(...validateAddress(address, addressType, at));
  }
  if (endpoint.nodeName) errors.push(...invalidWhen(`${path}.nodeName`, endpoint.nodeName, isDns1123Subdomain));
  if (endpoint.hostname) errors.push(...invalidWhen(`${path}.hostname`, endpoint.hostname, isDns1123Label));
  return errors;
}

function validateAddress(address: string, addressType: string, path: string): FieldError[] {
  if (addressType === 'FQDN') return invalidWhen(path, address.replace(/\.$/, ''), isDns1123Subdomain);
  if (addressType !== 'IPv4' && addressType !== 'IPv6') return [];
  if (isIP(address) !== (addressType === 'IPv4' ? 4 : 6)) {
    return [invalidValue(path, address, `must be a valid ${addressType} address`)];
  }
  return validateReachableIp(address, path);
}

function validatePorts(ports: Port[]): FieldError[] {
  if (ports.length > portsMax) return [{ type: 'TooMany', field: 'ports', detail: `must have at most ${portsMax} items` }];
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const path = `ports[${index}]`;
    const name = port.name ?? '';
    const errors = name ? invalidWhen(`${path}.name`, name, isDns1123Label) : [];
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    if (port.port != null) errors.push(...checkPortNumber(`${path}.port`, port.port));
    errors.push(...checkOneOf(`${path}.protocol`, port.protocol, ['TCP', 'UDP', 'SCTP']));
    if (port.appProtocol) errors.push(...invalidWhen(`${path}.appProtocol`, port.appProtocol, isQualifiedName));
    return errors;
  });
}

function portsCell({ ports = [] }: EndpointSlice): string {
  const names = ports.map(({ port, name }) => (port != null ? String(port) : name || '*'));
  return firstOf(names, shownMax, '<unset>');
}

function endpointsCell({ endpoints = [] }: EndpointSlice): string {
  return firstOf(
    endpoints.flatMap(({ addresses }) => addresses ?? []),
    shownMax,
    '<unset>',
  );
}
