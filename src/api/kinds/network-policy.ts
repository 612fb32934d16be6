/** NetworkPolicy: who may talk to whom. */
import { isIP } from 'node:net';
import type { KindDefinition } from '../../machinery/kind.ts';
import type { NetworkPolicy } from '../../machinery/kind-types.ts';
import { validateLabelSelector, validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain, isPortName } from '../../machinery/names.ts';
import { formatLabelSelector } from '../../machinery/selectors.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { LabelSelector } from '../../machinery/types.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkOneOf, checkPortNumber, invalidValue, invalidWhen, notPermitted, required } from './field-errors.ts';
import { oldVersion } from './old-versions.ts';

type Spec = NonNullable<NetworkPolicy['spec']>;
type Peer = NonNullable<NonNullable<Spec['egress']>[number]['to']>[number];
type Port = NonNullable<NonNullable<Spec['egress']>[number]['ports']>[number];
/** The official model cannot have a member called `from`. */
interface IngressRule {
  ports?: Port[];
  from?: Peer[];
}

const policyTypes = ['Egress', 'Ingress'];
const protocols = ['SCTP', 'TCP', 'UDP'];

export const networkPolicyKind: KindDefinition<NetworkPolicy> = {
  group: 'networking.k8s.io',
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
  singular: 'networkpolicy',
  shortNames: ['netpol'],
  namespaced: true,
  versions: [
    { name: 'v1', schema: 'networking.v1.NetworkPolicy' },
    oldVersion('networking.k8s.io', {
      group: 'extensions',
      name: 'v1beta1',
      schema: 'extensions.v1beta1.NetworkPolicy',
      releases: ['1.9', '1.16'],
      use: 'networking.k8s.io/v1 NetworkPolicy',
    }),
  ],
  hasStatus: false,

  setDefaults(policy) {
    policy.spec ??= {} as Spec;
    const { spec } = policy;
    spec.podSelector ??= {};
    if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'];
    for (const { ports = [] } of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
      for (const port of ports) port.protocol ||= 'TCP';
    }
  },

  validate: ({ metadata, spec }) => [
    ...validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
    ...validateSpec(spec as Spec),
  ],

  columns: [
    nameColumn,
    column('Pod-Selector', ({ spec }) => formatLabelSelector(spec?.podSelector), 'Chooses the pods that it protects.'),
    ageColumn,
  ],
};

function validateSpec(spec: Spec): FieldError[] {
  const errors = validateLabelSelector(spec.podSelector as LabelSelector, 'spec.podSelector');
  for (const [index, { ports, from }] of ((spec.ingress ?? []) as IngressRule[]).entries()) {
    errors.push(...validatePorts(ports, `spec.ingress[${index}].ports`));
    errors.push(...validatePeers(from, `spec.ingress[${index}].from`));
  }
  for (const [index, { ports, to }] of (spec.egress ?? []).entries()) {
    errors.push(...validatePorts(ports, `spec.egress[${index}].ports`));
    errors.push(...validatePeers(to, `spec.egress[${index}].to`));
  }
  const types = spec.policyTypes ?? [];
  if (types.length > policyTypes.length) {
    errors.push(invalidValue('spec.policyTypes', types, 'may not specify more than two policyTypes'));
    return errors;
  }
  for (const [index, type] of types.entries()) errors.push(...checkOneOf(`spec.policyTypes[${index}]`, type, policyTypes));
  return errors;
}

function validatePorts(ports: Port[] | undefined, path: string): FieldError[] {
  return (ports ?? []).flatMap(({ protocol, port, endPort }, index) => {
    const at = `${path}[${index}]`;
    const errors = checkOneOf(`${at}.protocol`, protocol, protocols);
    if (typeof port === 'number') errors.push(...checkPortNumber(`${at}.port`, port));
    else if (port !== undefined) errors.push(...invalidWhen(`${at}.port`, port, isPortName));
    if (endPort === undefined) return errors;
    if (port === undefined)
      return [...errors, notPermitted(`${at}.endPort`, 'may not be specified when `port` is not specified')];
    if (typeof port === 'string')
      return [...errors, notPermitted(`${at}.endPort`, 'may not be specified when `port` is non-numeric')];
    if (endPort < port) errors.push(invalidValue(`${at}.endPort`, endPort, 'must be greater than or equal to `port`'));
    return [...errors, ...checkPortNumber(`${at}.endPort`, endPort)];
  });
}

function validatePeers(peers: Peer[] | undefined, path: string): FieldError[] {
  return (peers ?? []).flatMap(({ podSelector, namespaceSelector, ipBlock }, index) => {
    const at = `${path}[${index}]`;
    const errors = [
      ...validateLabelSelector(podSelector as LabelSelector | undefined, `${at}.podSelector`),
      ...validateLabelSelector(namespaceSelector as LabelSelector | undefined, `${at}.namespaceSelector`),
    ];
    if (!podSelector && !namespaceSelector && !ipBlock) return [...errors, required(at, 'must specify a peer')];
    if (!ipBlock) return errors;
    if (podSelector || namespaceSelector) {
      errors.push(notPermitted(at, 'may not specify both ipBlock and another peer'));
    }
    errors.push(...validateCidr(ipBlock.cidr, `${at}.ipBlock.cidr`));
    for (const [place, except] of (ipBlock.except ?? []).entries()) {
      errors.push(...validateCidr(except, `${at}.ipBlock.except[${place}]`));
    }
    return errors;
  });
}

/** Also for service CIDRs. */
export function validateCidr(value: string | undefined, path: string): FieldError[] {
  if (!value) return [required(path)];
  const [address = '', bits = '', ...rest] = value.split('/');
  const family = isIP(address);
  const fine = family !== 0 && rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
  return fine ? [] : [invalidValue(path, value, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')];
}
