/** Ingress: how requests from outside find their service. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { Ingress } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1035Label, isDns1123Subdomain, isPortName } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkName, checkOneOf, checkPortNumber, invalidValue, invalidWhen, required } from './field-errors.ts';
import { currentIngress, oldIngress } from './ingress-versions.ts';
import { oldVersion } from './old-versions.ts';
import { formatAddresses } from './service.ts';

type Spec = NonNullable<Ingress['spec']>;
type Backend = NonNullable<Spec['defaultBackend']>;
type Path = NonNullable<NonNullable<Spec['rules']>[number]['http']>['paths'][number];

const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix'];
const hostsShown = 3;
const old = { toStorage: currentIngress, fromStorage: oldIngress, use: 'networking.k8s.io/v1 Ingress' };
/** What a server of patterns may not find in a path that is compared part by part. */
const forbiddenParts = ['//', '/./', '/../', '%2f', '%2F'];
const forbiddenEnds = ['/..', '/.'];

export const ingressKind: KindDefinition<Ingress> = {
  group: 'networking.k8s.io',
  kind: 'Ingress',
  plural: 'ingresses',
  singular: 'ingress',
  shortNames: ['ing'],
  namespaced: true,
  versions: [
    { name: 'v1', schema: 'networking.v1.Ingress' },
    oldVersion('networking.k8s.io', {
      name: 'v1beta1',
      schema: 'networking.v1beta1.Ingress',
      releases: ['1.19', '1.22'],
      ...old,
    }),
    oldVersion('networking.k8s.io', {
      group: 'extensions',
      name: 'v1beta1',
      schema: 'extensions.v1beta1.Ingress',
      releases: ['1.14', '1.22'],
      ...old,
    }),
  ],
  hasStatus: true,

  setDefaults(ingress) {
    ingress.spec ??= {};
    ingress.status ??= {};
    ingress.status.loadBalancer ??= {};
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = { loadBalancer: {} };
  },

  validate: ({ metadata, spec }) => [
    ...validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
    ...validateSpec(spec ?? {}),
  ],

  columns: [
    nameColumn,
    column('Class', ({ spec }) => spec?.ingressClassName ?? '<none>', 'Who serves it.'),
    column('Hosts', hostsCell, 'Names that it answers to.'),
    column('Address', ({ status }) => formatAddresses(status?.loadBalancer?.ingress), 'Where it is served.'),
    column('Ports', ({ spec }) => (spec?.tls?.length ? '80, 443' : '80'), 'Ports on which it is served.'),
    ageColumn,
  ],
};

function hostsCell({ spec }: Ingress): string {
  const hosts = (spec?.rules ?? []).flatMap(({ host }) => (host ? [host] : []));
  if (hosts.length === 0) return '*';
  const shown = hosts.slice(0, hostsShown).join(',');
  return hosts.length > hostsShown ? `${shown} + ${hosts.length - hostsShown} more...` : shown;
}

function validateSpec({ ingressClassName, defaultBackend, rules = [], tls = [] }: Spec): FieldError[] {
  const errors: FieldError[] = [];
  if (rules.length === 0 && !defaultBackend) {
    errors.push(invalidValue('spec', rules, 'either `defaultBackend` or `rules` must be specified'));
  }
  if (defaultBackend) errors.push(...validateBackend(defaultBackend, 'spec.defaultBackend'));
  for (const [index, { host, http }] of rules.entries()) {
    const path = `spec.rules[${index}]`;
    if (host) errors.push(...validateHost(host, `${path}.host`));
    if (!http) continue;
    if (!http.paths?.length) errors.push(required(`${path}.http.paths`));
    for (const [place, one] of (http.paths ?? []).entries()) errors.push(...validatePath(one, `${path}.http.paths[${place}]`));
  }
  for (const [index, { hosts = [] }] of tls.entries()) {
    for (const [place, host] of hosts.entries()) errors.push(...validateHost(host, `spec.tls[${index}].hosts[${place}]`));
  }
  if (ingressClassName != null) errors.push(...invalidWhen('spec.ingressClassName', ingressClassName, isDns1123Subdomain));
  return errors;
}

function validateHost(host: string, path: string): FieldError[] {
  if (/^\d+(\.\d+){3}$/.test(host)) return [invalidValue(path, host, 'must be a DNS name, not an IP address')];
  if (!host.includes('*')) return invalidWhen(path, host, isDns1123Subdomain);
  if (host.startsWith('*.') && isDns1123Subdomain(host.slice(2)).length === 0) return [];
  const detail =
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
  return [invalidValue(path, host, detail)];
}

function validatePath({ path = '', pathType, backend }: Path, at: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!pathType) errors.push(required(`${at}.pathType`, 'pathType must be specified'));
  else errors.push(...checkOneOf(`${at}.pathType`, pathType, pathTypes));
  if (pathType === 'Exact' || pathType === 'Prefix') {
    if (!path.startsWith('/')) errors.push(invalidValue(`${at}.path`, path, 'must be an absolute path'));
    for (const part of forbiddenParts) {
      if (path.includes(part)) errors.push(invalidValue(`${at}.path`, path, `must not contain '${part}'`));
    }
    for (const end of forbiddenEnds) {
      if (path.endsWith(end)) errors.push(invalidValue(`${at}.path`, path, `cannot end with '${end}'`));
    }
  } else if (path && !path.startsWith('/')) {
    errors.push(invalidValue(`${at}.path`, path, 'must be an absolute path'));
  }
  return [...errors, ...validateBackend(backend ?? {}, `${at}.backend`)];
}

function validateBackend({ service, resource }: Backend, path: string): FieldError[] {
  if (service && resource) return [invalidValue(path, '', 'cannot set both resource and service backends')];
  if (!service) {
    if (!resource) return [required(path, 'must specify a service or a resource backend')];
    const errors = resource.kind ? [] : [required(`${path}.resource.kind`)];
    return resource.name ? errors : [...errors, required(`${path}.resource.name`)];
  }
  const errors = checkName(`${path}.service.name`, service.name, isDns1035Label);
  const { name, number } = service.port ?? {};
  if (name && number) return [...errors, invalidValue(path, '', 'cannot set both port name & port number')];
  if (name) return [...errors, ...invalidWhen(`${path}.service.port.name`, name, isPortName)];
  if (!number) return [...errors, required(path, 'port name or number is required')];
  return [...errors, ...checkPortNumber(`${path}.service.port.number`, number)];
}
