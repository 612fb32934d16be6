/**
 * What `kubectl get pods` shows. STATUS tells the one thing a person should know first: which container waits or ended and
 * why, else the phase. Source: the columns that the stock server prints.
 */
import { ageOf } from '../../machinery/duration.ts';
import type { Column } from '../../machinery/kind.ts';
import type { Container, ContainerStatus, Pod, PodSpec, PodStatus } from '../../machinery/types.ts';
import { ageColumn, column, nameColumn, wideColumn } from './columns.ts';

/** The reason that the node lifecycle gives a pod whose machine is silent. */
const nodeLost = 'NodeLost';

interface Summary {
  ready: number;
  total: number;
  reason: string;
  restarts: number;
  /** RFC 3339; '' when nothing was restarted. */
  lastRestart: string;
}

export const podColumns: Column<Pod>[] = [
  nameColumn,
  column(
    'Ready',
    (pod) => {
      const { ready, total } = summarize(pod);
      return `${ready}/${total}`;
    },
    'How many of the containers are ready to serve.',
  ),
  column('Status', (pod) => summarize(pod).reason, 'The phase of the pod, or what keeps it from running.'),
  column('Restarts', restartsCell, 'How often containers of the pod were restarted, and when the last time.'),
  ageColumn,
  wideColumn('IP', (pod) => pod.status?.podIPs?.[0]?.ip || pod.status?.podIP || '<none>', 'The address of the pod.'),
  wideColumn('Node', (pod) => pod.spec?.nodeName || '<none>', 'The node the pod is assigned to.'),
  wideColumn(
    'Nominated Node',
    (pod) => pod.status?.nominatedNodeName || '<none>',
    'The node on which room is being made for the pod.',
  ),
  wideColumn('Readiness Gates', readinessGates, 'How many of the readiness gates are true.'),
];

function restartsCell(pod: Pod, nowMs: number): string {
  const { restarts, lastRestart } = summarize(pod);
  return restarts > 0 && lastRestart ? `${restarts} (${ageOf(lastRestart, nowMs)} ago)` : String(restarts);
}

function readinessGates(pod: Pod): string {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  const holds = (type: string) =>
    pod.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True');
  return `${gates.filter((gate) => holds(gate.conditionType)).length}/${gates.length}`;
}

/** READY, STATUS and RESTARTS are three views of one walk over the container statuses. */
function summarize(pod: Pod): Summary {
  const spec = (pod.spec ?? { containers: [] }) as PodSpec;
  const status = (pod.status ?? {}) as PodStatus;
  const sidecars = new Set((spec.initContainers ?? []).filter(isSidecar).map((container) => container.name));
  const summary: Summary = {
    ready: 0,
    total: spec.containers.length + sidecars.size,
    reason: status.reason || status.phase || '',
    restarts: 0,
    lastRestart: '',
  };
  if (status.conditions?.some(({ type, reason }) => type === 'PodScheduled' && reason === 'SchedulingGated')) {
    summary.reason = 'SchedulingGated';
  }
  const initializing = summarizeInit(summary, status, spec, sidecars);
  if (!initializing || isTrue(status, 'Initialized')) summarizeContainers(summary, status, sidecars);
  if (pod.metadata.deletionTimestamp) {
    if (status.reason === nodeLost) summary.reason = 'Unknown';
    else if (status.phase !== 'Succeeded' && status.phase !== 'Failed') summary.reason = 'Terminating';
  }
  return summary;
}

const isSidecar = (container: Container) => container.restartPolicy === 'Always';
const isTrue = (status: PodStatus, type: string) =>
  status.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;

/** Goes up to the first init container that has not finished; true when there is one. */
function summarizeInit(summary: Summary, status: PodStatus, spec: PodSpec, sidecars: ReadonlySet<string>): boolean {
  for (const [index, container] of (status.initContainerStatuses ?? []).entries()) {
    countRestarts(summary, container);
    const { terminated, waiting } = container.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (sidecars.has(container.name) && container.started) {
      if (container.ready) summary.ready++;
      continue;
    }
    if (terminated) summary.reason = `Init:${endOf(terminated)}`;
    else if (waiting?.reason && waiting.reason !== 'PodInitializing') summary.reason = `Init:${waiting.reason}`;
    else summary.reason = `Init:${index}/${spec.initContainers?.length ?? 0}`;
    return true;
  }
  return false;
}

/** Restarts of init containers that have done their work no longer count. The first container's reason wins. */
function summarizeContainers(summary: Summary, status: PodStatus, sidecars: ReadonlySet<string>): void {
  summary.restarts = 0;
  summary.lastRestart = '';
  for (const container of status.initContainerStatuses ?? []) {
    if (sidecars.has(container.name)) countRestarts(summary, container);
  }
  let running = false;
  for (const container of [...(status.containerStatuses ?? [])].reverse()) {
    countRestarts(summary, container);
    const { terminated, waiting } = container.state ?? {};
    if (waiting?.reason) summary.reason = waiting.reason;
    else if (terminated) summary.reason = endOf(terminated);
    else if (container.ready && container.state?.running) {
      running = true;
      summary.ready++;
    }
  }
  if (summary.reason === 'Completed' && running) summary.reason = isTrue(status, 'Ready') ? 'Running' : 'NotReady';
}

function endOf({ reason, signal, exitCode }: { reason?: string; signal?: number; exitCode: number }): string {
  if (reason) return reason;
  return signal ? `Signal:${signal}` : `ExitCode:${exitCode}`;
}

function countRestarts(summary: Summary, container: ContainerStatus): void {
  summary.restarts += container.restartCount ?? 0;
  const finishedAt = container.lastState?.terminated?.finishedAt;
  if (finishedAt && Date.parse(finishedAt) > (Date.parse(summary.lastRestart) || 0)) summary.lastRestart = finishedAt;
}
