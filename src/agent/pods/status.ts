/**
 * The pod status people and controllers see, from the record and what is known at the moment. Pure: the same input gives the
 * same status. Phases and conditions follow the Kubernetes pod lifecycle; conditions of others (PodScheduled, readiness gates)
 * are kept.
 */

import { qosClassOf } from '../../machinery/qos.ts';
import type { Container, ContainerState, ContainerStatus, Pod, PodCondition, PodStatus } from '../../machinery/types.ts';
import type { ProcessUser } from '../runtime/user.ts';
import { isSidecar, restartPolicyOf, type Waiting } from './plan.ts';
import { ephemeralOf } from './pod-context.ts';
import type { ContainerRecord, ContainerRun, PodRecord } from './record.ts';
import { type ResizeState, resizeConditions, resizeConditionsOf } from './resize.ts';

export interface StatusInput {
  /** As last seen from the API (or the record, before that). */
  pod: Pod;
  record: PodRecord;
  hostIp: string;
  nowMs: number;
  /** True while namespaces and network of the pod stand. */
  sandboxReady: boolean;
  waiting: Readonly<Record<string, Waiting>>;
  /** Left out: none is under way. */
  resize?: ResizeState;
  /** From probes: ready to serve; startup done. Without probes true as soon as the container runs. */
  ready: (container: string) => boolean;
  started: (container: string) => boolean;
}

/** The reason in DisruptionTarget when the machine made the pod go. */
export const terminationByAgent = 'TerminationByKubelet';

type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

/** RFC 3339 in whole seconds, as all times in objects. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** Kubelets list containers by name, whatever their order in the pod. */
const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);

export function computePodStatus(input: StatusInput): PodStatus {
  const { pod, record } = input;
  const spec = pod.spec!;
  const initContainers = spec.initContainers ?? [];
  const phase = phaseOf(pod, record);
  const initDone = initIncomplete(input).length === 0;
  // A pod that ended says nothing of containers that never ran: `kubectl get` would show them as still being created.
  const shown = ({ name }: Container) => !(record.failed || record.ended) || record.containers[name]?.current !== undefined;
  const statusesOf = (list: Container[], init: boolean) =>
    list.filter(shown).map((container) => containerStatus(container, input, init, initDone));
  const initContainerStatuses = statusesOf(initContainers, true);
  const containerStatuses = statusesOf(spec.containers, false);
  const ephemeralContainerStatuses = ephemeralOf(spec)
    .filter(shown)
    .map((container) => ephemeralStatus(container, input));
  const previous = pod.status ?? {};
  const status: PodStatus = {
    phase,
    conditions: conditions(input, phase, initContainerStatuses, containerStatuses),
    hostIP: input.hostIp,
    hostIPs: [{ ip: input.hostIp }],
    startTime: record.startTime,
    qosClass: previous.qosClass ?? qosClassOf(spec),
    ...(containerStatuses.length ? { containerStatuses: containerStatuses.toSorted(byName) } : {}),
  };
  if (initContainerStatuses.length) status.initContainerStatuses = initContainerStatuses;
  if (ephemeralContainerStatuses.length) status.ephemeralContainerStatuses = ephemeralContainerStatuses;
  if (record.failed) {
    status.reason = record.failed.reason;
    status.message = record.failed.message;
  }
  const ip = spec.hostNetwork ? (record.hadSandbox ? input.hostIp : undefined) : record.ip;
  if (ip) {
    status.podIP = ip;
    status.podIPs = [{ ip }];
  }
  if (previous.nominatedNodeName) status.nominatedNodeName = previous.nominatedNodeName;
  return status;
}

/** The sum of a pod's containers in one word. */
export function phaseOf(pod: Pod, record: PodRecord): Phase {
  const spec = pod.spec!;
  if (record.failed) return 'Failed';
  const policy = restartPolicyOf(spec);
  for (const container of spec.initContainers ?? []) {
    const state = record.containers[container.name];
    const run = state?.current;
    if (isSidecar(container)) continue;
    if (run?.state === 'exited' && run.exit?.code !== 0 && policy === 'Never') return 'Failed';
  }
  const runs = spec.containers.map((container) => record.containers[container.name] ?? {});
  const neverRan = (state: ContainerRecord) => !state.last && (!state.current || state.current.state === 'creating');
  if (runs.some(neverRan)) return record.ended ? 'Failed' : 'Pending';
  const over = ({ current }: ContainerRecord) => current?.state === 'exited' && (!current.replaced || record.ended);
  const exits = runs.map((state) => (over(state) ? state.current?.exit : undefined));
  if (exits.some((exit) => !exit) || (policy === 'Always' && !record.ended)) return 'Running';
  if (exits.every((exit) => exit?.code === 0)) return 'Succeeded';
  return policy === 'Never' || record.ended ? 'Failed' : 'Running';
}

function containerStatus(container: Container, input: StatusInput, init: boolean, initDone: boolean): ContainerStatus {
  const { name } = container;
  const state = input.record.containers[name] ?? {};
  const run = state.current;
  const running = run?.state === 'running';
  const waiting = input.waiting[name];
  // A run that ended and waits for its next attempt moves to lastState, as users know it from CrashLoopBackOff.
  const shown: ContainerState = running
    ? { running: { startedAt: timestamp(run.startedAtMs) } }
    : waiting
      ? { waiting: { ...waiting } }
      : run?.state === 'exited'
        ? { terminated: terminated(run) }
        : { waiting: { reason: defaultWaiting(input, init, initDone) } };
  const before = shown.terminated || running || run?.state !== 'exited' ? state.last : run;
  const newest = run ?? state.last;
  const completed = shown.terminated?.exitCode === 0;
  return {
    name,
    state: shown,
    lastState: before?.exit ? { terminated: terminated(before) } : {},
    ready: init && !isSidecar(container) ? completed : running && input.ready(name),
    restartCount: run?.attempt ?? 0,
    image: newest?.image ?? container.image ?? '',
    imageID: newest?.imageId ?? '',
    ...(newest ? { containerID: `kontiki://${newest.id}`, ...mountsShown(container) } : {}),
    started: init && !isSidecar(container) ? running : running && input.started(name),
    ...(container.resources?.requests ? { allocatedResources: container.resources.requests } : {}),
    resources: (running ? run.resources : undefined) ?? container.resources ?? {},
    ...(newest?.user ? { user: { linux: userShown(newest.user) } } : {}),
  };
}

function mountsShown({ volumeMounts = [] }: Container): Pick<ContainerStatus, 'volumeMounts'> {
  if (volumeMounts.length === 0) return {};
  return {
    volumeMounts: volumeMounts.map(({ name, mountPath, readOnly, recursiveReadOnly = 'Disabled' }) => ({
      name,
      mountPath,
      // What was asked for if it can be done is done: every machine of ours can.
      ...(readOnly ? { readOnly, recursiveReadOnly: recursiveReadOnly === 'Disabled' ? 'Disabled' : 'Enabled' } : {}),
    })),
  };
}

function userShown({ uid, gid, additionalGids }: ProcessUser) {
  return { uid, gid, supplementalGroups: additionalGids };
}

/** It serves nobody, so it is never ready. */
function ephemeralStatus(container: Container, input: StatusInput): ContainerStatus {
  const { started: _started, resources: _resources, ...status } = containerStatus(container, input, false, true);
  return { ...status, ready: false };
}

function defaultWaiting(input: StatusInput, init: boolean, initDone: boolean): string {
  const hasInit = (input.pod.spec?.initContainers?.length ?? 0) > 0;
  return hasInit && (init || !initDone) ? 'PodInitializing' : 'ContainerCreating';
}

function terminated(run: ContainerRun): NonNullable<ContainerState['terminated']> {
  const exit = run.exit!;
  return {
    exitCode: exit.code,
    reason: exit.reason,
    ...(exit.message ? { message: exit.message } : {}),
    startedAt: timestamp(run.startedAtMs),
    finishedAt: timestamp(exit.finishedAtMs),
    containerID: `kontiki://${run.id}`,
  };
}

function initIncomplete(input: StatusInput): string[] {
  const spec = input.pod.spec!;
  const appBegun = spec.containers.some(({ name }) => input.record.containers[name]?.current);
  return (spec.initContainers ?? [])
    .filter((container) => {
      const run = input.record.containers[container.name]?.current;
      if (isSidecar(container)) return !(run?.state === 'running' && input.started(container.name)) && !appBegun;
      return run?.exit?.code !== 0 && !appBegun;
    })
    .map(({ name }) => name);
}

function conditions(
  input: StatusInput,
  phase: Phase,
  initStatuses: ContainerStatus[],
  containerStatuses: ContainerStatus[],
): PodCondition[] {
  const { pod } = input;
  const now = timestamp(input.nowMs);
  // Transition times go by the record's last status: it is newer than what the API has echoed back.
  const known = [...(pod.status?.conditions ?? []), ...(input.record.status?.conditions ?? [])];
  const make = (type: string, status: boolean, why: { reason?: string; message?: string } = {}): PodCondition => {
    const text = status ? 'True' : 'False';
    const before = known.findLast((condition) => condition.type === type);
    return {
      type,
      status: text,
      ...why,
      lastTransitionTime: before?.status === text && before.lastTransitionTime ? before.lastTransitionTime : now,
    };
  };
  const sidecars = initStatuses.filter(({ name }) =>
    pod.spec!.initContainers!.some((container) => container.name === name && isSidecar(container)),
  );
  const unready = [...sidecars, ...containerStatuses].filter((status) => !status.ready).map(({ name }) => name);
  const ended = phase === 'Succeeded' ? { reason: 'PodCompleted' } : phase === 'Failed' ? { reason: 'PodFailed' } : undefined;
  const containersReady =
    ended ??
    (unready.length
      ? { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` }
      : undefined);
  const incomplete = initIncomplete(input);
  const initialized =
    phase === 'Succeeded'
      ? make('Initialized', true, { reason: 'PodCompleted' })
      : incomplete.length
        ? make('Initialized', false, {
            reason: 'ContainersNotInitialized',
            message: `containers with incomplete status: [${incomplete.join(' ')}]`,
          })
        : make('Initialized', true);
  const notReady = containersReady ?? unmetReadinessGate(pod);
  const own = [
    make('PodReadyToStartContainers', input.sandboxReady),
    initialized,
    make('Ready', !notReady, notReady),
    make('ContainersReady', !containersReady, containersReady),
    ...resizeConditionsOf(input.resize ?? { inProgress: false }).map(({ type, ...why }) => make(type, true, why)),
  ];
  const { failed } = input.record;
  if (failed?.disruption) own.push(make('DisruptionTarget', true, { reason: terminationByAgent, message: failed.message }));
  const ours = new Set([...own.map(({ type }) => type), ...resizeConditions]);
  const others = (pod.status?.conditions ?? []).filter(({ type }) => !ours.has(type));
  return [...own, ...others];
}

function unmetReadinessGate(pod: Pod): { reason: string; message: string } | undefined {
  for (const { conditionType } of pod.spec?.readinessGates ?? []) {
    const condition = pod.status?.conditions?.find(({ type }) => type === conditionType);
    if (condition?.status === 'True') continue;
    return {
      reason: 'ReadinessGatesNotReady',
      message: condition
        ? `the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`
        : `corresponding condition of pod readiness gate "${conditionType}" does not exist.`,
    };
  }
  return undefined;
}
