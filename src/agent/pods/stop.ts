/**
 * Ends one run politely: preStop hook, the image's stop signal, and when the time is over SIGKILL. The time may become
 * shorter while it runs (a second delete), so it is asked for again and again.
 */
import { constants } from 'node:os';
import type { Container, Pod } from '../../machinery/types.ts';
import { signalProcess } from '../runtime/process-identity.ts';
import { fieldPathOf, releaseRun } from './container-launch.ts';
import { runPreStop } from './hooks.ts';
import { lostExit } from './observe.ts';
import type { ContainerRun, PodPaths } from './record.ts';
import type { PodServices } from './services.ts';
import type { Waker } from './waker.ts';

export interface ContainerStopperOptions {
  services: PodServices;
  paths: PodPaths;
  waker: Waker;
  address: () => string | undefined;
  /** Records the end of a run; true while its exit code may still come. */
  observe(container: Container, run: ContainerRun): Promise<boolean>;
}

export interface StopOptions {
  /** Monotonic time of the SIGKILL. Asked for again after every wake. */
  killAtMs: () => number;
  /** No Killing event: the caller has recorded why. */
  quiet: boolean;
  signal: AbortSignal;
}

/** The one-off extension that Kubernetes documents for hooks that outlast the grace period. */
const afterHookMs = 2_000;
/** After SIGKILL a process that waits for a disk may take a while. */
const killedWaitMs = 10_000;
const lookMs = 200;

export class ContainerStopper {
  readonly #options: ContainerStopperOptions;
  /** Stops under way: a second request joins the first. */
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(options: ContainerStopperOptions) {
    this.#options = options;
  }

  isStopping(run: ContainerRun): boolean {
    return this.#underWay.has(run.id);
  }

  /** Resolves when the run has ended and is recorded. */
  stop(pod: Pod, container: Container, run: ContainerRun, options: StopOptions): Promise<void> {
    const known = this.#underWay.get(run.id);
    if (known) return known;
    const stopping = this.#stop(pod, container, run, options).finally(() => this.#underWay.delete(run.id));
    this.#underWay.set(run.id, stopping);
    return stopping;
  }

  async #stop(pod: Pod, container: Container, run: ContainerRun, options: StopOptions): Promise<void> {
    const { services, paths } = this.#options;
    const { clock, events, logger } = services;
    if (run.state === 'creating') {
      await releaseRun({ services, paths }, container.name, run);
      run.state = 'exited';
      run.exit = lostExit(clock.wallMs());
      run.released = true;
      return;
    }
    if (run.state === 'exited') return;
    const identity = { pid: run.pid!, start: run.pidStart! };
    if (!options.quiet) {
      events.record(pod, 'Normal', 'Killing', `Stopping container ${container.name}`, fieldPathOf(pod, container.name));
    }
    if (options.killAtMs() > clock.monotonicMs()) {
      const hooked = await this.#preStop(pod, container, run, options);
      await signalProcess(identity, signalNumber(run.stopSignal));
      // A hook may use up all the time there was; the program is to hear of its end all the same.
      const leastMs = hooked ? clock.monotonicMs() + afterHookMs : 0;
      await this.#ended(container, run, () => Math.max(options.killAtMs(), leastMs), options.signal);
    }
    if ((run.state as ContainerRun['state']) === 'exited') return;
    await signalProcess(identity, 'SIGKILL');
    const giveUpAtMs = clock.monotonicMs() + killedWaitMs;
    await this.#ended(container, run, () => giveUpAtMs, options.signal);
    if ((run.state as ContainerRun['state']) === 'exited') return;
    options.signal.throwIfAborted();
    logger.warn({ pod: pod.metadata.name, container: container.name, pid: run.pid }, 'container outlived SIGKILL');
    throw new Error(`container ${container.name} does not end`);
  }

  /** Whether there was a hook to run. */
  async #preStop(pod: Pod, container: Container, run: ContainerRun, options: StopOptions): Promise<boolean> {
    const { services, paths, address, waker } = this.#options;
    if (!container.lifecycle?.preStop) return false;
    const abort = new AbortController();
    const hook = runPreStop(services, container, {
      target: { id: run.id, bundle: paths.bundle(container.name, run.attempt) },
      address: address(),
      signal: AbortSignal.any([abort.signal, options.signal]),
    });
    let done = false;
    const finished = hook.finally(() => {
      done = true;
      waker.wake();
    });
    finished.catch(() => undefined);
    while (!done && !options.signal.aborted && options.killAtMs() > services.clock.monotonicMs()) {
      const leftMs = options.killAtMs() - services.clock.monotonicMs();
      await waker.sleep(waker.count, services.clock.wallMs() + leftMs, options.signal);
    }
    abort.abort(new Error('the grace period is over'));
    const failure = await finished.catch(() => undefined);
    if (failure) services.events.record(pod, 'Warning', 'FailedPreStopHook', failure, fieldPathOf(pod, container.name));
    return true;
  }

  async #ended(container: Container, run: ContainerRun, untilMs: () => number, signal: AbortSignal): Promise<void> {
    const { services, waker, observe } = this.#options;
    const { clock } = services;
    for (;;) {
      const seen = waker.count;
      await observe(container, run);
      const leftMs = untilMs() - clock.monotonicMs();
      if (run.state === 'exited' || leftMs <= 0 || signal.aborted) return;
      await waker.sleep(seen, clock.wallMs() + Math.min(leftMs, lookMs), signal);
    }
  }
}

/** `SIGTERM`, `TERM`, `15`; SIGTERM for what is none. */
export function signalNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const realTime = /^(?:SIG)?RTMIN\+(\d+)$/.exec(text);
  if (realTime) return 34 + Number(realTime[1]);
  const name = (text.startsWith('SIG') ? text : `SIG${text}`) as NodeJS.Signals;
  return constants.signals[name] ?? constants.signals.SIGTERM;
}
