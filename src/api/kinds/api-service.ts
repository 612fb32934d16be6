/** APIService: a group and version, and who serves it: this server (without a service) or one of the cluster's services. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { ApiService } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1035Label, isDns1123Subdomain } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkPortNumber, invalidValue, invalidWhen, required } from './field-errors.ts';
import { oldVersion } from './old-versions.ts';
import { isPathSegment } from './rbac-validation.ts';

const group = 'apiregistration.k8s.io';
const groupPriorityMax = 20_000;
const versionPriorityMax = 1_000;
const httpsPort = 443;

export const apiServiceKind: KindDefinition<ApiService> = {
  group,
  kind: 'APIService',
  plural: 'apiservices',
  singular: 'apiservice',
  categories: ['api-extensions'],
  namespaced: false,
  versions: [
    { name: 'v1', schema: 'apiregistration.v1.APIService' },
    oldVersion(group, {
      name: 'v1beta1',
      schema: 'apiregistration.v1.APIService',
      releases: ['1.19', '1.22'],
      use: `${group}/v1 APIService`,
    }),
  ],
  hasStatus: true,
  generationFields: [],

  setDefaults({ spec }) {
    if (spec?.service) spec.service.port ??= httpsPort;
  },

  prepare(next, _, { creating, nowMs }) {
    if (!creating) return;
    next.status = {};
    if (next.spec?.service) return;
    const lastTransitionTime = `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
    const message = 'Local APIServices are always available';
    next.status.conditions = [{ type: 'Available', status: 'True', lastTransitionTime, reason: 'Local', message }];
  },

  validate: (service) => [
    ...validateMetadata(service.metadata, { namespaced: false, nameCheck: isPathSegment }),
    ...validateName(service),
    ...validateSpec(service),
  ],

  columns: [
    nameColumn,
    column('Service', serviceCell, 'Who serves it: Local, or the service.'),
    column('Available', availableCell, 'Whether the service answers.'),
    ageColumn,
  ],
};

function serviceCell({ spec }: ApiService): string {
  return spec?.service ? `${spec.service.namespace}/${spec.service.name}` : 'Local';
}

function availableCell({ status }: ApiService): string {
  const condition = status?.conditions?.find(({ type }) => type === 'Available');
  if (!condition) return 'Unknown';
  return condition.status === 'True' ? 'True' : `${condition.status} (${condition.reason ?? ''})`;
}

function validateName({ metadata, spec }: ApiService): FieldError[] {
  const wanted = `${spec?.version ?? ''}.${spec?.group ?? ''}`;
  if (metadata.name === wanted) return [];
  const detail = `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(wanted)}`;
  return [invalidValue('metadata.name', metadata.name, detail)];
}

function validateSpec({ spec }: ApiService): FieldError[] {
  const { group: name = '', version = '', groupPriorityMinimum: groupPriority = 0, versionPriority = 0 } = spec ?? {};
  const errors: FieldError[] = [];
  if (name === '' && version !== 'v1') {
    errors.push(required('spec.group', 'only v1 may have an empty group and it better be legacy kube'));
  }
  if (name !== '') errors.push(...invalidWhen('spec.group', name, isDns1123Subdomain));
  errors.push(...invalidWhen('spec.version', version, isDns1035Label));
  if (groupPriority <= 0 || groupPriority > groupPriorityMax) {
    const detail = `must be positive and less than ${groupPriorityMax}`;
    errors.push(invalidValue('spec.groupPriorityMinimum', groupPriority, detail));
  }
  if (versionPriority <= 0 || versionPriority > versionPriorityMax) {
    errors.push(invalidValue('spec.versionPriority', versionPriority, `must be positive and less than ${versionPriorityMax}`));
  }
  return [...errors, ...validateService(spec)];
}

function validateService(spec: ApiService['spec']): FieldError[] {
  const { service, caBundle, insecureSkipTLSVerify: insecure = false } = spec ?? {};
  if (!service) {
    const errors: FieldError[] = [];
    if (caBundle) errors.push(invalidValue('spec.caBundle', caBundle, 'local APIServices may not have a caBundle'));
    if (insecure) {
      const detail = 'local APIServices may not have insecureSkipTLSVerify';
      errors.push(invalidValue('spec.insecureSkipTLSVerify', insecure, detail));
    }
    return errors;
  }
  const errors: FieldError[] = [];
  if (!service.namespace) errors.push(required('spec.service.namespace'));
  if (!service.name) errors.push(required('spec.service.name'));
  errors.push(...checkPortNumber('spec.service.port', service.port ?? httpsPort));
  if (insecure && caBundle) {
    errors.push(invalidValue('spec.insecureSkipTLSVerify', insecure, 'may not be true if caBundle is present'));
  }
  return errors;
}
