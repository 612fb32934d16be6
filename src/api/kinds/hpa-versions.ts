/**
 * Autoscalers in their other versions. v1 knows a share of the CPU only; what else an autoscaler has travels in annotations, in
 * the form of v2beta1, so that nothing is lost on the way through v1. v2beta1 had flat metrics and no behavior.
 */
import type { KubeObject } from '../../machinery/types.ts';
import { isRecord } from '../object-input.ts';
import type { Json } from './old-versions.ts';

const prefix = 'autoscaling.alpha.kubernetes.io/';
const annotations = {
  metrics: `${prefix}metrics`,
  behavior: `${prefix}behavior`,
  currentMetrics: `${prefix}current-metrics`,
  conditions: `${prefix}conditions`,
};

type Loose = KubeObject & { spec?: Json; status?: Json };

/** A target, or a measurement, in v2: `{ type?, value?, averageValue?, averageUtilization? }`. */
type Amounts = Json | undefined;

const defined = (object: Json): Json => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

function targetOf(value: unknown, averageValue: unknown, averageUtilization?: unknown): Json {
  if (averageUtilization !== undefined) return { type: 'Utilization', averageUtilization };
  return averageValue === undefined ? { type: 'Value', value } : { type: 'AverageValue', averageValue };
}

/** Metrics, wanted or (with `current`) measured, from the flat form. */
function fromFlat(metric: Json, current: boolean): Json {
  const amounts = current ? 'current' : 'target';
  const wanted = (source: Json, name: string) => source[`${current ? 'current' : 'target'}${name}`];
  const make = (value: unknown, average: unknown, utilization?: unknown) =>
    current ? defined({ value, averageValue: average, averageUtilization: utilization }) : targetOf(value, average, utilization);
  const result: Json = { type: metric.type };
  for (const field of ['resource', 'containerResource'] as const) {
    const source = metric[field];
    if (!isRecord(source)) continue;
    const of = make(undefined, wanted(source, 'AverageValue'), wanted(source, 'AverageUtilization'));
    result[field] = defined({ name: source.name, container: source.container, [amounts]: of });
  }
  const { pods, object, external } = metric;
  if (isRecord(pods)) {
    const named = defined({ name: pods.metricName, selector: pods.selector });
    result.pods = { metric: named, [amounts]: make(undefined, wanted(pods, 'AverageValue')) };
  }
  if (isRecord(object)) {
    const named = defined({ name: object.metricName, selector: object.selector });
    const of = make(object.averageValue === undefined || current ? wanted(object, 'Value') : undefined, object.averageValue);
    result.object = defined({ describedObject: object.target, metric: named, [amounts]: of });
  }
  if (isRecord(external)) {
    const named = defined({ name: external.metricName, selector: external.metricSelector });
    result.external = { metric: named, [amounts]: make(wanted(external, 'Value'), wanted(external, 'AverageValue')) };
  }
  return result;
}

function toFlat(metric: Json, current: boolean): Json {
  const amountsOf = (source: Json) => ((current ? source.current : source.target) as Amounts) ?? {};
  const word = current ? 'current' : 'target';
  const result: Json = { type: metric.type };
  for (const field of ['resource', 'containerResource'] as const) {
    const source = metric[field];
    if (!isRecord(source)) continue;
    const { averageUtilization, averageValue } = amountsOf(source);
    result[field] = defined({
      name: source.name,
      container: source.container,
      [`${word}AverageUtilization`]: averageUtilization,
      [`${word}AverageValue`]: averageValue,
    });
  }
  const { pods, object, external } = metric;
  if (isRecord(pods)) {
    const { name, selector } = (pods.metric ?? {}) as Json;
    result.pods = defined({ metricName: name, selector, [`${word}AverageValue`]: amountsOf(pods).averageValue });
  }
  if (isRecord(object)) {
    const { name, selector } = (object.metric ?? {}) as Json;
    const { value, averageValue } = amountsOf(object);
    const shown = { [`${word}Value`]: value ?? averageValue, averageValue };
    result.object = defined({ target: object.describedObject, metricName: name, selector, ...shown });
  }
  if (isRecord(external)) {
    const { name, selector } = (external.metric ?? {}) as Json;
    const { value, averageValue } = amountsOf(external);
    const shown = { [`${word}Value`]: value, [`${word}AverageValue`]: averageValue };
    result.external = defined({ metricName: name, metricSelector: selector, ...shown });
  }
  return result;
}

/** An annotation that holds JSON, taken out of the object. One that people have broken counts as missing. */
function take(object: Loose, name: string): unknown {
  const text = object.metadata.annotations?.[name];
  if (text === undefined || !object.metadata.annotations) return undefined;
  delete object.metadata.annotations[name];
  if (Object.keys(object.metadata.annotations).length === 0) delete object.metadata.annotations;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function put(object: Loose, name: string, value: unknown): void {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return;
  object.metadata.annotations = { ...object.metadata.annotations, [name]: JSON.stringify(value) };
}

const list = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isRecord) : []);
const isCpu = ({ type, resource }: Json) => type === 'Resource' && isRecord(resource) && resource.name === 'cpu';

/** Changes `object`. */
export function fromV2beta1(object: KubeObject): KubeObject {
  const autoscaler = object as Loose;
  const behavior = take(autoscaler, annotations.behavior);
  const { spec, status } = autoscaler;
  if (spec?.metrics) spec.metrics = list(spec.metrics).map((metric) => fromFlat(metric, false));
  if (spec && isRecord(behavior)) spec.behavior = behavior;
  if (status?.currentMetrics) status.currentMetrics = list(status.currentMetrics).map((metric) => fromFlat(metric, true));
  return object;
}

/** Changes `object`. */
export function toV2beta1(object: KubeObject): KubeObject {
  const autoscaler = object as Loose;
  const { spec, status } = autoscaler;
  if (spec?.metrics) spec.metrics = list(spec.metrics).map((metric) => toFlat(metric, false));
  if (status?.currentMetrics) status.currentMetrics = list(status.currentMetrics).map((metric) => toFlat(metric, true));
  put(autoscaler, annotations.behavior, spec?.behavior);
  delete spec?.behavior;
  return object;
}

/** Changes `object`. */
export function fromV1(object: KubeObject): KubeObject {
  const autoscaler = object as Loose;
  const others = list(take(autoscaler, annotations.metrics)).map((metric) => fromFlat(metric, false));
  const behavior = take(autoscaler, annotations.behavior);
  const measured = list(take(autoscaler, annotations.currentMetrics)).map((metric) => fromFlat(metric, true));
  const conditions = take(autoscaler, annotations.conditions);
  const { spec, status } = autoscaler;
  if (spec) {
    const { targetCPUUtilizationPercentage: averageUtilization, ...rest } = spec;
    const target = { type: 'Utilization', averageUtilization };
    const cpu = averageUtilization === undefined ? [] : [{ type: 'Resource', resource: { name: 'cpu', target } }];
    autoscaler.spec = defined({ ...rest, metrics: [...cpu, ...others], behavior });
  }
  if (status) {
    const { currentCPUUtilizationPercentage: averageUtilization, ...rest } = status;
    const current = { averageUtilization };
    const cpu = averageUtilization === undefined ? [] : [{ type: 'Resource', resource: { name: 'cpu', current } }];
    const currentMetrics = [...cpu, ...measured];
    autoscaler.status = defined({ ...rest, currentMetrics: currentMetrics.length ? currentMetrics : undefined, conditions });
  }
  return object;
}

/** Changes `object`. */
export function toV1(object: KubeObject): KubeObject {
  const autoscaler = object as Loose;
  const { spec, status } = autoscaler;
  if (spec) {
    const { metrics, behavior, ...rest } = spec;
    const all = list(metrics);
    const cpu = all.find((metric) => isCpu(metric) && utilizationOf(metric, 'target') !== undefined);
    put(
      autoscaler,
      annotations.metrics,
      all.filter((metric) => metric !== cpu).map((metric) => toFlat(metric, false)),
    );
    put(autoscaler, annotations.behavior, behavior);
    autoscaler.spec = cpu ? { ...rest, targetCPUUtilizationPercentage: utilizationOf(cpu, 'target') } : rest;
  }
  if (status) {
    const { currentMetrics, conditions, ...rest } = status;
    const all = list(currentMetrics);
    const cpu = all.find((metric) => isCpu(metric) && utilizationOf(metric, 'current') !== undefined);
    put(
      autoscaler,
      annotations.currentMetrics,
      all.filter((metric) => metric !== cpu).map((metric) => toFlat(metric, true)),
    );
    put(autoscaler, annotations.conditions, conditions);
    autoscaler.status = cpu ? { ...rest, currentCPUUtilizationPercentage: utilizationOf(cpu, 'current') } : rest;
  }
  return object;
}

function utilizationOf({ resource }: Json, field: 'target' | 'current'): unknown {
  const amounts = isRecord(resource) ? resource[field] : undefined;
  return isRecord(amounts) ? amounts.averageUtilization : undefined;
}
