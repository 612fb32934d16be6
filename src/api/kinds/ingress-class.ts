/** IngressClass: which controller serves the ingresses that name it. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { IngressClass } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Label, isDns1123Subdomain } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkImmutable, checkName, checkOneOf, invalidValue, notPermitted, required } from './field-errors.ts';
import { oldVersion } from './old-versions.ts';

type Parameters = NonNullable<NonNullable<IngressClass['spec']>['parameters']>;

const controllerLengthMax = 250;

export const ingressClassKind: KindDefinition<IngressClass> = {
  group: 'networking.k8s.io',
  kind: 'IngressClass',
  plural: 'ingressclasses',
  singular: 'ingressclass',
  namespaced: false,
  versions: [
    { name: 'v1', schema: 'networking.v1.IngressClass' },
    oldVersion('networking.k8s.io', {
      name: 'v1beta1',
      schema: 'networking.v1beta1.IngressClass',
      releases: ['1.19', '1.22'],
      use: 'networking.k8s.io/v1 IngressClass',
    }),
  ],
  hasStatus: false,

  setDefaults({ spec }) {
    if (spec?.parameters) spec.parameters.scope ||= 'Cluster';
  },

  validate({ metadata, spec }) {
    const errors = validateMetadata(metadata, { namespaced: false, nameCheck: isDns1123Subdomain });
    const controller = spec?.controller ?? '';
    if (controller === '') errors.push(required('spec.controller'));
    else if (controller.length > controllerLengthMax) {
      const detail = `may not be more than ${controllerLengthMax} bytes`;
      errors.push({ type: 'TooLong', field: 'spec.controller', detail });
    } else if (!/^[^/]+\/.+$/.test(controller)) {
      errors.push(invalidValue('spec.controller', controller, 'must be a domain-prefixed path (such as "acme.io/foo")'));
    }
    return spec?.parameters ? [...errors, ...validateParameters(spec.parameters)] : errors;
  },

  validateUpdate: (next, previous) => checkImmutable('spec.controller', next.spec?.controller, previous.spec?.controller),

  columns: [
    nameColumn,
    column('Controller', ({ spec }) => spec?.controller ?? '', 'Who serves it.'),
    column('Parameters', parametersCell, 'Settings of the controller.'),
    ageColumn,
  ],
};

function parametersCell({ spec }: IngressClass): string {
  if (!spec?.parameters) return '<none>';
  const { kind, apiGroup, name } = spec.parameters;
  return `${kind}${apiGroup ? `.${apiGroup}` : ''}/${name}`;
}

function validateParameters({ kind, name, scope, namespace }: Parameters): FieldError[] {
  const path = 'spec.parameters';
  const errors = kind ? [] : [required(`${path}.kind`, 'kind is required')];
  if (!name) errors.push(required(`${path}.name`, 'name is required'));
  errors.push(...checkOneOf(`${path}.scope`, scope, ['Cluster', 'Namespace']));
  if (scope === 'Namespace') {
    if (!namespace) errors.push(required(`${path}.namespace`, "`parameters.scope` is set to 'Namespace'"));
    else errors.push(...checkName(`${path}.namespace`, namespace, isDns1123Label));
  } else if (scope === 'Cluster' && namespace != null) {
    errors.push(notPermitted(`${path}.namespace`, "`parameters.scope` is set to 'Cluster'"));
  }
  return errors;
}
