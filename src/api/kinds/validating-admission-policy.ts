/** ValidatingAdmissionPolicy and its binding: rules about writes, as expressions. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding } from '../../machinery/kind-types.ts';
import { validateLabelSelector, validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain, isQualifiedName } from '../../machinery/names.ts';
import { formatLabelSelector } from '../../machinery/selectors.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { LabelSelector } from '../../machinery/types.ts';
import { compilePolicy } from '../admission-policy/expressions.ts';
import { validateMatchConditions, validateOperations } from './admission-rules.ts';
import { ageColumn, column, integerColumn, nameColumn } from './columns.ts';
import { checkName, checkOneOf, duplicate, invalidValue, notPermitted, required } from './field-errors.ts';

type Spec = NonNullable<ValidatingAdmissionPolicy['spec']>;
type BindingSpec = NonNullable<ValidatingAdmissionPolicyBinding['spec']>;
type Match = NonNullable<Spec['matchConstraints']>;

const group = 'admissionregistration.k8s.io';
const actions = ['Audit', 'Deny', 'Warn'];
const reasons = ['Forbidden', 'Invalid', 'RequestEntityTooLarge', 'Unauthorized'];
const annotationsMax = 20;

export const validatingAdmissionPolicyKind: KindDefinition<ValidatingAdmissionPolicy> = {
  group,
  kind: 'ValidatingAdmissionPolicy',
  plural: 'validatingadmissionpolicies',
  singular: 'validatingadmissionpolicy',
  categories: ['api-extensions'],
  namespaced: false,
  versions: [{ name: 'v1', schema: 'admissionregistration.v1.ValidatingAdmissionPolicy' }],
  hasStatus: true,

  setDefaults({ spec }) {
    if (!spec) return;
    spec.failurePolicy ||= 'Fail';
    if (spec.matchConstraints) setMatchDefaults(spec.matchConstraints);
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = {};
  },

  validate: ({ metadata, spec }) => [
    ...validateMetadata(metadata, { namespaced: false, nameCheck: isDns1123Subdomain }),
    ...validatePolicy(spec ?? {}),
    ...compilePolicy(spec ?? {}).errors,
  ],

  columns: [
    nameColumn,
    integerColumn('Validations', ({ spec }) => spec?.validations?.length ?? 0, 'The number of its rules.'),
    column(
      'ParamKind',
      ({ spec }) => (spec?.paramKind ? `${spec.paramKind.apiVersion}/${spec.paramKind.kind}` : '<unset>'),
      'The kind of its parameters.',
    ),
    ageColumn,
  ],
};

export const validatingAdmissionPolicyBindingKind: KindDefinition<ValidatingAdmissionPolicyBinding> = {
  group,
  kind: 'ValidatingAdmissionPolicyBinding',
  plural: 'validatingadmissionpolicybindings',
  singular: 'validatingadmissionpolicybinding',
  categories: ['api-extensions'],
  namespaced: false,
  versions: [{ name: 'v1', schema: 'admissionregistration.v1.ValidatingAdmissionPolicyBinding' }],
  hasStatus: false,

  setDefaults({ spec }) {
    if (spec?.matchResources) setMatchDefaults(spec.matchResources);
  },

  validate: ({ metadata, spec }) => [
    ...validateMetadata(metadata, { namespaced: false, nameCheck: isDns1123Subdomain }),
    ...validateBinding(spec ?? {}),
  ],

  columns: [
    nameColumn,
    column('PolicyName', ({ spec }) => spec?.policyName ?? '', 'The policy that it puts to work.'),
    column('ParamRef', paramRefCell, 'The parameters.'),
    ageColumn,
  ],
};

function setMatchDefaults(match: Match): void {
  match.matchPolicy ||= 'Equivalent';
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  for (const rule of [...(match.resourceRules ?? []), ...(match.excludeResourceRules ?? [])]) rule.scope ||= '*';
}

function paramRefCell({ spec }: ValidatingAdmissionPolicyBinding): string {
  const reference = spec?.paramRef;
  if (!reference) return '<unset>';
  if (reference.name) return `${reference.namespace || '*'}/${reference.name}`;
  return formatLabelSelector(reference.selector);
}

function validatePolicy(spec: Spec): FieldError[] {
  const errors = checkOneOf('spec.failurePolicy', spec.failurePolicy, ['Fail', 'Ignore']);
  const { paramKind, matchConstraints, validations = [], auditAnnotations = [], variables = [] } = spec;
  if (paramKind && !paramKind.apiVersion) errors.push(required('spec.paramKind.apiVersion'));
  if (paramKind && !paramKind.kind) errors.push(required('spec.paramKind.kind'));
  if (!matchConstraints) errors.push(required('spec.matchConstraints'));
  else {
    errors.push(...validateMatch(matchConstraints, 'spec.matchConstraints'));
    if (!matchConstraints.resourceRules?.length) errors.push(required('spec.matchConstraints.resourceRules'));
  }
  errors.push(...validateMatchConditions(spec.matchConditions, 'spec.matchConditions'));
  const names = new Set<string>();
  for (const [index, { name, expression }] of variables.entries()) {
    const path = `spec.variables[${index}]`;
    if (!name) errors.push(required(`${path}.name`, 'name is not specified'));
    else if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name)) {
      errors.push(invalidValue(`${path}.name`, name, 'name is not a valid CEL identifier'));
    } else if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    if (!expression?.trim()) errors.push(required(`${path}.expression`, 'expression is not specified'));
  }
  if (validations.length + auditAnnotations.length === 0) {
    const detail = 'validations or auditAnnotations must be non-empty';
    errors.push(required('spec.validations', detail), required('spec.auditAnnotations', detail));
  }
  errors.push(...validateAnnotations(auditAnnotations));
  for (const [index, { expression, messageExpression, message, reason }] of validations.entries()) {
    const path = `spec.validations[${index}]`;
    if (!expression?.trim()) errors.push(required(`${path}.expression`, 'expression is not specified'));
    if (message?.trim() === '') errors.push(invalidValue(`${path}.message`, message, 'message must be non-empty if specified'));
    if (message?.trim().includes('\n')) {
      errors.push(invalidValue(`${path}.message`, message, 'message must not contain line breaks'));
    }
    if (!message && expression?.trim().includes('\n')) {
      errors.push(required(`${path}.message`, 'message must be specified if expression contains line breaks'));
    }
    if (reason) errors.push(...checkOneOf(`${path}.reason`, reason, reasons));
    if (messageExpression?.trim() === '') {
      errors.push(invalidValue(`${path}.messageExpression`, messageExpression, 'must be non-empty if specified'));
    }
  }
  return errors;
}

function validateAnnotations(annotations: NonNullable<Spec['auditAnnotations']>): FieldError[] {
  const path = 'spec.auditAnnotations';
  if (annotations.length > annotationsMax) {
    return [{ type: 'TooMany', field: path, detail: `must have at most ${annotationsMax} items` }];
  }
  const keys = new Set<string>();
  return annotations.flatMap(({ key, valueExpression }, index) => {
    const errors = checkName(`${path}[${index}].key`, key, isQualifiedName);
    if (keys.has(key)) errors.push(duplicate(`${path}[${index}].key`, key));
    keys.add(key);
    if (!valueExpression?.trim()) errors.push(required(`${path}[${index}].valueExpression`, 'valueExpression is not specified'));
    return errors;
  });
}

function validateMatch(match: Match, path: string): FieldError[] {
  return [
    ...checkOneOf(`${path}.matchPolicy`, match.matchPolicy, ['Equivalent', 'Exact']),
    ...validateLabelSelector(match.namespaceSelector as LabelSelector, `${path}.namespaceSelector`),
    ...validateLabelSelector(match.objectSelector as LabelSelector, `${path}.objectSelector`),
    ...(match.resourceRules ?? []).flatMap((rule, index) => validateOperations(rule, `${path}.resourceRules[${index}]`)),
    ...(match.excludeResourceRules ?? []).flatMap((rule, index) =>
      validateOperations(rule, `${path}.excludeResourceRules[${index}]`),
    ),
  ];
}

function validateBinding({ policyName, paramRef, matchResources, validationActions = [] }: BindingSpec): FieldError[] {
  const errors = checkName('spec.policyName', policyName, isDns1123Subdomain);
  if (paramRef) {
    const { name, selector, parameterNotFoundAction: action } = paramRef;
    if (name && selector) errors.push(notPermitted('spec.paramRef.name', 'name and selector are mutually exclusive'));
    if (!name && !selector) errors.push(required('spec.paramRef', 'one of name or selector must be specified'));
    errors.push(...checkOneOf('spec.paramRef.parameterNotFoundAction', action, ['Allow', 'Deny']));
  }
  if (matchResources) errors.push(...validateMatch(matchResources, 'spec.matchResources'));
  if (validationActions.length === 0) {
    errors.push(required('spec.validationActions', 'at least one validation action is required'));
  }
  for (const [index, action] of validationActions.entries()) {
    errors.push(...checkOneOf(`spec.validationActions[${index}]`, action, actions));
    if (validationActions.indexOf(action) < index) errors.push(duplicate(`spec.validationActions[${index}]`, action));
  }
  if (validationActions.includes('Deny') && validationActions.includes('Warn')) {
    const detail =
      'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)';
    errors.push(invalidValue('spec.validationActions', validationActions, detail));
  }
  return errors;
}
