/** Pod: containers that run together on one node. The only kind that is deleted gracefully. */
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isMirrorPod } from '../../machinery/mirror-pods.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { setPodOnlyDefaults, setPodSpecDefaults } from '../../machinery/pod-defaults.ts';
import { qosClassOf } from '../../machinery/qos.ts';
import type { Pod, PodCondition, PodSpec } from '../../machinery/types.ts';
import { forbidEphemeralAtCreation } from './ephemeral-validation.ts';
import { checkImmutable } from './field-errors.ts';
import { podColumns } from './pod-columns.ts';
import { validatePodSpec } from './pod-spec-validation.ts';
import { validatePodUpdate } from './pod-update-validation.ts';

const graceSecondsDefault = 30;

export const podKind: KindDefinition<Pod> = {
  group: '',
  kind: 'Pod',
  plural: 'pods',
  singular: 'pod',
  shortNames: ['po'],
  categories: ['all'],
  namespaced: true,
  versions: [{ name: 'v1', schema: 'core.v1.Pod' }],
  hasStatus: true,
  subresources: ['log', 'exec', 'attach', 'portforward', 'proxy', 'binding', 'eviction', 'ephemeralcontainers', 'resize'],

  setDefaults(pod) {
    pod.spec ??= { containers: [] };
    setPodSpecDefaults(pod.spec);
    setPodOnlyDefaults(pod.spec, { account: !isMirrorPod(pod) });
    setStatusDefaults(pod);
  },

  prepare(next, previous, { creating, nowMs }) {
    const spec = next.spec as PodSpec;
    if (!creating) {
      spec.priority ??= previous?.spec?.priority;
      spec.preemptionPolicy ??= previous?.spec?.preemptionPolicy;
      return;
    }
    next.status = { phase: 'Pending', qosClass: qosClassOf(spec) };
    if (spec.schedulingGates?.length) next.status.conditions = [gatedCondition(nowMs)];
  },

  validate(pod) {
    const spec = pod.spec as PodSpec;
    return [
      ...validateMetadata(pod.metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
      ...validatePodSpec(spec, 'spec'),
    ];
  },

  validateCreate: forbidEphemeralAtCreation,

  validateUpdate: (next, previous) => validatePodUpdate(next, previous),

  validateStatusUpdate(next, previous) {
    if (!previous.status?.qosClass) return [];
    return checkImmutable('status.qosClass', next.status?.qosClass, previous.status.qosClass);
  },

  gracePeriodSeconds(pod, requested) {
    const { deletionGracePeriodSeconds } = pod.metadata;
    const { nodeName, terminationGracePeriodSeconds } = pod.spec ?? {};
    // Nobody runs it, so there is nothing to wait for.
    if (!nodeName || pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return 0;
    const grace = requested ?? deletionGracePeriodSeconds ?? terminationGracePeriodSeconds ?? graceSecondsDefault;
    return grace < 0 ? 1 : grace;
  },

  columns: podColumns,

  selectableFields: {
    'spec.nodeName': (pod) => pod.spec?.nodeName ?? '',
    'spec.restartPolicy': (pod) => pod.spec?.restartPolicy ?? '',
    'spec.schedulerName': (pod) => pod.spec?.schedulerName ?? '',
    'spec.serviceAccountName': (pod) => pod.spec?.serviceAccountName ?? '',
    'spec.hostNetwork': (pod) => String(pod.spec?.hostNetwork ?? false),
    'status.phase': (pod) => pod.status?.phase ?? '',
    'status.podIP': (pod) => pod.status?.podIPs?.[0]?.ip ?? pod.status?.podIP ?? '',
    'status.podIPs': (pod) => (pod.status?.podIPs ?? []).map(({ ip }) => ip).join(','),
    'status.nominatedNodeName': (pod) => pod.status?.nominatedNodeName ?? '',
  },
};

/** The two forms of the pod's address agree, and whoever writes a status need not know the class. */
function setStatusDefaults(pod: Pod): void {
  const { status } = pod;
  if (!status) return;
  status.phase ||= 'Pending';
  status.qosClass ||= qosClassOf(pod.spec as PodSpec);
  if (status.podIP && !status.podIPs?.length) status.podIPs = [{ ip: status.podIP }];
  else if (!status.podIP && status.podIPs?.[0]?.ip) status.podIP = status.podIPs[0].ip;
  if (status.hostIP && !status.hostIPs?.length) status.hostIPs = [{ ip: status.hostIP }];
}

function gatedCondition(nowMs: number): PodCondition {
  return {
    type: 'PodScheduled',
    status: 'False',
    reason: 'SchedulingGated',
    message: 'Scheduling is blocked due to non-empty scheduling gates',
    lastTransitionTime: `${new Date(nowMs).toISOString().slice(0, 19)}Z`,
  };
}
