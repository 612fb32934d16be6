/** Admission: what a pod's RuntimeClass says about overhead and placement. Source: Kubernetes documentation, "Runtime Class", "Pod Overhead". */
import type { RuntimeClass } from '../../machinery/kind-types.ts';
import { canonicalizeQuantities } from '../../machinery/pod-defaults.ts';
import type { PodSpec, Toleration } from '../../machinery/types.ts';
import type { StoreReader } from '../../store/types.ts';
import { sameJson } from '../kinds/field-errors.ts';
import { isNewPod, refusal, storedObject } from './lookups.ts';
import type { AdmissionPlugin, AdmissionRequest } from './types.ts';

/** Changes a new pod in place. StatusError 403 when there is no such class, or the pod contradicts it. */
export const runtimeClass: AdmissionPlugin = {
  name: 'RuntimeClass',
  handles: isNewPod,
  mutate(request, { store }) {
    const spec = specOf(request);
    const found = classOf(request, store);
    if (!spec || !found) return;
    const { overhead, scheduling } = found;
    if (overhead?.podFixed) {
      if (spec.overhead) checkOverhead(request, spec, overhead.podFixed);
      spec.overhead = { ...overhead.podFixed };
    }
    if (!scheduling) return;
    if (scheduling.nodeSelector) spec.nodeSelector = mergedSelector(request, spec, scheduling.nodeSelector);
    if (scheduling.tolerations?.length) spec.tolerations = mergedTolerations(spec.tolerations, scheduling.tolerations);
  },
  /** What was set before is what others may have changed since. */
  validate(request, { store }) {
    const spec = specOf(request);
    const podFixed = classOf(request, store)?.overhead?.podFixed;
    if (!spec) return;
    if (podFixed) checkOverhead(request, spec, podFixed);
    else if (spec.overhead) {
      throw refusal(request, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
    }
  },
};

const specOf = ({ object }: AdmissionRequest) => (object as { spec?: PodSpec } | undefined)?.spec;

function classOf(request: AdmissionRequest, store: StoreReader): RuntimeClass | undefined {
  const name = specOf(request)?.runtimeClassName;
  if (!name) return undefined;
  const found = storedObject<RuntimeClass>(store, 'node.k8s.io/runtimeclasses', name);
  if (!found) throw refusal(request, `pod rejected: RuntimeClass ${JSON.stringify(name)} not found`);
  return found;
}

function checkOverhead(request: AdmissionRequest, spec: PodSpec, podFixed: Record<string, string>): void {
  const given = { ...spec.overhead };
  canonicalizeQuantities(given);
  if (sameJson(given, podFixed)) return;
  throw refusal(request, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
}

function mergedSelector(request: AdmissionRequest, spec: PodSpec, added: Record<string, string>): Record<string, string> {
  const own = spec.nodeSelector ?? {};
  for (const [key, value] of Object.entries(added)) {
    if (own[key] === undefined || own[key] === value) continue;
    const sides = `runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own[key]}`;
    throw refusal(request, `conflict: ${sides}`);
  }
  return { ...own, ...added };
}

function mergedTolerations(own: Toleration[] = [], added: Toleration[]): Toleration[] {
  return [...own, ...structuredClone(added.filter((toleration) => !own.some((known) => sameJson(known, toleration))))];
}
