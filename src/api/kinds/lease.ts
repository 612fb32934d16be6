/** Lease: who holds a role, and until when. */
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import type { Lease } from '../../machinery/types.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkNotNegative, invalidValue } from './field-errors.ts';

export const leaseKind: KindDefinition<Lease> = {
  group: 'coordination.k8s.io',
  kind: 'Lease',
  plural: 'leases',
  singular: 'lease',
  namespaced: true,
  versions: [{ name: 'v1', schema: 'coordination.v1.Lease' }],
  hasStatus: false,
  createOnUpdate: true,
  generationFields: [],

  setDefaults(lease) {
    lease.spec ??= {};
  },

  validate({ metadata, spec }) {
    const errors = validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain });
    const { leaseDurationSeconds, leaseTransitions } = spec ?? {};
    if (leaseDurationSeconds != null && leaseDurationSeconds <= 0) {
      errors.push(invalidValue('spec.leaseDurationSeconds', leaseDurationSeconds, 'must be greater than 0'));
    }
    return [...errors, ...checkNotNegative('spec.leaseTransitions', leaseTransitions)];
  },

  columns: [nameColumn, column('Holder', ({ spec }) => spec?.holderIdentity ?? '', 'Who holds it.'), ageColumn],
};
