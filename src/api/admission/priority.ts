/** Admission of pods by their priority class, and that one class at most is the default. Source: Kubernetes documentation, "Pod Priority". */
import type { PriorityClass } from '../../machinery/kind-types.ts';
import { conflict } from '../../machinery/status.ts';
import type { Pod } from '../../machinery/types.ts';
import type { StoreReader } from '../../store/types.ts';
import { groupResource } from '../kind-table.ts';
import { systemClasses } from '../kinds/priority-class.ts';
import { isAbout, isNewPod, refusal, storedList, storedObject } from './lookups.ts';
import type { AdmissionPlugin, AdmissionRequest } from './types.ts';

const group = 'scheduling.k8s.io';
const classes = `${group}/priorityclasses`;
/** Of pods in a cluster that has no default class. */
const priorityDefault = 0;
const policyDefault = 'PreemptLowerPriority';

const isClass = (request: AdmissionRequest) => isAbout(request, group, 'priorityclasses', ['CREATE', 'UPDATE', 'DELETE']);

/**
 * Gives a new pod the number and the policy of its class. StatusError 403 when there is no such class, or the pod itself names
 * another number or policy, or a class of the system shall go; 409 when a class wants to be the default and another one is.
 */
export const priority: AdmissionPlugin = {
  name: 'Priority',
  handles: (request) => isNewPod(request) || isClass(request),
  mutate(request, { store }) {
    if (isNewPod(request)) setPriority(request, store);
  },
  validate(request, { store }) {
    if (!isClass(request)) return;
    if (request.operation !== 'DELETE') checkDefault(request, store);
    else if (Object.hasOwn(systemClasses, request.target.name)) {
      throw refusal(request, 'this is a system priority class and cannot be deleted');
    }
  },
};

function setPriority(request: AdmissionRequest, store: StoreReader): void {
  const { spec } = request.object as Pod;
  if (!spec) return;
  let found: PriorityClass | undefined;
  if (spec.priorityClassName) {
    found = storedObject(store, classes, spec.priorityClassName);
    if (!found) throw refusal(request, `no PriorityClass with name ${spec.priorityClassName} was found`);
  } else {
    // Two peers may each have let one become the default at the same time.
    const defaults = storedList<PriorityClass>(store, classes).filter(({ globalDefault }) => globalDefault);
    found = defaults.sort((a, b) => (a.value ?? 0) - (b.value ?? 0))[0];
    if (found) spec.priorityClassName = found.metadata.name;
  }
  const { value = priorityDefault, preemptionPolicy = policyDefault } = found ?? {};
  const computed = (given: unknown, what: string, is: unknown) =>
    refusal(
      request,
      `${what} (${given}) must not be provided in pod spec; priority admission controller computed ${is} from the given PriorityClass name`,
    );
  if (spec.priority != null && spec.priority !== value) {
    throw computed(spec.priority, 'the integer value of priority', value);
  }
  if (spec.preemptionPolicy && spec.preemptionPolicy !== preemptionPolicy) {
    throw computed(spec.preemptionPolicy, 'the string value of PreemptionPolicy', preemptionPolicy);
  }
  spec.priority = value;
  spec.preemptionPolicy = preemptionPolicy;
}

function checkDefault({ object, target }: AdmissionRequest, store: StoreReader): void {
  const { metadata, globalDefault } = object as PriorityClass;
  if (!globalDefault) return;
  const isOther = (candidate: PriorityClass) => candidate.globalDefault && candidate.metadata.name !== metadata.name;
  const other = storedList<PriorityClass>(store, classes).find(isOther);
  if (!other) return;
  const why = `PriorityClass ${other.metadata.name} is already marked as default. Only one PriorityClass can be marked as default`;
  throw conflict(groupResource(target.resolved.kind), metadata.name, why);
}
