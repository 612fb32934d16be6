/** `pods/NAME/resize`: other amounts of cpu and memory for containers that run. Nothing else of the pod changes. */
import { copyJson } from '../machinery/copy.ts';
import type { Container, Pod } from '../machinery/types.ts';
import { admissionRequest, withAdmitted } from './admission/request.ts';
import { invalidObject, uniqueErrors } from './field-errors.ts';
import { withoutManaged } from './field-tracking.ts';
import { validateResize } from './kinds/resize-validation.ts';
import { countGeneration, inheritOwned } from './object-metadata.ts';
import type { NamedTarget, RegistryContext } from './registry-types.ts';
import type { Change } from './update.ts';
import type { Plan } from './write-loop.ts';

/** The write that gives the pod the resources in `given`. StatusError 422 when more would change, or what may not. */
export async function planResize(
  context: RegistryContext,
  target: NamedTarget,
  { current, next: given, track, options }: Change,
): Promise<Plan> {
  const { kind } = target.resolved;
  const wanted = copyJson(withoutManaged(current)) as Pod;
  const { containers = [], initContainers } = (given as Pod).spec ?? {};
  wanted.spec!.containers = resized(wanted.spec!.containers, containers);
  const init = resized(wanted.spec!.initContainers ?? [], initContainers ?? []);
  if (init.length) wanted.spec!.initContainers = init;
  else delete wanted.spec!.initContainers;
  const request = admissionRequest({ operation: 'UPDATE', target, object: wanted, oldObject: current, options });
  kind.setDefaults(wanted);
  const next = await context.admission.mutate(request, context, (object) => {
    inheritOwned(object, current);
    kind.setDefaults(object);
  });
  track(next);
  countGeneration(next, current, kind);
  const errors = uniqueErrors([...kind.validate(next), ...validateResize(next as Pod, current as Pod)]);
  if (errors.length > 0) throw invalidObject(kind, target.name, errors);
  await context.admission.validate(request, context);
  return withAdmitted({ next }, request);
}

/** Of other lists of containers everything is kept, for validation to complain of. */
function resized(now: Container[], given: Container[]): Container[] {
  if (now.length !== given.length || now.some(({ name }, index) => name !== given[index]?.name)) return structuredClone(given);
  return now.map((container, index) => {
    const { resources: _resources, resizePolicy: _policy, ...rest } = container;
    const { resources, resizePolicy } = given[index]!;
    return structuredClone({ ...rest, ...(resources ? { resources } : {}), ...(resizePolicy ? { resizePolicy } : {}) });
  });
}
