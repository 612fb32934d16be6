/** `pods/NAME/ephemeralcontainers`: adds containers for debugging to a pod that runs. Nothing else of the pod changes. */
import { copyJson } from '../machinery/copy.ts';
import type { Pod } from '../machinery/types.ts';
import { withoutManaged } from './field-tracking.ts';
import { validateEphemeralUpdate } from './kinds/ephemeral-validation.ts';
import { planPodPart } from './pod-part.ts';
import type { NamedTarget, RegistryContext } from './registry-types.ts';
import type { Change } from './update.ts';
import type { Plan } from './write-loop.ts';

/** The write that gives the pod the list in `change.next`. StatusError 422 when it is more than an addition. */
export function planEphemeral(context: RegistryContext, target: NamedTarget, change: Change): Promise<Plan> {
  const wanted = copyJson(withoutManaged(change.current)) as Pod;
  wanted.spec!.ephemeralContainers = structuredClone((change.next as Pod).spec?.ephemeralContainers ?? []);
  if (!wanted.spec!.ephemeralContainers.length) delete wanted.spec!.ephemeralContainers;
  return planPodPart(context, target, wanted, change, validateEphemeralUpdate);
}
