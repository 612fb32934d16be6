/**
 * In-place resize: what may change in a pod's resources while it runs, and how a container says what a change costs it.
 * Source: Kubernetes documentation, "Resize CPU and Memory Resources assigned to Containers" (1.33), KEP 1287.
 */
import { isMirrorPod } from '../../machinery/mirror-pods.ts';
import { qosClassOf } from '../../machinery/qos.ts';
import { quantityMilli } from '../../machinery/quantity.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { Container, Pod, PodSpec } from '../../machinery/types.ts';
import { duplicate, invalidValue, notPermitted, required, sameJson, unsupported } from './field-errors.ts';

const resizable = ['cpu', 'memory'];
const restartPolicies = ['NotRequired', 'RestartContainer'];

type Amounts = Record<string, string>;

/** How each container of a spec takes a resize. `path` is that of the spec. */
export function validateResizePolicies(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const list of ['containers', 'initContainers'] as const) {
    for (const [index, { resizePolicy = [] }] of (spec[list] ?? []).entries()) {
      const at = `${path}.${list}[${index}].resizePolicy`;
      const seen = new Set<string>();
      for (const [i, { resourceName, restartPolicy }] of resizePolicy.entries()) {
        if (seen.has(resourceName)) errors.push(duplicate(`${at}[${i}]`, resourceName));
        seen.add(resourceName);
        if (!resourceName || !restartPolicy) errors.push(required(at));
        if (resourceName && !resizable.includes(resourceName)) errors.push(unsupported(at, resourceName, resizable));
        if (restartPolicy && !restartPolicies.includes(restartPolicy)) {
          errors.push(unsupported(at, restartPolicy, restartPolicies));
        } else if (restartPolicy === 'RestartContainer' && spec.restartPolicy === 'Never') {
          errors.push(invalidValue(at, restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'"));
        }
      }
    }
  }
  return errors;
}

/** The rules of `pods/NAME/resize`, beside those of every pod. */
export function validateResize(next: Pod, previous: Pod): FieldError[] {
  const [now, before] = [next.spec!, previous.spec!];
  if (isMirrorPod(previous)) {
    return [notPermitted('', 'static pods cannot be resized')];
  }
  if (before.os?.name === 'windows') return [notPermitted('', 'windows pods cannot be resized')];
  const errors: FieldError[] = [];
  const qos = qosClassOf(now);
  if (qos !== (previous.status?.qosClass ?? qosClassOf(before))) {
    errors.push(invalidValue('spec', qos, 'Pod QOS Class may not change as a result of resizing'));
  }
  if (previous.status?.containerStatuses?.some(({ state, resources }) => state?.running && !resources)) {
    errors.push(notPermitted('spec', 'Pod running on node without support for resize'));
  }
  const order = validateOrder(now, before);
  if (order.length) return [...errors, ...order];
  for (const list of ['containers', 'initContainers'] as const) {
    for (const [index, container] of (now[list] ?? []).entries()) {
      const at = `spec.${list}[${index}].resources`;
      const old = before[list]![index]!;
      if (list === 'initContainers' && container.restartPolicy !== 'Always') {
        if (sameJson(container.resources ?? {}, old.resources ?? {})) continue;
        errors.push(notPermitted(at, 'resources for non-sidecar init containers are immutable'));
      } else errors.push(...validateAmounts(container, old, at));
    }
  }
  const others = (spec: PodSpec) => [...spec.containers, ...(spec.initContainers ?? [])].map(unresizable);
  if (!sameJson(others(now), others(before))) {
    errors.push(notPermitted('spec', 'only cpu and memory resources are mutable'));
  }
  return errors;
}

function validateOrder(now: PodSpec, before: PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  for (const list of ['containers', 'initContainers'] as const) {
    const [ours, theirs] = [now[list] ?? [], before[list] ?? []];
    if (ours.length !== theirs.length) {
      errors.push(notPermitted(`spec.${list}`, 'containers may not be added or removed on resize'));
      continue;
    }
    for (const [index, { name }] of ours.entries()) {
      if (name === theirs[index]!.name) continue;
      errors.push(notPermitted(`spec.${list}[${index}].name`, 'containers may not be renamed or reordered on resize'));
    }
  }
  return errors;
}

function validateAmounts({ resources, resizePolicy }: Container, previous: Container, at: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const kind of ['requests', 'limits'] as const) {
    const now = resources?.[kind] ?? {};
    if (Object.keys(previous.resources?.[kind] ?? {}).every((name) => name in now)) continue;
    errors.push(notPermitted(`${at}.${kind}`, `resource ${kind} cannot be removed`));
  }
  const [limit, before] = [resources?.limits?.memory, previous.resources?.limits?.memory];
  const restarts = resizePolicy?.some(
    (policy) => policy.resourceName === 'memory' && policy.restartPolicy === 'RestartContainer',
  );
  if (limit !== undefined && before !== undefined && !restarts && quantityMilli(limit) < quantityMilli(before)) {
    const why = 'memory limits cannot be decreased unless resizePolicy is RestartContainer';
    errors.push(notPermitted(`${at}.limits[memory]`, why));
  }
  return errors;
}

/** A container without what a resize may change. */
function unresizable({ resources = {}, ...container }: Container): object {
  const rest = (amounts: Amounts = {}) => Object.entries(amounts).filter(([name]) => !resizable.includes(name));
  const { requests, limits, ...more } = resources;
  return { ...container, resources: { ...more, requests: rest(requests).sort(), limits: rest(limits).sort() } };
}
