/** What jobs and the templates of jobs in cron jobs share: the rules of their spec. Source: API reference, "JobSpec v1 batch". */
import type { JobSpec } from '../../machinery/kind-types.ts';
import { validateLabelSelector } from '../../machinery/metadata.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { LabelSelector } from '../../machinery/types.ts';
import { checkNotNegative, checkOneOf, invalidValue, required, unsupported } from './field-errors.ts';
import { validateTemplateParts } from './pod-spec-validation.ts';

const completionModes = ['Indexed', 'NonIndexed'];
const replacementPolicies = ['Failed', 'TerminatingOrFailed'];
const failureActions = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
const parallelismMaxIndexed = 100_000;
const failureRulesMax = 20;

/** `path` is that of the spec: `spec`, or `spec.jobTemplate.spec`. */
export function validateJobSpec(spec: JobSpec, path: string): FieldError[] {
  const numbers = [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
    'ttlSecondsAfterFinished',
  ] as const;
  const errors = numbers.flatMap((name) => checkNotNegative(`${path}.${name}`, spec[name]));
  errors.push(...validateLabelSelector(spec.selector as LabelSelector | undefined, `${path}.selector`));
  errors.push(...validateCompletion(spec, path));
  if (spec.podReplacementPolicy) {
    errors.push(...checkOneOf(`${path}.podReplacementPolicy`, spec.podReplacementPolicy, replacementPolicies));
  }
  errors.push(...validateFailurePolicy(spec, path));
  if (!spec.template) return [...errors, required(`${path}.template`)];
  errors.push(...validateTemplateParts(spec.template, `${path}.template`));
  const restartPolicy = spec.template.spec?.restartPolicy;
  if (restartPolicy && restartPolicy !== 'OnFailure' && restartPolicy !== 'Never') {
    errors.push(required(`${path}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'));
  }
  return errors;
}

function validateCompletion(spec: JobSpec, path: string): FieldError[] {
  const { completionMode, completions, parallelism, backoffLimitPerIndex, maxFailedIndexes } = spec;
  const errors: FieldError[] = [];
  if (completionMode) errors.push(...checkOneOf(`${path}.completionMode`, completionMode, completionModes));
  if (completionMode === 'Indexed') {
    if (completions == null) {
      errors.push(required(`${path}.completions`, 'when completion mode is Indexed'));
    }
    if ((parallelism ?? 0) > parallelismMaxIndexed) {
      const detail = `must be less than or equal to ${parallelismMaxIndexed} when completion mode is Indexed`;
      errors.push(invalidValue(`${path}.parallelism`, parallelism, detail));
    }
  } else if (backoffLimitPerIndex != null) {
    errors.push(invalidValue(`${path}.backoffLimitPerIndex`, backoffLimitPerIndex, 'requires indexed completion mode'));
  }
  if (maxFailedIndexes != null && backoffLimitPerIndex == null) {
    errors.push(required(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
  }
  return errors;
}

function validateFailurePolicy({ podFailurePolicy, template }: JobSpec, path: string): FieldError[] {
  if (!podFailurePolicy) return [];
  const rules = podFailurePolicy.rules ?? [];
  const at = `${path}.podFailurePolicy.rules`;
  const errors: FieldError[] = [];
  if (rules.length > failureRulesMax) {
    errors.push({ type: 'TooMany', field: at, value: rules.length, detail: `must have at most ${failureRulesMax} items` });
  }
  if (template?.spec?.restartPolicy !== 'Never') {
    const detail = 'only "Never" is supported when podFailurePolicy is specified';
    errors.push(invalidValue(`${path}.template.spec.restartPolicy`, template?.spec?.restartPolicy ?? '', detail));
  }
  for (const [index, rule] of rules.entries()) {
    if (!rule.action) errors.push(required(`${at}[${index}].action`, `valid values: ${quoted(failureActions)}`));
    else if (!failureActions.includes(rule.action))
      errors.push(unsupported(`${at}[${index}].action`, rule.action, failureActions));
    if (!rule.onExitCodes && !rule.onPodConditions?.length) {
      const detail = 'specifying one of OnExitCodes and OnPodConditions is required';
      errors.push(invalidValue(`${at}[${index}]`, rule, detail));
    }
  }
  return errors;
}

const quoted = (values: string[]) => values.map((value) => JSON.stringify(value)).join(', ');
