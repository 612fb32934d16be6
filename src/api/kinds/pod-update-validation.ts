/** What may change in a pod that exists. Source: Kubernetes documentation, "Pod update and replacement". */
import type { FieldError } from '../../machinery/status.ts';
import type { Pod, PodSpec, Toleration } from '../../machinery/types.ts';
import { invalidValue, notPermitted, sameJson } from './field-errors.ts';

const changeable =
  '`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,' +
  '`spec.tolerations` (only additions to existing tolerations),' +
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';
const pathsShownMax = 10;

export function validatePodUpdate(next: Pod, previous: Pod): FieldError[] {
  const [now, before] = [next.spec as PodSpec, previous.spec as PodSpec];
  const errors: FieldError[] = [];
  for (const list of ['containers', 'initContainers'] as const) {
    if ((now[list]?.length ?? 0) !== (before[list]?.length ?? 0)) {
      return [notPermitted(`spec.${list}`, 'pod updates may not add or remove containers')];
    }
  }
  errors.push(...validateDeadline(now.activeDeadlineSeconds, before.activeDeadlineSeconds));
  errors.push(...validateAddedTolerations(now.tolerations ?? [], before.tolerations ?? []));
  errors.push(...validateClearedGates(now, before));
  const changed = changedPaths(withChangesUndone(now, before), before, 'spec');
  if (changed.length > 0) {
    const shown = changed.slice(0, pathsShownMax).join(', ') + (changed.length > pathsShownMax ? ', …' : '');
    const detail = `pod updates may not change fields other than ${changeable}\nchanged: ${shown}`;
    errors.push(notPermitted('spec', detail));
  }
  return errors;
}

/** The new spec with everything that may change put back, so that what still differs is what may not. */
function withChangesUndone(now: PodSpec, before: PodSpec): PodSpec {
  const undone: PodSpec = { ...now };
  for (const list of ['containers', 'initContainers'] as const) {
    const containers = now[list];
    if (!containers) continue;
    undone[list] = containers.map((container, index) => ({ ...container, image: before[list]?.[index]?.image }));
  }
  undone.activeDeadlineSeconds = before.activeDeadlineSeconds;
  undone.tolerations = before.tolerations;
  undone.schedulingGates = before.schedulingGates;
  if ((before.terminationGracePeriodSeconds ?? 0) < 0 && now.terminationGracePeriodSeconds === 1) {
    undone.terminationGracePeriodSeconds = before.terminationGracePeriodSeconds;
  }
  return undone;
}

/** A deadline may be set once and then only come nearer. */
function validateDeadline(now: number | undefined, before: number | undefined): FieldError[] {
  const field = 'spec.activeDeadlineSeconds';
  if (before == null) return [];
  if (now == null) return [invalidValue(field, null, 'must not update from a positive integer to nil value')];
  return now > before ? [invalidValue(field, now, 'must be less than or equal to previous value')] : [];
}

function validateAddedTolerations(now: Toleration[], before: Toleration[]): FieldError[] {
  const identity = ({ key, operator, value, effect }: Toleration) =>
    JSON.stringify([key, operator ?? 'Equal', value ?? '', effect]);
  const kept = new Set(now.map(identity));
  if (before.every((toleration) => kept.has(identity(toleration)))) return [];
  return [notPermitted('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')];
}

function validateClearedGates(now: PodSpec, before: PodSpec): FieldError[] {
  const known = new Set((before.schedulingGates ?? []).map((gate) => gate.name));
  return (now.schedulingGates ?? [])
    .filter((gate) => !known.has(gate.name))
    .map((gate) =>
      notPermitted('spec.schedulingGates', `only deletion is allowed, but found new scheduling gate '${gate.name}'`),
    );
}

/** The deepest paths at which two JSON values differ. */
function changedPaths(next: unknown, previous: unknown, path: string): string[] {
  if (sameJson(next, previous)) return [];
  if (typeof next !== 'object' || typeof previous !== 'object' || !next || !previous) return [path];
  if (Array.isArray(next) !== Array.isArray(previous)) return [path];
  const left = next as Record<string, unknown>;
  const right = previous as Record<string, unknown>;
  const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  return keys.flatMap((key) => changedPaths(left[key], right[key], Array.isArray(next) ? `${path}[${key}]` : `${path}.${key}`));
}
