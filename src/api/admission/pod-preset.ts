/**
 * Admission: settings that PodPresets put into the pods they choose. Either all of the presets that match fit together with the pod
 * or the pod stays as it is. Kubernetes had it until 1.19; its design document is "Pod Preset".
 */

import { labelSelectorMatches } from '../../machinery/selectors.ts';
import type { Pod, PodSpec } from '../../machinery/types.ts';
import { sameJson } from '../kinds/field-errors.ts';
import type { PodPreset } from '../kinds/pod-preset.ts';
import { isNewPod, storedList, warn } from './lookups.ts';
import type { AdmissionPlugin } from './types.ts';

const prefix = 'podpreset.admission.kubernetes.io';
const exclusion = `${prefix}/exclude`;
/** On pods that a machine reports of its own accord. */
const mirror = 'kubernetes.io/config.mirror';

/** Changes a new pod in place; warns of a conflict. */
export const podPreset: AdmissionPlugin = {
  name: 'PodPreset',
  handles: isNewPod,
  mutate(request, { store }) {
    const pod = request.object as Pod;
    const { annotations = {}, labels, name, namespace } = pod.metadata;
    if (!pod.spec || annotations[exclusion] === 'true' || annotations[mirror] !== undefined) return;
    const presets = storedList<PodPreset>(store, 'settings.k8s.io/podpresets', namespace).filter(({ spec }) =>
      labelSelectorMatches(spec?.selector ?? {}, labels),
    );
    if (presets.length === 0) return;
    const changed = structuredClone(pod);
    for (const preset of presets) {
      const conflict = addPreset(changed, preset);
      if (conflict === undefined) continue;
      const names = presets.map((each) => each.metadata.name).join(',');
      warn(request, `conflict occurred while applying podpresets: ${names} on pod: ${name}: ${conflict}`);
      return;
    }
    request.object = changed;
  },
};

/** Adds the preset in place, or gives what stands against it and changes nothing. */
function addPreset(pod: Pod, { metadata, spec = {} }: PodPreset): string | undefined {
  const { env = [], envFrom = [], volumeMounts = [], volumes = [] } = structuredClone(spec);
  const podSpec = pod.spec as PodSpec;
  const containers = [...podSpec.containers, ...(podSpec.initContainers ?? [])];
  const byName = ({ name }: { name: string }) => name;
  const conflicts = [
    ...containers.flatMap((container) => [
      ...clashes('env', container.env, env, byName),
      ...clashes('volume mounts', container.volumeMounts, volumeMounts, byName),
      ...clashes('volume mounts', container.volumeMounts, volumeMounts, ({ mountPath }) => mountPath),
    ]),
    ...clashes('volumes', podSpec.volumes, volumes, byName),
  ];
  if (conflicts[0]) return `merging ${conflicts[0].what} for ${metadata.name} has a conflict on ${conflicts[0].on}`;
  for (const container of containers) {
    if (env.length > 0) container.env = union(container.env, env);
    if (envFrom.length > 0) container.envFrom = [...(container.envFrom ?? []), ...envFrom];
    if (volumeMounts.length > 0) container.volumeMounts = union(container.volumeMounts, volumeMounts);
  }
  if (volumes.length > 0) podSpec.volumes = union(podSpec.volumes, volumes);
  const applied = { [`${prefix}/podpreset-${metadata.name}`]: metadata.resourceVersion ?? '' };
  pod.metadata.annotations = { ...pod.metadata.annotations, ...applied };
  return undefined;
}

/** What is added although something else goes by the same identity. */
function clashes<T>(what: string, own: T[] = [], added: T[], identity: (item: T) => string): { what: string; on: string }[] {
  const clash = (item: T) => own.some((known) => identity(known) === identity(item) && !sameJson(known, item));
  return added.filter(clash).map((item) => ({ what, on: identity(item) }));
}

function union<T>(own: T[] = [], added: T[]): T[] {
  return [...own, ...added.filter((item) => !own.some((known) => sameJson(known, item)))];
}
