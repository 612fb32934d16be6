/** ConfigMap: settings for pods. */
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import type { ConfigMap } from '../../machinery/types.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { base64Bytes, normalizeBase64, validateImmutableData, validateKeys, validateSize } from './data-validation.ts';
import { bytesOf, invalidValue } from './field-errors.ts';

export const configMapKind: KindDefinition<ConfigMap> = {
  group: '',
  kind: 'ConfigMap',
  plural: 'configmaps',
  singular: 'configmap',
  shortNames: ['cm'],
  namespaced: true,
  versions: [{ name: 'v1', schema: 'core.v1.ConfigMap' }],
  hasStatus: false,
  generationFields: [],

  setDefaults() {},

  prepare(next) {
    normalizeBase64(next.binaryData, 'ConfigMap');
  },

  validate({ metadata, data = {}, binaryData = {} }) {
    const errors = validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain });
    errors.push(...validateKeys(data, 'data'));
    for (const key of Object.keys(data)) {
      if (key in binaryData) errors.push(invalidValue(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    }
    errors.push(...validateKeys(binaryData, 'binaryData'));
    const text = Object.values(data).reduce((sum, value) => sum + bytesOf(value), 0);
    const binary = Object.values(binaryData).reduce((sum, value) => sum + base64Bytes(value), 0);
    return [...errors, ...validateSize(text + binary, '')];
  },

  validateUpdate: (next, previous) => validateImmutableData(next, previous),

  columns: [
    nameColumn,
    column(
      'Data',
      ({ data = {}, binaryData = {} }) => Object.keys(data).length + Object.keys(binaryData).length,
      'Number of entries.',
    ),
    ageColumn,
  ],
};
