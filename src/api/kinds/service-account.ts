/** ServiceAccount: the identity of the programs in pods. */
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import type { ServiceAccount } from '../../machinery/types.ts';
import { ageColumn, column, nameColumn } from './columns.ts';

export const serviceAccountKind: KindDefinition<ServiceAccount> = {
  group: '',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  singular: 'serviceaccount',
  shortNames: ['sa'],
  namespaced: true,
  versions: [{ name: 'v1', schema: 'core.v1.ServiceAccount' }],
  hasStatus: false,
  subresources: ['token'],
  createOnUpdate: true,
  generationFields: [],

  setDefaults() {},

  validate: ({ metadata }) => validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),

  columns: [
    nameColumn,
    column('Secrets', ({ secrets = [] }) => secrets.length, 'Number of secrets that its pods may use.'),
    ageColumn,
  ],
};
