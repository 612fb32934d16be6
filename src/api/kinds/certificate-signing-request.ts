/** CertificateSigningRequest: somebody asks for a certificate; somebody else approves; a signer issues it. */
import { humanDuration } from '../../machinery/duration.ts';
import type { KindDefinition } from '../../machinery/kind.ts';
import type { CertificateSigningRequest } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkImmutable, duplicate, invalidValue, required, sameJson, unsupported } from './field-errors.ts';

type Spec = CertificateSigningRequest['spec'];
type Condition = NonNullable<NonNullable<CertificateSigningRequest['status']>['conditions']>[number];

const usages = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];
const decisions = ['Approved', 'Denied'];
const secondsMin = 600;

export const certificateSigningRequestKind: KindDefinition<CertificateSigningRequest> = {
  group: 'certificates.k8s.io',
  kind: 'CertificateSigningRequest',
  plural: 'certificatesigningrequests',
  singular: 'certificatesigningrequest',
  shortNames: ['csr'],
  namespaced: false,
  versions: [{ name: 'v1', schema: 'certificates.v1.CertificateSigningRequest' }],
  hasStatus: true,
  statusSubresources: ['approval'],
  generationFields: [],

  setDefaults({ status }) {
    for (const condition of status?.conditions ?? []) condition.status ||= 'True';
  },

  prepare(next, previous, { creating, user }) {
    if (!creating) {
      if (previous) next.spec = structuredClone(previous.spec);
      return;
    }
    next.status = {};
    next.spec ??= {} as Spec;
    const { extra: _extra, uid: _uid, ...wish } = next.spec;
    next.spec = { ...wish, ...(user ? { username: user.name, groups: [...user.groups] } : {}) };
  },

  /** A decision is made through `/approval` alone, and a certificate issued through `/status` alone. */
  prepareStatus(next, previous, { nowMs, subresource }) {
    const { certificate, conditions = [] } = next.status ?? {};
    const decided = (of: Condition[]) => of.filter(({ type }) => decisions.includes(type));
    const before = previous.status?.conditions ?? [];
    if (subresource === 'approval') {
      next.status = { ...previous.status, conditions };
    } else {
      const others = conditions.filter(({ type }) => !decisions.includes(type));
      next.status = { ...(certificate === undefined ? {} : { certificate }), conditions: [...decided(before), ...others] };
    }
    const now = `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
    for (const condition of next.status.conditions ?? []) {
      condition.lastUpdateTime ||= now;
      const former = before.find(({ type, status }) => type === condition.type && status === condition.status);
      condition.lastTransitionTime ||= former?.lastTransitionTime ?? now;
    }
    if (next.status.conditions?.length === 0) delete next.status.conditions;
  },

  validate: ({ metadata, spec }) => [
    ...validateMetadata(metadata, { namespaced: false, nameCheck: () => [] }),
    ...validateSpec(spec),
  ],

  validateUpdate: (next, previous) => checkImmutable('spec', next.spec, previous.spec),

  validateStatusUpdate({ status }, previous) {
    const errors = validateConditions(status?.conditions ?? []);
    const before = previous.status?.certificate;
    if (before && !sameJson(status?.certificate, before)) {
      errors.push(
        invalidValue('status.certificate', '<certificate data>', 'updates may not modify existing certificate content'),
      );
    }
    for (const { type } of previous.status?.conditions ?? []) {
      const kept = status?.conditions?.some((condition) => condition.type === type);
      if (!kept && (decisions.includes(type) || type === 'Failed')) {
        errors.push({
          type: 'Forbidden',
          field: 'status.conditions',
          detail: `updates may not remove a condition of type "${type}"`,
        });
      }
    }
    return errors;
  },

  columns: [
    nameColumn,
    ageColumn,
    column('SignerName', ({ spec }) => spec.signerName || '<none>', 'Who shall sign it.'),
    column('Requestor', ({ spec }) => spec.username ?? '', 'Who asks.'),
    column(
      'RequestedDuration',
      ({ spec }) => (spec.expirationSeconds == null ? '<none>' : humanDuration(spec.expirationSeconds * 1000)),
      'How long the certificate shall be good.',
    ),
    column('Condition', conditionCell, 'What has been decided.'),
  ],

  selectableFields: { 'spec.signerName': ({ spec }) => spec?.signerName ?? '' },
};

function conditionCell({ status }: CertificateSigningRequest): string {
  const has = (type: string) => status?.conditions?.some((condition) => condition.type === type) ?? false;
  const decision = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  return [decision, ...(has('Failed') ? ['Failed'] : []), ...(status?.certificate ? ['Issued'] : [])].join(',');
}

function validateSpec({ request, signerName, usages: given = [], expirationSeconds }: Spec): FieldError[] {
  const errors: FieldError[] = [];
  if (!isPemRequest(request)) {
    const detail = 'PEM block type must be CERTIFICATE REQUEST';
    errors.push(invalidValue('spec.request', request ?? '', detail));
  }
  if (given.length === 0) errors.push(required('spec.usages'));
  for (const [index, usage] of given.entries()) {
    if (!usages.includes(usage)) errors.push(unsupported(`spec.usages[${index}]`, usage, usages));
    if (given.indexOf(usage) < index) errors.push(duplicate(`spec.usages[${index}]`, usage));
  }
  if (!signerName) errors.push(required('spec.signerName'));
  else if (signerName === 'kubernetes.io/legacy-unknown') {
    errors.push(invalidValue('spec.signerName', signerName, 'the legacy signerName is not allowed via this API version'));
  } else errors.push(...validateSignerName(signerName));
  if (expirationSeconds != null && expirationSeconds < secondsMin) {
    const detail = `may not specify a duration less than ${secondsMin} seconds (10 minutes)`;
    errors.push(invalidValue('spec.expirationSeconds', expirationSeconds, detail));
  }
  return errors;
}

/** `domain.example/path`. */
function validateSignerName(name: string): FieldError[] {
  const [domain = '', ...rest] = name.split('/');
  const path = rest.join('/');
  if (rest.length !== 1 || domain === '' || path === '') {
    const detail = 'must be a fully qualified domain and path of the form "example.com/signer-name"';
    return [invalidValue('spec.signerName', name, detail)];
  }
  if (isDns1123Subdomain(domain).length > 0 || !domain.includes('.')) {
    return [invalidValue('spec.signerName', domain, 'should be a domain with at least two segments separated by dots')];
  }
  return isDns1123Subdomain(path).map((detail) => invalidValue('spec.signerName', path, detail));
}

function isPemRequest(request: string | undefined): boolean {
  const text = Buffer.from(request ?? '', 'base64').toString('latin1');
  return /-----BEGIN (NEW )?CERTIFICATE REQUEST-----[\s\S]+-----END (NEW )?CERTIFICATE REQUEST-----/.test(text);
}

function validateConditions(conditions: Condition[]): FieldError[] {
  const errors: FieldError[] = [];
  const has = (wanted: string) => conditions.some(({ type }) => type === wanted);
  for (const [index, { type, status }] of conditions.entries()) {
    const path = `status.conditions[${index}]`;
    if (!type) errors.push(required(`${path}.type`));
    const fixed = decisions.includes(type) || type === 'Failed';
    if (fixed && status !== 'True') errors.push(unsupported(`${path}.status`, status, ['True']));
    if (conditions.findIndex((condition) => condition.type === type) < index) errors.push(duplicate(`${path}.type`, type));
  }
  if (has('Approved') && has('Denied')) {
    const detail = 'Approved and Denied conditions are mutually exclusive';
    errors.push(invalidValue('status.conditions', 'Denied', detail));
  }
  return errors;
}
