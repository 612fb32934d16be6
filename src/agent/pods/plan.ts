/**
 * What to do next for a pod's containers, from its spec and what ran so far. Pure: the worker does one action, records the
 * outcome and asks again. Order and restart rules are those of the Kubernetes pod lifecycle: init containers one by one,
 * restartable init containers (sidecars) started in order and kept running, then all containers.
 */
import type { Container, PodSpec } from '../../machinery/types.ts';
import { backOffRemainingMs, backOffText } from './back-off.ts';
import type { ContainerRecord, PodRecord } from './record.ts';

export interface Waiting {
  reason: string;
  message?: string;
}

export type PodAction =
  | { type: 'start'; container: string; attempt: number }
  /** Sidecars, when all else has ended. */
  | { type: 'stop'; container: string };

export interface PodPlan {
  /** Starts in order; several stops. Empty: nothing to do now. */
  actions: PodAction[];
  /** Why containers that do not run are waiting. */
  waiting: Record<string, Waiting>;
  /** Ask again at this wall time even if nothing happens. */
  wakeAtMs?: number;
  /** All containers have ended for good. */
  finished: boolean;
}

/** True for an init container that runs beside the others. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

export function restartPolicyOf(spec: PodSpec): RestartPolicy {
  return (spec.restartPolicy as RestartPolicy | undefined) ?? 'Always';
}

export interface PlanInput {
  record: Pick<PodRecord, 'containers' | 'failed'>;
  /** For the message of CrashLoopBackOff: NAME_NAMESPACE(UID). */
  podLabel: string;
  nowMs: number;
  /** False for a sidecar whose startup probe has not passed yet. */
  started: (container: string) => boolean;
}

export function planPod(spec: PodSpec, input: PlanInput): PodPlan {
  const { record } = input;
  const plan: PodPlan = { actions: [], waiting: {}, finished: false };
  const policy = restartPolicyOf(spec);
  const initContainers = spec.initContainers ?? [];
  const recordOf = (name: string): ContainerRecord => record.containers[name] ?? {};
  const appBegun = spec.containers.some((container) => recordOf(container.name).current);

  if (record.failed) return stopAll(spec, record, plan);

  for (const { name } of spec.ephemeralContainers ?? []) {
    const run = recordOf(name).current;
    if (!run || run.state === 'creating') plan.actions.push({ type: 'start', container: name, attempt: 0 });
  }

  if (appBegun && spec.containers.every(({ name }) => endedForGood(recordOf(name), policy))) {
    return stopAll(spec, record, { ...plan, actions: [] });
  }

  for (const container of initContainers) {
    const { name } = container;
    const state = recordOf(name);
    const run = state.current;
    if (isSidecar(container)) {
      if (run?.state !== 'running') {
        const begun = startOrWait(container, state, input, plan);
        if (!begun && !run) return plan;
        if (!appBegun) return plan;
      } else if (!appBegun && !input.started(name)) return plan;
      continue;
    }
    if (appBegun || run?.exit?.code === 0) continue;
    if (!run || run.state === 'creating') {
      startOrWait(container, state, input, plan);
      return plan;
    }
    if (run.state === 'running') return plan;
    if (policy === 'Never') return stopAll(spec, record, { ...plan, actions: [] });
    startOrWait(container, state, input, plan);
    return plan;
  }

  for (const container of spec.containers) {
    const state = recordOf(container.name);
    if (state.current?.state === 'running') continue;
    if (endedForGood(state, policy)) continue;
    startOrWait(container, state, input, plan);
  }
  return plan;
}

/** A start, or the back-off before it. True when a start was planned. */
function startOrWait(container: Container, state: ContainerRecord, input: PlanInput, plan: PodPlan): boolean {
  const run = state.current;
  if (run?.state === 'exited' && !run.replaced) {
    const finishedAtMs = run.exit?.finishedAtMs ?? input.nowMs;
    const remainingMs = backOffRemainingMs(state, finishedAtMs, input.nowMs);
    if (remainingMs > 0) {
      plan.waiting[container.name] = {
        reason: 'CrashLoopBackOff',
        message: `back-off ${backOffText(state.backOffMs ?? 0)} restarting failed container=${container.name} pod=${input.podLabel}`,
      };
      plan.wakeAtMs = Math.min(plan.wakeAtMs ?? Number.POSITIVE_INFINITY, input.nowMs + remainingMs);
      return false;
    }
  }
  const attempt = run ? (run.state === 'creating' ? run.attempt : run.attempt + 1) : 0;
  plan.actions.push({ type: 'start', container: container.name, attempt });
  return true;
}

/** What would be started waits instead. In place. */
export function withoutStarts(plan: PodPlan): void {
  const message = 'this machine is out of contact with the quorum of the cluster';
  for (const action of plan.actions)
    if (action.type === 'start') plan.waiting[action.container] = { reason: 'LeaseLost', message };
  plan.actions = plan.actions.filter(({ type }) => type !== 'start');
}

function endedForGood(state: ContainerRecord, policy: RestartPolicy): boolean {
  const run = state.current;
  if (run?.state !== 'exited') return false;
  if (run.replaced && policy !== 'Never') return false;
  return policy === 'Never' || (policy === 'OnFailure' && run.exit?.code === 0);
}

/** Stops what still runs; finished when nothing does. */
function stopAll(spec: PodSpec, record: PlanInput['record'], plan: PodPlan): PodPlan {
  const all = [...spec.containers, ...(spec.ephemeralContainers ?? []), ...(spec.initContainers ?? []).toReversed()];
  for (const { name } of all) {
    const state = record.containers[name]?.current?.state;
    if (state === 'running' || state === 'creating') plan.actions.push({ type: 'stop', container: name });
  }
  plan.finished = plan.actions.length === 0;
  return plan;
}
