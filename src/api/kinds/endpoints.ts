/** Endpoints: the addresses behind a Service, in the old form. */
import { isIP } from 'node:net';
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Label, isDns1123Subdomain } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { Endpoints } from '../../machinery/types.ts';
import { ageColumn, column, firstOf, nameColumn } from './columns.ts';
import { checkName, checkOneOf, checkPortNumber, invalidValue, invalidWhen, required } from './field-errors.ts';
import { validateIp } from './pod-spec-validation.ts';

type Subset = NonNullable<Endpoints['subsets']>[number];
type Address = NonNullable<Subset['addresses']>[number];

const shownMax = 3;

export const endpointsKind: KindDefinition<Endpoints> = {
  group: '',
  kind: 'Endpoints',
  plural: 'endpoints',
  singular: 'endpoints',
  shortNames: ['ep'],
  namespaced: true,
  versions: [{ name: 'v1', schema: 'core.v1.Endpoints' }],
  hasStatus: false,
  createOnUpdate: true,
  generationFields: [],

  setDefaults(endpoints) {
    for (const subset of endpoints.subsets ?? []) {
      for (const port of subset.ports ?? []) port.protocol ||= 'TCP';
    }
  },

  validate(endpoints) {
    const errors = validateMetadata(endpoints.metadata, { namespaced: true, nameCheck: isDns1123Subdomain });
    for (const [index, subset] of (endpoints.subsets ?? []).entries())
      errors.push(...validateSubset(subset, `subsets[${index}]`));
    return errors;
  },

  columns: [nameColumn, column('Endpoints', readyEndpoints, 'Addresses that are ready.'), ageColumn],
};

function validateSubset(subset: Subset, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { addresses = [], notReadyAddresses = [], ports = [] } = subset;
  if (addresses.length + notReadyAddresses.length === 0) {
    errors.push(required(path, 'must specify `addresses` or `notReadyAddresses`'));
  }
  for (const [index, address] of addresses.entries()) errors.push(...validateAddress(address, `${path}.addresses[${index}]`));
  for (const [index, address] of notReadyAddresses.entries()) {
    errors.push(...validateAddress(address, `${path}.notReadyAddresses[${index}]`));
  }
  for (const [index, port] of ports.entries()) {
    const at = `${path}.ports[${index}]`;
    if (ports.length > 1 || port.name) errors.push(...checkName(`${at}.name`, port.name, isDns1123Label));
    errors.push(...checkPortNumber(`${at}.port`, port.port ?? 0));
    errors.push(...checkOneOf(`${at}.protocol`, port.protocol, ['TCP', 'UDP', 'SCTP']));
  }
  return errors;
}

function validateAddress(address: Address, path: string): FieldError[] {
  const errors = [...validateIp(address.ip ?? '', `${path}.ip`), ...validateReachableIp(address.ip ?? '', `${path}.ip`)];
  if (address.hostname) errors.push(...invalidWhen(`${path}.hostname`, address.hostname, isDns1123Label));
  if (address.nodeName) errors.push(...invalidWhen(`${path}.nodeName`, address.nodeName, isDns1123Subdomain));
  return errors;
}

/** Traffic must not be sent to the sender's own machine, nor to everybody. */
export function validateReachableIp(ip: string, path: string): FieldError[] {
  const detail = unreachableBecause(ip);
  return detail ? [invalidValue(path, ip, detail)] : [];
}

function unreachableBecause(ip: string): string | undefined {
  const four = isIP(ip) === 4;
  if (ip === '0.0.0.0' || ip === '::') return 'may not be unspecified (0.0.0.0 or ::)';
  if ((four && ip.startsWith('127.')) || ip === '::1') return 'may not be in the loopback range (127.0.0.0/8, ::1/128)';
  if ((four && ip.startsWith('169.254.')) || /^fe[89ab]/i.test(ip))
    return 'may not be in the link-local range (169.254.0.0/16, fe80::/10)';
  if ((four && ip.startsWith('224.0.0.')) || /^ff.2:/i.test(ip)) {
    return 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)';
  }
  return undefined;
}

function readyEndpoints({ subsets = [] }: Endpoints): string {
  const list = subsets.flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map(({ ip }) => ip)
      : ports.flatMap(({ port }) => addresses.map(({ ip }) => (isIP(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`))),
  );
  return firstOf(list, shownMax, subsets.length ? '' : '<none>');
}
