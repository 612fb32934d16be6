/** FlowSchema and PriorityLevelConfiguration: which requests share which part of the API server's attention. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { FlowSchema, PriorityLevelConfiguration } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkName, checkOneOf, invalidValue, notPermitted, required } from './field-errors.ts';

type FlowRule = NonNullable<NonNullable<FlowSchema['spec']>['rules']>[number];
type LevelSpec = NonNullable<PriorityLevelConfiguration['spec']>;

const group = 'flowcontrol.apiserver.k8s.io';
const precedenceDefault = 1000;
const precedenceMax = 10_000;
const queuesMax = 10_000_000;
const subjectFields = { Group: 'group', ServiceAccount: 'serviceAccount', User: 'user' } as const;

export const flowSchemaKind: KindDefinition<FlowSchema> = {
  group,
  kind: 'FlowSchema',
  plural: 'flowschemas',
  singular: 'flowschema',
  namespaced: false,
  versions: [{ name: 'v1', schema: 'flowcontrol.v1.FlowSchema' }],
  hasStatus: true,

  setDefaults({ spec }) {
    if (spec) spec.matchingPrecedence ||= precedenceDefault;
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = {};
  },

  validate({ metadata, spec }) {
    const errors = validateMetadata(metadata, { namespaced: false, nameCheck: isDns1123Subdomain });
    const precedence = spec?.matchingPrecedence ?? precedenceDefault;
    if (precedence <= 0) errors.push(invalidValue('spec.matchingPrecedence', precedence, 'must be a positive value'));
    if (precedence > precedenceMax) {
      const detail = `must not be greater than ${precedenceMax}`;
      errors.push(invalidValue('spec.matchingPrecedence', precedence, detail));
    }
    const method = spec?.distinguisherMethod;
    if (method) errors.push(...checkOneOf('spec.distinguisherMethod.type', method.type, ['ByNamespace', 'ByUser']));
    const level = spec?.priorityLevelConfiguration?.name;
    errors.push(...checkName('spec.priorityLevelConfiguration.name', level, isDns1123Subdomain));
    return [...errors, ...(spec?.rules ?? []).flatMap((rule, index) => validateRule(rule, `spec.rules[${index}]`))];
  },

  columns: [
    nameColumn,
    column('PriorityLevel', ({ spec }) => spec?.priorityLevelConfiguration?.name ?? '', 'The level of its requests.'),
    column('MatchingPrecedence', ({ spec }) => spec?.matchingPrecedence ?? 0, 'The smallest that fits wins.'),
    column('DistinguisherMethod', ({ spec }) => spec?.distinguisherMethod?.type ?? '<none>', 'What tells flows apart.'),
    ageColumn,
    column('MissingPL', danglingCell, 'Whether its level does not exist.'),
  ],
};

function danglingCell({ status }: FlowSchema): string {
  return status?.conditions?.find(({ type }) => type === 'Dangling')?.status ?? '?';
}

function validateRule({ subjects = [], resourceRules = [], nonResourceRules = [] }: FlowRule, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (subjects.length === 0) errors.push(required(`${path}.subjects`, 'subjects must contain at least one value'));
  for (const [index, subject] of subjects.entries()) {
    const at = `${path}.subjects[${index}]`;
    errors.push(...checkOneOf(`${at}.kind`, subject.kind, Object.keys(subjectFields)));
    const field = subjectFields[subject.kind as keyof typeof subjectFields];
    if (field && !subject[field]) {
      errors.push(required(`${at}.${field}`, `${field} is required when subject kind is '${subject.kind}'`));
    }
  }
  if (resourceRules.length + nonResourceRules.length === 0) {
    const detail = 'at least one of resourceRules and nonResourceRules has to be non-empty';
    errors.push(required(path, detail));
  }
  return errors;
}

export const priorityLevelConfigurationKind: KindDefinition<PriorityLevelConfiguration> = {
  group,
  kind: 'PriorityLevelConfiguration',
  plural: 'prioritylevelconfigurations',
  singular: 'prioritylevelconfiguration',
  namespaced: false,
  versions: [{ name: 'v1', schema: 'flowcontrol.v1.PriorityLevelConfiguration' }],
  hasStatus: true,

  setDefaults({ spec }) {
    if (spec?.exempt) {
      spec.exempt.nominalConcurrencyShares ??= 0;
      spec.exempt.lendablePercent ??= 0;
    }
    const { limited } = spec ?? {};
    if (!limited) return;
    limited.nominalConcurrencyShares ??= 30;
    limited.lendablePercent ??= 0;
    const { queuing } = limited.limitResponse ?? {};
    if (!queuing) return;
    queuing.handSize ||= 8;
    queuing.queues ||= 64;
    queuing.queueLengthLimit ||= 50;
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = {};
  },

  validate: ({ metadata, spec }) => [
    ...validateMetadata(metadata, { namespaced: false, nameCheck: isDns1123Subdomain }),
    ...validateLevel(spec ?? ({} as LevelSpec)),
  ],

  columns: [
    nameColumn,
    column('Type', ({ spec }) => spec?.type ?? '', 'Whether it is limited.'),
    column('NominalConcurrencyShares', ({ spec }) => spec?.limited?.nominalConcurrencyShares ?? '<none>', 'Its share.'),
    column('Queues', (level) => queuingOf(level)?.queues ?? '<none>', 'Number of queues.'),
    column('HandSize', (level) => queuingOf(level)?.handSize ?? '<none>', 'Queues that a flow may use.'),
    column('QueueLengthLimit', (level) => queuingOf(level)?.queueLengthLimit ?? '<none>', 'Requests in a queue.'),
    ageColumn,
  ],
};

const queuingOf = ({ spec }: PriorityLevelConfiguration) => spec?.limited?.limitResponse?.queuing;

function validateLevel({ type, limited, exempt }: LevelSpec): FieldError[] {
  const errors = checkOneOf('spec.type', type, ['Exempt', 'Limited']);
  if (type === 'Exempt' && limited) {
    errors.push(notPermitted('spec.limited', 'must be nil if the type is not Limited'));
  }
  if (type !== 'Limited') return errors;
  if (exempt) errors.push(notPermitted('spec.exempt', 'must be nil if the type is Limited'));
  if (!limited) return [...errors, required('spec.limited', 'must not be empty when type is Limited')];
  const path = 'spec.limited.limitResponse';
  const { type: response, queuing } = limited.limitResponse ?? {};
  errors.push(...checkOneOf(`${path}.type`, response, ['Queue', 'Reject']));
  if (response === 'Reject' && queuing) {
    errors.push(notPermitted(`${path}.queuing`, 'must be nil if limited.limitResponse.type is not Limited'));
  }
  if (response !== 'Queue') return errors;
  if (!queuing) {
    return [...errors, required(`${path}.queuing`, 'must not be empty if limited.limitResponse.type is Limited')];
  }
  const { queues = 0, handSize = 0, queueLengthLimit = 0 } = queuing;
  if (queueLengthLimit <= 0) errors.push(invalidValue(`${path}.queuing.queueLengthLimit`, queueLengthLimit, 'must be positive'));
  if (queues <= 0) errors.push(invalidValue(`${path}.queuing.queues`, queues, 'must be positive'));
  if (queues > queuesMax) {
    errors.push(invalidValue(`${path}.queuing.queues`, queues, `must not be greater than ${queuesMax}`));
  }
  if (handSize <= 0) errors.push(invalidValue(`${path}.queuing.handSize`, handSize, 'must be positive'));
  if (handSize > queues) {
    const detail = `should not be greater than queues (${queues})`;
    errors.push(invalidValue(`${path}.queuing.handSize`, handSize, detail));
  }
  return errors;
}
