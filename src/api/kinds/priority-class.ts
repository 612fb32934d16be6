/** PriorityClass: which pods may push others aside. That there is one default at most is admission's rule (admission/priority.ts). */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { PriorityClass } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import { ageColumn, column, integerColumn, nameColumn } from './columns.ts';
import { checkImmutable, checkOneOf, notPermitted } from './field-errors.ts';
import { oldVersion } from './old-versions.ts';

const userValueMax = 1_000_000_000;
const systemPrefix = 'system-';
export const systemClasses: Record<string, number> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
};

export const priorityClassKind: KindDefinition<PriorityClass> = {
  group: 'scheduling.k8s.io',
  kind: 'PriorityClass',
  plural: 'priorityclasses',
  singular: 'priorityclass',
  shortNames: ['pc'],
  namespaced: false,
  versions: [
    { name: 'v1', schema: 'scheduling.v1.PriorityClass' },
    oldVersion('scheduling.k8s.io', {
      name: 'v1beta1',
      schema: 'scheduling.v1beta1.PriorityClass',
      releases: ['1.14', '1.22'],
      use: 'scheduling.k8s.io/v1 PriorityClass',
    }),
  ],
  hasStatus: false,
  generationFields: ['value', 'globalDefault', 'description', 'preemptionPolicy'],

  setDefaults(priorityClass) {
    priorityClass.value ??= 0;
    priorityClass.preemptionPolicy ||= 'PreemptLowerPriority';
    if (priorityClass.globalDefault === false) delete priorityClass.globalDefault;
  },

  validate: (priorityClass) => [
    ...validateMetadata(priorityClass.metadata, { namespaced: false, nameCheck: isDns1123Subdomain }),
    ...validateValue(priorityClass),
    ...checkOneOf('preemptionPolicy', priorityClass.preemptionPolicy, ['Never', 'PreemptLowerPriority']),
  ],

  validateUpdate(next, previous) {
    const errors: FieldError[] = [];
    if (next.value !== previous.value) errors.push(notPermitted('value', 'may not be changed in an update.'));
    return [...errors, ...checkImmutable('preemptionPolicy', next.preemptionPolicy, previous.preemptionPolicy)];
  },

  columns: [
    nameColumn,
    integerColumn('Value', ({ value }) => value ?? 0, 'The priority of its pods.'),
    {
      ...column('Global-Default', ({ globalDefault }) => globalDefault ?? false, 'Whether pods without a class get it.'),
      type: 'boolean',
    },
    ageColumn,
    column('PreemptionPolicy', ({ preemptionPolicy }) => preemptionPolicy ?? '', 'Whether its pods push others aside.'),
  ],
};

function validateValue({ metadata, value = 0 }: PriorityClass): FieldError[] {
  const { name } = metadata;
  if (name.startsWith(systemPrefix)) {
    const known = systemClasses[name];
    if (known === value) return [];
    const why =
      known === undefined ? `${name} is not a known system priority class` : `value of ${name} PriorityClass must be ${known}`;
    const detail = `priority class names with '${systemPrefix}' prefix are reserved for system use only. error: ${why}`;
    return [notPermitted('metadata.name', detail)];
  }
  if (value <= userValueMax) return [];
  return [notPermitted('value', `maximum allowed value of a user defined priority is ${userValueMax}`)];
}
