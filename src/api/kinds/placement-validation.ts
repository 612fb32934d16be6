/** Where a pod may run: tolerations, taints, affinity, spread. Source: Kubernetes documentation, "Scheduling and Eviction". */
import { validateLabelSelector } from '../../machinery/metadata.ts';
import { isLabelValue, isQualifiedName } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { PodSpec, Taint, Toleration } from '../../machinery/types.ts';
import {
  checkName,
  checkOneOf,
  duplicate,
  invalidValue,
  invalidWhen,
  notPermitted,
  required,
  unsupported,
} from './field-errors.ts';

type Affinity = NonNullable<PodSpec['affinity']>;
type NodeTerm = NonNullable<
  NonNullable<NonNullable<Affinity['nodeAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']>['nodeSelectorTerms']
>[number];
type NodeRequirement = NonNullable<NodeTerm['matchExpressions']>[number];
type PodTerm = NonNullable<NonNullable<Affinity['podAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']>[number];
type Spread = NonNullable<PodSpec['topologySpreadConstraints']>[number];

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function validateTolerations(tolerations: Toleration[] | undefined, path: string): FieldError[] {
  return (tolerations ?? []).flatMap((toleration, index) => {
    const at = `${path}[${index}]`;
    const { key, operator, value, effect, tolerationSeconds } = toleration;
    const errors: FieldError[] = key ? invalidWhen(`${at}.key`, key, isQualifiedName) : [];
    if (!key && operator !== 'Exists') {
      errors.push(
        invalidValue(
          `${at}.operator`,
          operator ?? '',
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    }
    if (tolerationSeconds != null && effect !== 'NoExecute') {
      errors.push(invalidValue(`${at}.effect`, effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
    if (!operator || operator === 'Equal') {
      errors.push(...isLabelValue(value ?? '').map((detail) => invalidValue(`${at}.operator`, value, detail)));
    } else if (operator === 'Exists') {
      if (value) errors.push(invalidValue(`${at}.operator`, toleration, "value must be empty when `operator` is 'Exists'"));
    } else {
      errors.push(unsupported(`${at}.operator`, operator, ['Equal', 'Exists']));
    }
    if (effect && !effects.includes(effect)) errors.push(unsupported(`${at}.effect`, effect, effects));
    return errors;
  });
}

/** Taints of a node: unique by key and effect. */
export function validateTaints(taints: Taint[] | undefined, path: string): FieldError[] {
  const seen = new Set<string>();
  return (taints ?? []).flatMap((taint, index) => {
    const at = `${path}[${index}]`;
    const errors = [
      ...invalidWhen(`${at}.key`, taint.key ?? '', isQualifiedName),
      ...invalidWhen(`${at}.value`, taint.value ?? '', isLabelValue),
      ...checkOneOf(`${at}.effect`, taint.effect, effects),
    ];
    const identity = `${taint.key}:${taint.effect}`;
    if (seen.has(identity)) {
      errors.push({ ...duplicate(at, taint), detail: 'taints must be unique by key and effect pair' });
    }
    seen.add(identity);
    return errors;
  });
}

export function validateAffinity(affinity: Affinity | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const node = affinity?.nodeAffinity;
  const nodeRequired = node?.requiredDuringSchedulingIgnoredDuringExecution;
  const at = `${path}.nodeAffinity`;
  if (nodeRequired) {
    const terms = `${at}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`;
    if (!nodeRequired.nodeSelectorTerms?.length) errors.push(required(terms, 'must have at least one node selector term'));
    for (const [index, term] of (nodeRequired.nodeSelectorTerms ?? []).entries()) {
      errors.push(...validateNodeTerm(term, `${terms}[${index}]`));
    }
  }
  for (const [index, preferred] of (node?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    const field = `${at}.preferredDuringSchedulingIgnoredDuringExecution[${index}]`;
    errors.push(...validateWeight(preferred.weight, field), ...validateNodeTerm(preferred.preference, `${field}.preference`));
  }
  for (const name of ['podAffinity', 'podAntiAffinity'] as const) {
    const pods = affinity?.[name];
    for (const [index, term] of (pods?.requiredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      errors.push(...validatePodTerm(term, `${path}.${name}.requiredDuringSchedulingIgnoredDuringExecution[${index}]`));
    }
    for (const [index, preferred] of (pods?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      const field = `${path}.${name}.preferredDuringSchedulingIgnoredDuringExecution[${index}]`;
      errors.push(
        ...validateWeight(preferred.weight, field),
        ...validatePodTerm(preferred.podAffinityTerm, `${field}.podAffinityTerm`),
      );
    }
  }
  return errors;
}

function validateWeight(weight: number | undefined, path: string): FieldError[] {
  return weight != null && weight >= 1 && weight <= 100
    ? []
    : [invalidValue(`${path}.weight`, weight ?? 0, 'must be in the range 1-100')];
}

function validateNodeTerm(term: NodeTerm, path: string): FieldError[] {
  const expressions = (term?.matchExpressions ?? []).flatMap((requirement, index) => {
    const at = `${path}.matchExpressions[${index}]`;
    return [...validateNodeRequirement(requirement, at), ...invalidWhen(`${at}.key`, requirement.key ?? '', isQualifiedName)];
  });
  const fields = (term?.matchFields ?? []).flatMap((requirement, index) => {
    const at = `${path}.matchFields[${index}]`;
    if (requirement.key !== 'metadata.name') {
      return [invalidValue(`${at}.key`, requirement.key ?? '', 'not a valid field selector key')];
    }
    if (requirement.operator !== 'In' && requirement.operator !== 'NotIn') {
      return [invalidValue(`${at}.operator`, requirement.operator ?? '', 'not a valid selector operator')];
    }
    return requirement.values?.length === 1
      ? []
      : [required(`${at}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")];
  });
  return [...expressions, ...fields];
}

function validateNodeRequirement(requirement: NodeRequirement, path: string): FieldError[] {
  const count = requirement.values?.length ?? 0;
  switch (requirement.operator) {
    case 'In':
    case 'NotIn':
      return count ? [] : [required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'")];
    case 'Exists':
    case 'DoesNotExist':
      return count ? [notPermitted(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")] : [];
    case 'Gt':
    case 'Lt':
      return count === 1 ? [] : [required(`${path}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'")];
    default:
      return [invalidValue(`${path}.operator`, requirement.operator ?? '', 'not a valid selector operator')];
  }
}

function validatePodTerm(term: PodTerm, path: string): FieldError[] {
  const topology = term?.topologyKey
    ? invalidWhen(`${path}.topologyKey`, term.topologyKey, isQualifiedName)
    : [required(`${path}.topologyKey`, 'can not be empty')];
  return [
    ...validateLabelSelector(term?.labelSelector, `${path}.labelSelector`),
    ...validateLabelSelector(term?.namespaceSelector, `${path}.namespaceSelector`),
    ...topology,
  ];
}

export function validateTopologySpread(constraints: Spread[] | undefined, path: string): FieldError[] {
  const seen = new Set<string>();
  return (constraints ?? []).flatMap((constraint, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    if (!(constraint.maxSkew > 0))
      errors.push(invalidValue(`${at}.maxSkew`, constraint.maxSkew ?? 0, 'must be greater than zero'));
    errors.push(...checkName(`${at}.topologyKey`, constraint.topologyKey, isQualifiedName));
    if (!['DoNotSchedule', 'ScheduleAnyway'].includes(constraint.whenUnsatisfiable)) {
      errors.push(
        unsupported(`${at}.whenUnsatisfiable`, constraint.whenUnsatisfiable ?? '', ['DoNotSchedule', 'ScheduleAnyway']),
      );
    }
    if (constraint.minDomains != null && constraint.minDomains <= 0) {
      errors.push(invalidValue(`${at}.minDomains`, constraint.minDomains, 'must be greater than zero'));
    }
    const identity = `{${constraint.topologyKey}, ${constraint.whenUnsatisfiable}}`;
    if (seen.has(identity)) errors.push(duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, identity));
    seen.add(identity);
    return [...errors, ...validateLabelSelector(constraint.labelSelector, `${at}.labelSelector`)];
  });
}
