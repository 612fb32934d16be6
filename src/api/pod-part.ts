/** What the subresources of a pod that change one part of its spec have in common: `resize` and `ephemeralcontainers`. */
import type { FieldError } from '../machinery/status.ts';
import type { Pod } from '../machinery/types.ts';
import { admissionRequest, withAdmitted } from './admission/request.ts';
import { invalidObject, uniqueErrors } from './field-errors.ts';
import { countGeneration, inheritOwned } from './object-metadata.ts';
import type { NamedTarget, RegistryContext } from './registry-types.ts';
import type { Change } from './update.ts';
import type { Plan } from './write-loop.ts';

/** The write of `wanted` (which is changed): the current pod with another part. StatusError 422 for what `validate` finds. */
export async function planPodPart(
  context: RegistryContext,
  target: NamedTarget,
  wanted: Pod,
  { current, track, options }: Change,
  validate: (next: Pod, current: Pod) => FieldError[],
): Promise<Plan> {
  const { kind } = target.resolved;
  const request = admissionRequest({ operation: 'UPDATE', target, object: wanted, oldObject: current, options });
  kind.setDefaults(wanted);
  const next = await context.admission.mutate(request, context, (object) => {
    inheritOwned(object, current);
    kind.setDefaults(object);
  });
  track(next);
  countGeneration(next, current, kind);
  const errors = uniqueErrors(validate(next as Pod, current as Pod));
  if (errors.length > 0) throw invalidObject(kind, target.name, errors);
  await context.admission.validate(request, context);
  return withAdmitted({ next }, request);
}
