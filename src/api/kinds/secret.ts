/** Secret: what must not be read by everybody. Values are base64; `stringData` is a way to write them, never stored. */
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { Secret } from '../../machinery/types.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { base64Bytes, normalizeBase64, validateImmutableData, validateKeys, validateSize } from './data-validation.ts';
import { checkImmutable, invalidValue, required } from './field-errors.ts';

const accountAnnotation = 'kubernetes.io/service-account.name';

export const secretKind: KindDefinition<Secret> = {
  group: '',
  kind: 'Secret',
  plural: 'secrets',
  singular: 'secret',
  namespaced: true,
  versions: [{ name: 'v1', schema: 'core.v1.Secret' }],
  hasStatus: false,
  generationFields: [],

  setDefaults(secret) {
    secret.type ||= 'Opaque';
  },

  prepare(next) {
    for (const [key, value] of Object.entries(next.stringData ?? {})) {
      next.data ??= {};
      next.data[key] = Buffer.from(value, 'utf8').toString('base64');
    }
    delete next.stringData;
    normalizeBase64(next.data, 'Secret');
  },

  validate(secret) {
    const data = secret.data ?? {};
    const bytes = Object.values(data).reduce((sum, value) => sum + base64Bytes(value), 0);
    return [
      ...validateMetadata(secret.metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
      ...validateKeys(data, 'data'),
      ...validateSize(bytes, 'data'),
      ...validateType(secret, data),
    ];
  },

  validateUpdate: (next, previous) => [
    ...checkImmutable('type', next.type, previous.type),
    ...validateImmutableData(next, previous),
  ],

  columns: [
    nameColumn,
    column('Type', ({ type }) => type ?? '', 'What the secret is for.'),
    column('Data', ({ data = {} }) => Object.keys(data).length, 'Number of entries.'),
    ageColumn,
  ],

  selectableFields: { type: ({ type }) => type ?? '' },
};

/** The well-known types promise certain keys to whoever uses them. */
function validateType(secret: Secret, data: Record<string, string>): FieldError[] {
  switch (secret.type) {
    case 'kubernetes.io/service-account-token':
      if (secret.metadata.annotations?.[accountAnnotation]) return [];
      return [required(`metadata.annotations[${accountAnnotation}]`)];
    case 'kubernetes.io/dockercfg':
      return validateJson(data, '.dockercfg');
    case 'kubernetes.io/dockerconfigjson':
      return validateJson(data, '.dockerconfigjson');
    case 'kubernetes.io/basic-auth':
      if (data.username != null || data.password != null) return [];
      return [required('data[username]'), required('data[password]')];
    case 'kubernetes.io/ssh-auth':
      return data['ssh-privatekey'] ? [] : [required('data[ssh-privatekey]')];
    case 'kubernetes.io/tls':
      return ['tls.crt', 'tls.key'].filter((key) => data[key] == null).map((key) => required(`data[${key}]`));
    default:
      return [];
  }
}

function validateJson(data: Record<string, string>, key: string): FieldError[] {
  const value = data[key];
  if (value == null) return [required(`data[${key}]`)];
  const detail = notAnObject(Buffer.from(value, 'base64').toString('utf8'));
  // The value is secret, so the complaint does not show it.
  return detail ? [invalidValue(`data[${key}]`, '<secret contents redacted>', detail)] : [];
}

function notAnObject(text: string): string | undefined {
  if (text === '') return 'unexpected end of JSON input';
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return undefined;
    return 'must be a JSON object';
  } catch {
    return 'must be valid JSON';
  }
}
