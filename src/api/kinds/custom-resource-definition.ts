/** CustomResourceDefinition: a kind that users bring. What is served for it is made in api/custom-resources. */
import {
  type CustomResourceDefinition,
  cleanupFinalizer,
  conditionOf,
  definitionGroup,
  storageVersionOf,
} from '../../machinery/custom/definition.ts';
import type { KindDefinition } from '../../machinery/kind.ts';
import {
  storedVersionErrors,
  validateDefinition,
  validateDefinitionUpdate,
  validateNewDefinition,
} from '../custom-resources/definition-validation.ts';
import { timestamp } from '../object-metadata.ts';
import { nameColumn } from './columns.ts';
import { fromFirstDefinition, toFirstDefinition } from './custom-resource-definition-versions.ts';
import { oldVersion } from './old-versions.ts';

export const customResourceDefinitionKind: KindDefinition<CustomResourceDefinition> = {
  group: definitionGroup,
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  singular: 'customresourcedefinition',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  namespaced: false,
  versions: [
    { name: 'v1', schema: 'apiextensions.v1.CustomResourceDefinition' },
    oldVersion(definitionGroup, {
      name: 'v1beta1',
      schema: 'apiextensions.v1beta1.CustomResourceDefinition',
      releases: ['1.16', '1.22'],
      use: 'apiextensions.k8s.io/v1 CustomResourceDefinition',
      toStorage: fromFirstDefinition,
      fromStorage: toFirstDefinition,
    }),
  ],
  hasStatus: true,

  setDefaults(definition) {
    definition.spec ??= {} as CustomResourceDefinition['spec'];
    const { spec } = definition;
    spec.names ??= { plural: '', kind: '' };
    const { names } = spec;
    if (!names.singular) names.singular = names.kind?.toLowerCase() ?? '';
    if (!names.listKind && names.kind) names.listKind = `${names.kind}List`;
    spec.conversion ??= { strategy: 'None' };
    const service = spec.conversion.webhook?.clientConfig?.service;
    if (service) service.port ??= 443;
  },

  prepare(next, previous) {
    if (!previous) next.status = { conditions: [], acceptedNames: { plural: '', kind: '' }, storedVersions: [] };
    const storage = next.spec?.versions && storageVersionOf(next);
    const stored = next.status?.storedVersions ?? [];
    if (!storage || stored.includes(storage.name)) return;
    next.status = { ...next.status, storedVersions: [...stored, storage.name] };
  },

  prepareDelete(definition, { nowMs }) {
    const { metadata } = definition;
    metadata.finalizers = [...new Set([...(metadata.finalizers ?? []), cleanupFinalizer])];
    if (conditionOf(definition, 'Terminating')?.status === 'True') return;
    const others = (definition.status?.conditions ?? []).filter(({ type }) => type !== 'Terminating');
    const condition = {
      type: 'Terminating',
      status: 'True',
      reason: 'InstanceDeletionPending',
      message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
      lastTransitionTime: timestamp(nowMs),
    };
    definition.status = { ...definition.status, conditions: [...others, condition] };
  },

  validate: (definition) => validateDefinition(definition),
  validateCreate: (definition) => validateNewDefinition(definition),
  validateUpdate: validateDefinitionUpdate,
  validateStatusUpdate: (next) => storedVersionErrors(next),

  columns: [
    nameColumn,
    {
      name: 'Created At',
      type: 'date',
      priority: 0,
      description: 'When it was created.',
      cell: ({ metadata }) => metadata.creationTimestamp ?? null,
    },
  ],
};
