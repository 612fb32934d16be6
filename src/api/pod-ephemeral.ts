/** `pods/NAME/ephemeralcontainers`: adds containers for debugging to a pod that runs. Nothing else of the pod changes. */
import { copyJson } from '../machinery/copy.ts';
import type { Pod } from '../machinery/types.ts';
import { invalidObject, uniqueErrors } from './field-errors.ts';
import { withoutManaged } from './field-tracking.ts';
import { validateEphemeralUpdate } from './kinds/ephemeral-validation.ts';
import { admitNodeWrite } from './node-restriction.ts';
import { countGeneration } from './object-metadata.ts';
import type { NamedTarget } from './registry-types.ts';
import type { Change } from './update.ts';
import type { Plan } from './write-loop.ts';

/** The write that gives the pod the list in `given`. StatusError 422 when it is more than an addition. */
export function planEphemeral(target: NamedTarget, { current, next: given, track }: Change): Plan {
  const { kind } = target.resolved;
  const next = copyJson(withoutManaged(current)) as Pod;
  next.spec!.ephemeralContainers = structuredClone((given as Pod).spec?.ephemeralContainers ?? []);
  if (!next.spec!.ephemeralContainers.length) delete next.spec!.ephemeralContainers;
  admitNodeWrite({ user: target.user, kind, verb: 'update', next, previous: current });
  kind.setDefaults(next);
  track(next);
  countGeneration(next, current, kind);
  const errors = uniqueErrors(validateEphemeralUpdate(next, current as Pod));
  if (errors.length > 0) throw invalidObject(kind, target.name, errors);
  return { next };
}
