/** `pods/NAME/resize`: other amounts of cpu and memory for containers that run. Nothing else of the pod changes. */
import { copyJson } from '../machinery/copy.ts';
import type { Container, Pod } from '../machinery/types.ts';
import { withoutManaged } from './field-tracking.ts';
import { validateResize } from './kinds/resize-validation.ts';
import { planPodPart } from './pod-part.ts';
import type { NamedTarget, RegistryContext } from './registry-types.ts';
import type { Change } from './update.ts';
import type { Plan } from './write-loop.ts';

/** The write that gives the pod the resources in `change.next`. StatusError 422 when more would change, or what may not. */
export function planResize(context: RegistryContext, target: NamedTarget, change: Change): Promise<Plan> {
  const wanted = copyJson(withoutManaged(change.current)) as Pod;
  const { containers = [], initContainers } = (change.next as Pod).spec ?? {};
  wanted.spec!.containers = resized(wanted.spec!.containers, containers);
  const init = resized(wanted.spec!.initContainers ?? [], initContainers ?? []);
  if (init.length) wanted.spec!.initContainers = init;
  else delete wanted.spec!.initContainers;
  const { kind } = target.resolved;
  return planPodPart(context, target, wanted, change, (next, current) => [
    ...kind.validate(next),
    ...validateResize(next, current),
  ]);
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
