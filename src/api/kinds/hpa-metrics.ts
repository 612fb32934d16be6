/** The metrics of an autoscaler: their rules, and how `kubectl get` shows them. Source: API reference, "MetricSpec v2 autoscaling". */
import type { HorizontalPodAutoscaler } from '../../machinery/kind-types.ts';
import { quantityComplaint, quantityMilli } from '../../machinery/quantity.ts';
import type { FieldError } from '../../machinery/status.ts';
import { checkOneOf, invalidValue, invalidWhen, notPermitted, required, unsupported } from './field-errors.ts';

export type HpaSpec = NonNullable<HorizontalPodAutoscaler['spec']>;
export type HpaMetric = NonNullable<HpaSpec['metrics']>[number];
export type HpaCurrent = NonNullable<NonNullable<HorizontalPodAutoscaler['status']>['currentMetrics']>[number];
export interface MetricTarget {
  type?: string;
  value?: string;
  averageValue?: string;
  averageUtilization?: number;
}
type Behavior = NonNullable<HpaSpec['behavior']>;
type Rules = NonNullable<Behavior['scaleUp']>;

const sourceOf = {
  Resource: 'resource',
  ContainerResource: 'containerResource',
  Pods: 'pods',
  Object: 'object',
  External: 'external',
} as const;
type MetricType = keyof typeof sourceOf;
const metricTypes = Object.keys(sourceOf);
const targetTypes = ['AverageValue', 'Utilization', 'Value'];
const metricsShown = 2;
const windowSecondsMax = 3600;
const periodSecondsMax = 1800;

export function validateHpaSpec(spec: HpaSpec | undefined): FieldError[] {
  const { minReplicas = 0, maxReplicas = 0, metrics = [], behavior } = spec ?? ({} as Partial<HpaSpec>);
  const errors: FieldError[] = [];
  if (spec && minReplicas < 1) {
    errors.push(invalidValue('spec.minReplicas', minReplicas, 'must be greater than or equal to 1'));
  }
  if (maxReplicas < 1) errors.push(invalidValue('spec.maxReplicas', maxReplicas, 'must be greater than 0'));
  if (maxReplicas < minReplicas) {
    errors.push(invalidValue('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'));
  }
  errors.push(...validateReference(spec?.scaleTargetRef, 'spec.scaleTargetRef'));
  for (const [index, metric] of metrics.entries()) errors.push(...validateMetric(metric, `spec.metrics[${index}]`));
  if (behavior?.scaleUp) errors.push(...validateRules(behavior.scaleUp, 'spec.behavior.scaleUp'));
  if (behavior?.scaleDown) errors.push(...validateRules(behavior.scaleDown, 'spec.behavior.scaleDown'));
  return errors;
}

function validateReference(of: { kind?: string; name?: string } | undefined, path: string): FieldError[] {
  const noSlash = (value: string) => (value.includes('/') ? ["may not contain '/'"] : []);
  return (['kind', 'name'] as const).flatMap((field) => {
    const value = of?.[field];
    return value ? invalidWhen(`${path}.${field}`, value, noSlash) : [required(`${path}.${field}`)];
  });
}

function validateMetric(metric: HpaMetric, path: string): FieldError[] {
  if (!metric.type) return [required(`${path}.type`, 'must specify a metric source type')];
  if (!metricTypes.includes(metric.type)) return [unsupported(`${path}.type`, metric.type, metricTypes)];
  const field = sourceOf[metric.type as MetricType];
  const errors: FieldError[] = [];
  for (const other of Object.values(sourceOf)) {
    if (other === field || !metric[other]) continue;
    const detail = 'must populate the given metric source only';
    errors.push(notPermitted(`${path}.${other}`, detail));
  }
  const source = metric[field];
  if (!source) return [...errors, required(`${path}.${field}`, 'must populate information for the given metric source')];
  return [...errors, ...validateSource(metric, `${path}.${field}`), ...validateTarget(source.target, `${path}.${field}.target`)];
}

function validateSource({ resource, containerResource, pods, object, external }: HpaMetric, path: string): FieldError[] {
  const named = resource ?? containerResource;
  if (named) {
    const errors = named.name ? [] : [required(`${path}.name`, 'must specify a resource name')];
    if (containerResource && !containerResource.container) errors.push(required(`${path}.container`, 'must specify a container'));
    const { averageUtilization, averageValue } = (named.target ?? {}) as MetricTarget;
    if (averageUtilization == null && averageValue == null) {
      const detail = 'must set either a target raw value or a target utilization';
      errors.push(required(`${path}.target.averageUtilization`, detail));
    }
    if (averageUtilization != null && averageValue != null) {
      const detail = 'may not set both a target raw value and a target utilization';
      errors.push(notPermitted(`${path}.target.averageValue`, detail));
    }
    return errors;
  }
  const metric = pods?.metric ?? object?.metric ?? external?.metric;
  const errors = metric?.name ? [] : [required(`${path}.metric.name`, 'must specify a metric name')];
  if (object) errors.push(...validateReference(object.describedObject, `${path}.describedObject`));
  const { value, averageValue } = (pods ?? object ?? external)?.target ?? {};
  if (pods && averageValue == null) {
    errors.push(required(`${path}.target.averageValue`, 'must specify a positive target averageValue'));
  } else if (!pods && value == null && averageValue == null) {
    errors.push(required(`${path}.target.averageValue`, 'must set either a target value for metric or a per-pod target'));
  }
  return errors;
}

function validateTarget(target: MetricTarget | undefined, path: string): FieldError[] {
  if (!target?.type) return [required(`${path}.type`, 'must specify a metric target type')];
  const errors = checkOneOf(`${path}.type`, target.type, targetTypes);
  for (const field of ['value', 'averageValue'] as const) {
    const amount = target[field];
    if (amount == null) continue;
    const complaint = quantityComplaint(amount);
    if (complaint) errors.push(invalidValue(`${path}.${field}`, amount, complaint));
    else if (quantityMilli(amount) <= 0) errors.push(invalidValue(`${path}.${field}`, amount, 'must be positive'));
  }
  const { averageUtilization } = target;
  if (averageUtilization != null && averageUtilization < 1) {
    errors.push(invalidValue(`${path}.averageUtilization`, averageUtilization, 'must be greater than 0'));
  }
  return errors;
}

function validateRules({ stabilizationWindowSeconds: seconds, selectPolicy, policies = [] }: Rules, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const field = `${path}.stabilizationWindowSeconds`;
  if (seconds != null && seconds < 0) errors.push(invalidValue(field, seconds, 'must be greater than or equal to zero'));
  if (seconds != null && seconds > windowSecondsMax) {
    errors.push(invalidValue(field, seconds, `must be less than or equal to ${windowSecondsMax}`));
  }
  if (selectPolicy) errors.push(...checkOneOf(`${path}.selectPolicy`, selectPolicy, ['Disabled', 'Max', 'Min']));
  if (policies.length === 0) errors.push(required(`${path}.policies`, 'must specify at least one Policy'));
  for (const [index, { type, value, periodSeconds }] of policies.entries()) {
    const at = `${path}.policies[${index}]`;
    errors.push(...checkOneOf(`${at}.type`, type, ['Percent', 'Pods']));
    if (!(value > 0)) errors.push(invalidValue(`${at}.value`, value ?? 0, 'must be greater than zero'));
    if (!(periodSeconds > 0)) errors.push(invalidValue(`${at}.periodSeconds`, periodSeconds ?? 0, 'must be greater than zero'));
    if (periodSeconds > periodSecondsMax) {
      errors.push(invalidValue(`${at}.periodSeconds`, periodSeconds, `must be less than or equal to ${periodSecondsMax}`));
    }
  }
  return errors;
}

/** `cpu: 12%/80%`: the first two metrics, each with what is measured and what is wanted. */
export function targetCells({ spec, status }: HorizontalPodAutoscaler): string {
  const metrics = spec?.metrics ?? [];
  if (metrics.length === 0) return '<none>';
  const shown = metrics.slice(0, metricsShown).map((metric, index) => targetCell(metric, status?.currentMetrics?.[index]));
  const rest = metrics.length - metricsShown;
  return rest > 0 ? `${shown.join(', ')} + ${rest} more...` : shown.join(', ');
}

function targetCell(metric: HpaMetric, measured: HpaCurrent | undefined): string {
  const field = sourceOf[metric.type as MetricType];
  if (!field) return '<unknown type>';
  const target = (metric[field]?.target ?? {}) as MetricTarget;
  const current = (measured?.[field]?.current ?? {}) as MetricTarget;
  if (field === 'resource' || field === 'containerResource') {
    const name = metric[field]?.name ?? '';
    if (target.averageValue != null) return `${name}: ${current.averageValue ?? '<unknown>'}/${target.averageValue}`;
    const now = current.averageUtilization == null ? '<unknown>' : `${current.averageUtilization}%`;
    return `${name}: ${now}/${target.averageUtilization == null ? '<auto>' : `${target.averageUtilization}%`}`;
  }
  if (field === 'pods') return `${current.averageValue ?? '<unknown>'}/${target.averageValue ?? ''}`;
  if (target.averageValue != null) return `${current.averageValue ?? '<unknown>'}/${target.averageValue} (avg)`;
  return `${current.value ?? '<unknown>'}/${target.value ?? ''}`;
}
