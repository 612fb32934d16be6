/** RuntimeClass: a way to run containers, by the name of its handler on the machines. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { RuntimeClass } from '../../machinery/kind-types.ts';
import { validateLabels, validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Label, isDns1123Subdomain } from '../../machinery/names.ts';
import { canonicalizeQuantities } from '../../machinery/pod-defaults.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkImmutable, checkName, checkQuantity } from './field-errors.ts';
import { oldVersion } from './old-versions.ts';
import { validateTolerations } from './placement-validation.ts';

export const runtimeClassKind: KindDefinition<RuntimeClass> = {
  group: 'node.k8s.io',
  kind: 'RuntimeClass',
  plural: 'runtimeclasses',
  singular: 'runtimeclass',
  namespaced: false,
  versions: [
    { name: 'v1', schema: 'node.v1.RuntimeClass' },
    oldVersion('node.k8s.io', {
      name: 'v1beta1',
      schema: 'node.v1beta1.RuntimeClass',
      releases: ['1.20', '1.25'],
      use: 'node.k8s.io/v1 RuntimeClass',
    }),
  ],
  hasStatus: false,
  generationFields: [],

  setDefaults({ overhead }) {
    canonicalizeQuantities(overhead?.podFixed);
  },

  validate({ metadata, handler, overhead, scheduling }) {
    const errors = [
      ...validateMetadata(metadata, { namespaced: false, nameCheck: isDns1123Subdomain }),
      ...checkName('handler', handler, isDns1123Label),
    ];
    for (const [name, amount] of Object.entries(overhead?.podFixed ?? {})) {
      errors.push(...checkQuantity(`overhead.podFixed[${name}]`, amount));
    }
    return [
      ...errors,
      ...validateLabels(scheduling?.nodeSelector, 'scheduling.nodeSelector'),
      ...validateTolerations(scheduling?.tolerations, 'scheduling.tolerations'),
    ];
  },

  validateUpdate: (next, previous) => checkImmutable('handler', next.handler, previous.handler),

  columns: [nameColumn, column('Handler', ({ handler }) => handler, 'Its name on the machines.'), ageColumn],
};
