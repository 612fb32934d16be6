/** Ephemeral containers of a pod. Source: API reference, "EphemeralContainer v1 core": what needs planning they cannot have. */
import { isDns1123Label } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { Container, Pod } from '../../machinery/types.ts';
import { validateContainer } from './container-validation.ts';
import { checkName, duplicate, missingReference, notPermitted, sameJson } from './field-errors.ts';

const forbidden = [
  'ports',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
  'resources',
  'restartPolicy',
  'resizePolicy',
] as const;

/** The list may only grow; what is in it stays as it is. */
export function validateEphemeralUpdate(next: Pod, previous: Pod): FieldError[] {
  const spec = next.spec!;
  const before = (previous.spec?.ephemeralContainers ?? []) as Container[];
  const now = (spec.ephemeralContainers ?? []) as (Container & { targetContainerName?: string })[];
  const errors: FieldError[] = [];
  for (const old of before) {
    const kept = now.find(({ name }) => name === old.name);
    if (kept && sameJson(kept, old)) continue;
    const what = kept ? 'changed' : 'removed';
    errors.push(notPermitted('spec.ephemeralContainers', `existing ephemeral containers "${old.name}" may not be ${what}`));
  }
  const others = [...spec.containers, ...(spec.initContainers ?? [])].map(({ name }) => name);
  const names = new Set(others);
  const context = {
    volumeNames: new Set((spec.volumes ?? []).map(({ name }) => name)),
    hostNetwork: spec.hostNetwork ?? false,
    hostUsers: spec.hostUsers ?? true,
    graceSeconds: 0,
  };
  for (const [index, container] of now.entries()) {
    const at = `spec.ephemeralContainers[${index}]`;
    errors.push(...checkName(`${at}.name`, container.name, isDns1123Label), ...validateContainer(container, context, at));
    if (container.name && names.has(container.name)) errors.push(duplicate(`${at}.name`, container.name));
    names.add(container.name);
    const { targetContainerName } = container;
    if (targetContainerName && !others.includes(targetContainerName)) {
      errors.push(missingReference(`${at}.targetContainerName`, targetContainerName));
    }
    for (const field of forbidden) {
      const value = container[field];
      if (value == null || (typeof value === 'object' && Object.keys(value).length === 0)) continue;
      errors.push(notPermitted(`${at}.${field}`, 'cannot be set for an Ephemeral Container'));
    }
    for (const [i, { subPath, subPathExpr }] of (container.volumeMounts ?? []).entries()) {
      const field = subPath ? 'subPath' : subPathExpr ? 'subPathExpr' : undefined;
      if (field) errors.push(notPermitted(`${at}.volumeMounts[${i}].${field}`, 'cannot be set for an Ephemeral Container'));
    }
  }
  return errors;
}

/** They come later, by the subresource. */
export function forbidEphemeralAtCreation(pod: Pod): FieldError[] {
  return pod.spec?.ephemeralContainers?.length ? [notPermitted('spec.ephemeralContainers', 'cannot be set on create')] : [];
}
