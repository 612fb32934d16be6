/** `pods/NAME/ephemeralcontainers`: adds containers for debugging to a pod that runs. Nothing else of the pod changes. */
import { copyJson } from '../machinery/copy.ts';
import type { Pod } from '../machinery/types.ts';
import { admissionRequest, withAdmitted } from './admission/request.ts';
import { invalidObject, uniqueErrors } from './field-errors.ts';
import { withoutManaged } from './field-tracking.ts';
import { validateEphemeralUpdate } from './kinds/ephemeral-validation.ts';
import { countGeneration, inheritOwned } from './object-metadata.ts';
import type { NamedTarget, RegistryContext } from './registry-types.ts';
import type { Change } from './update.ts';
import type { Plan } from './write-loop.ts';

/** The write that gives the pod the list in `given`. StatusError 422 when it is more than an addition. */
export async function planEphemeral(
  context: RegistryContext,
  target: NamedTarget,
  { current, next: given, track, options }: Change,
): Promise<Plan> {
  const { kind } = target.resolved;
  const wanted = copyJson(withoutManaged(current)) as Pod;
  wanted.spec!.ephemeralContainers = structuredClone((given as Pod).spec?.ephemeralContainers ?? []);
  if (!wanted.spec!.ephemeralContainers.length) delete wanted.spec!.ephemeralContainers;
  const request = admissionRequest({ operation: 'UPDATE', target, object: wanted, oldObject: current, options });
  kind.setDefaults(wanted);
  const next = await context.admission.mutate(request, context, (object) => {
    inheritOwned(object, current);
    kind.setDefaults(object);
  });
  track(next);
  countGeneration(next, current, kind);
  const errors = uniqueErrors(validateEphemeralUpdate(next as Pod, current as Pod));
  if (errors.length > 0) throw invalidObject(kind, target.name, errors);
  await context.admission.validate(request, context);
  return withAdmitted({ next }, request);
}
