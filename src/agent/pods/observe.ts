/**
 * Looks whether a run has ended, and how. The exit file of the monitor is the truth; without a monitor (it was killed, or the
 * machine restarted) the process's absence is all there is, and the exit code is unknown.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Container } from '../../machinery/types.ts';
import type { ContainerRuntime, MonitorExit } from '../runtime/container-runtime.ts';
import { isAlive } from '../runtime/process-identity.ts';
import type { ContainerRun, PodPaths, RunExit } from './record.ts';
import { terminationMessage } from './termination-message.ts';

/** A monitor writes the exit code within this time of the end, or never. */
const monitorGraceMs = 3_000;

export interface Observation {
  exit?: RunExit;
  /** The process has gone but its exit code may still come: look again soon. */
  pending: boolean;
}

export class RunObserver {
  readonly #runtime: ContainerRuntime;
  readonly #paths: PodPaths;
  readonly #clock: Clock;
  /** When a run was first seen without process and exit file; monotonic. */
  readonly #missingSinceMs = new Map<string, number>();

  constructor(runtime: ContainerRuntime, paths: PodPaths, clock: Clock) {
    this.#runtime = runtime;
    this.#paths = paths;
    this.#clock = clock;
  }

  async observe(container: Container, run: ContainerRun): Promise<Observation> {
    const bundle = this.#paths.bundle(container.name, run.attempt);
    const ended = await this.#runtime.readExit(run.id, bundle);
    if (ended) {
      this.#missingSinceMs.delete(run.id);
      const message = await terminationMessage(this.#paths, container, run, ended.code);
      return { exit: describeExit(ended, message), pending: false };
    }
    if (run.pid !== undefined && run.pidStart !== undefined && (await isAlive({ pid: run.pid, start: run.pidStart }))) {
      return { pending: false };
    }
    const nowMs = this.#clock.monotonicMs();
    const since = this.#missingSinceMs.get(run.id) ?? nowMs;
    this.#missingSinceMs.set(run.id, since);
    if (nowMs - since < monitorGraceMs) return { pending: true };
    this.#missingSinceMs.delete(run.id);
    return { exit: lostExit(this.#clock.wallMs()), pending: false };
  }
}

export function describeExit({ code, oom, finishedAtMs }: MonitorExit, message: string): RunExit {
  const reason = code === 0 ? 'Completed' : oom ? 'OOMKilled' : 'Error';
  return { code, reason, ...(message ? { message } : {}), finishedAtMs };
}

/** The container ended while nobody watched. */
export function lostExit(finishedAtMs: number): RunExit {
  return {
    code: 137,
    reason: 'ContainerStatusUnknown',
    message: 'The container could not be located when the pod was terminated',
    finishedAtMs,
  };
}
