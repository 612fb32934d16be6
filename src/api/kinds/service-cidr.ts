/** ServiceCIDR and IPAddress: the ranges that addresses of services come from, and the addresses that are taken. */
import { isIP } from 'node:net';
import type { KindDefinition } from '../../machinery/kind.ts';
import type { IpAddress, ServiceCidr } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkImmutable, invalidValue, required } from './field-errors.ts';
import { validateCidr } from './network-policy.ts';

const rangesMax = 2;

export const serviceCidrKind: KindDefinition<ServiceCidr> = {
  group: 'networking.k8s.io',
  kind: 'ServiceCIDR',
  plural: 'servicecidrs',
  singular: 'servicecidr',
  namespaced: false,
  versions: [{ name: 'v1', schema: 'networking.v1.ServiceCIDR' }],
  hasStatus: true,
  generationFields: [],

  setDefaults() {},

  prepare(next, _previous, { creating }) {
    if (creating) next.status = {};
  },

  validate({ metadata, spec }) {
    const errors = validateMetadata(metadata, { namespaced: false, nameCheck: isDns1123Subdomain });
    const ranges = spec?.cidrs ?? [];
    if (ranges.length === 0) return [...errors, required('spec.cidrs', 'at least one CIDR required')];
    if (ranges.length > rangesMax) {
      const detail = 'may only hold up to 2 values';
      errors.push(invalidValue('spec', spec, detail));
    }
    const families = ranges.map((range) => isIP(range.split('/')[0] ?? ''));
    if (ranges.length === rangesMax && families[0] === families[1]) {
      errors.push(
        invalidValue('spec', spec, 'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96'),
      );
    }
    return [...errors, ...ranges.flatMap((range, index) => validateCidr(range, `spec.cidrs[${index}]`))];
  },

  validateUpdate: (next, previous) => checkImmutable('spec.cidrs', next.spec?.cidrs, previous.spec?.cidrs),

  columns: [nameColumn, column('CIDRs', ({ spec }) => spec?.cidrs?.join(',') ?? '', 'Ranges of addresses.'), ageColumn],
};

const isAddress = (name: string) => (isIP(name) ? [] : ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']);

export const ipAddressKind: KindDefinition<IpAddress> = {
  group: 'networking.k8s.io',
  kind: 'IPAddress',
  plural: 'ipaddresses',
  singular: 'ipaddress',
  shortNames: ['ip'],
  namespaced: false,
  versions: [{ name: 'v1', schema: 'networking.v1.IPAddress' }],
  hasStatus: false,
  generationFields: [],

  setDefaults() {},

  validate({ metadata, spec }) {
    const errors = validateMetadata(metadata, { namespaced: false, nameCheck: isAddress });
    if (!spec?.parentRef) return [...errors, required('spec.parentRef')];
    if (!spec.parentRef.resource) errors.push(required('spec.parentRef.resource'));
    if (!spec.parentRef.name) errors.push(required('spec.parentRef.name'));
    return errors;
  },

  validateUpdate: (next, previous) => checkImmutable('spec.parentRef', next.spec?.parentRef, previous.spec?.parentRef),

  columns: [nameColumn, column('ParentRef', parentCell, 'Who has the address.')],

  selectableFields: { 'spec.parentRef.name': ({ spec }) => spec?.parentRef?.name ?? '' },
};

function parentCell({ spec }: IpAddress): string {
  if (!spec?.parentRef) return '<none>';
  const { resource, group, namespace, name } = spec.parentRef;
  return [`${resource}${group ? `.${group}` : ''}`, ...(namespace ? [namespace] : []), name].join('/');
}
