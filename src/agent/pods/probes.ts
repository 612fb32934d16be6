/**
 * The probes of one pod's running containers: startup first, then readiness and liveness, each with its delay, period and
 * thresholds as Kubernetes documents them. A worker asks `ready` and `started`; it is told when they change and when a
 * container must be restarted.
 */
import { delay } from '../../lib/clock.ts';
import type { Container, Pod, Probe } from '../../machinery/types.ts';
import { execOnce } from '../runtime/exec.ts';
import { fieldPathOf } from './container-launch.ts';
import { grpcProbe } from './grpc-probe.ts';
import { httpProbe, type ProbeResult, portNumber, tcpProbe } from './probe-checks.ts';
import type { ContainerRun, PodPaths } from './record.ts';
import type { PodServices } from './services.ts';

export interface PodProbesOptions {
  services: PodServices;
  paths: PodPaths;
  /** The pod's address, once it has one. */
  address: () => string | undefined;
  onChange: () => void;
  /** The container failed its liveness or startup probe: `message` says so for people. */
  onUnhealthy: (container: Container, run: ContainerRun, probe: Probe, message: string) => void;
}

type Kind = 'Startup' | 'Readiness' | 'Liveness';

interface Probed {
  run: ContainerRun;
  ready: boolean;
  started: boolean;
  all: AbortController;
  liveness: AbortController;
}

/** Exec probes at once on this machine: each costs as much as starting a process in a container. */
const execAtOnceMax = 8;
let execUnderWay = 0;
const execWaiting: (() => void)[] = [];

export class PodProbes {
  readonly #options: PodProbesOptions;
  readonly #probed = new Map<string, Probed>();

  constructor(options: PodProbesOptions) {
    this.#options = options;
  }

  ready(container: string): boolean {
    return this.#probed.get(container)?.ready ?? false;
  }

  started(container: string): boolean {
    return this.#probed.get(container)?.started ?? false;
  }

  /** The container runs. An adopted one that was ready stays so until its probe says otherwise. */
  begin(pod: Pod, container: Container, run: ContainerRun, { adopted }: { adopted: boolean }): void {
    this.end(container.name);
    const { startupProbe, readinessProbe } = container;
    const before = adopted ? pod.status?.containerStatuses?.find(({ name }) => name === container.name) : undefined;
    const probed: Probed = {
      run,
      started: !startupProbe || before?.started === true,
      ready: (!startupProbe && !readinessProbe) || before?.ready === true,
      all: new AbortController(),
      liveness: new AbortController(),
    };
    this.#probed.set(container.name, probed);
    void this.#follow(pod, container, probed).catch((error: unknown) => {
      if (!probed.all.signal.aborted) this.#options.services.logger.error({ error, container: container.name }, 'probes ended');
    });
  }

  end(container: string): void {
    const probed = this.#probed.get(container);
    this.#probed.delete(container);
    probed?.all.abort(new Error('the container ended'));
  }

  /** A pod that is going is not restarted any more; its readiness still counts. */
  stopLiveness(): void {
    for (const { liveness } of this.#probed.values()) liveness.abort(new Error('the pod is being deleted'));
  }

  stopAll(): void {
    for (const name of [...this.#probed.keys()]) this.end(name);
  }

  async #follow(pod: Pod, container: Container, probed: Probed): Promise<void> {
    const { startupProbe, readinessProbe, livenessProbe } = container;
    const signal = probed.all.signal;
    if (startupProbe && !probed.started) {
      const passed = await this.#startup(pod, container, startupProbe, probed);
      if (!passed) return;
      probed.started = true;
      if (!readinessProbe) probed.ready = true;
      this.#options.onChange();
    }
    const loops: Promise<void>[] = [];
    if (readinessProbe) loops.push(this.#readiness(pod, container, readinessProbe, probed));
    if (livenessProbe) {
      const both = AbortSignal.any([signal, probed.liveness.signal]);
      loops.push(this.#liveness(pod, container, livenessProbe, probed, both));
    }
    await Promise.all(loops.map((loop) => loop.catch((error: unknown) => endedBy(error, signal, probed.liveness.signal))));
  }

  async #startup(pod: Pod, container: Container, probe: Probe, probed: Probed): Promise<boolean> {
    const signal = probed.all.signal;
    await this.#initialDelay(probe, probed.run, signal);
    let failures = 0;
    for (;;) {
      const result = await this.#check('Startup', pod, container, probe, probed.run, signal);
      if (result.ok) return true;
      if (++failures >= (probe.failureThreshold ?? 3)) {
        const message = `Container ${container.name} failed startup probe, will be restarted`;
        this.#options.onUnhealthy(container, probed.run, probe, message);
        return false;
      }
      await this.#period(probe, signal);
    }
  }

  async #readiness(pod: Pod, container: Container, probe: Probe, probed: Probed): Promise<void> {
    const signal = probed.all.signal;
    await this.#initialDelay(probe, probed.run, signal);
    let successes = 0;
    let failures = 0;
    for (;;) {
      const { ok } = await this.#check('Readiness', pod, container, probe, probed.run, signal);
      successes = ok ? successes + 1 : 0;
      failures = ok ? 0 : failures + 1;
      const ready = ok
        ? probed.ready || successes >= (probe.successThreshold ?? 1)
        : probed.ready && failures < (probe.failureThreshold ?? 3);
      if (ready !== probed.ready) {
        probed.ready = ready;
        this.#options.onChange();
      }
      await this.#period(probe, signal);
    }
  }

  async #liveness(pod: Pod, container: Container, probe: Probe, probed: Probed, signal: AbortSignal): Promise<void> {
    await this.#initialDelay(probe, probed.run, signal);
    let failures = 0;
    for (;;) {
      const { ok } = await this.#check('Liveness', pod, container, probe, probed.run, signal);
      failures = ok ? 0 : failures + 1;
      if (failures >= (probe.failureThreshold ?? 3)) {
        const message = `Container ${container.name} failed liveness probe, will be restarted`;
        this.#options.onUnhealthy(container, probed.run, probe, message);
        return;
      }
      await this.#period(probe, signal);
    }
  }

  #initialDelay(probe: Probe, run: ContainerRun, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options.services;
    const sinceStartMs = clock.wallMs() - run.startedAtMs;
    return delay(clock, Math.max(0, (probe.initialDelaySeconds ?? 0) * 1_000 - Math.max(0, sinceStartMs)), signal);
  }

  #period(probe: Probe, signal: AbortSignal): Promise<void> {
    return delay(this.#options.services.clock, (probe.periodSeconds ?? 10) * 1_000, signal);
  }

  async #check(
    kind: Kind,
    pod: Pod,
    container: Container,
    probe: Probe,
    run: ContainerRun,
    signal: AbortSignal,
  ): Promise<ProbeResult> {
    const result = await this.#try(container, probe, run, signal);
    if (!result.ok) {
      const message = `${kind} probe failed: ${result.message}`;
      this.#options.services.events.record(pod, 'Warning', 'Unhealthy', message, fieldPathOf(pod, container.name));
    }
    return result;
  }

  async #try(container: Container, probe: Probe, run: ContainerRun, signal: AbortSignal): Promise<ProbeResult> {
    const { services, paths, address } = this.#options;
    const timeoutMs = (probe.timeoutSeconds ?? 1) * 1_000;
    if (probe.httpGet) return httpProbe(probe.httpGet, container, address(), timeoutMs, signal);
    if (probe.tcpSocket) {
      const { host, port } = probe.tcpSocket;
      return tcpProbe(host || address(), portNumber(port as string | number, container), timeoutMs, signal);
    }
    if (probe.grpc) {
      const { port, service } = probe.grpc;
      return grpcProbe({ host: address(), port, service: service ?? '' }, timeoutMs, signal);
    }
    if (!probe.exec) return { ok: false, message: 'this kind of probe is not supported' };
    await execPlace(signal);
    try {
      const target = { id: run.id, bundle: paths.bundle(container.name, run.attempt) };
      const outcome = await execOnce(services.runtime, services.executor, target, probe.exec.command ?? [], {
        timeoutMs,
        signal,
      });
      return { ok: outcome.exitCode === 0, message: outcome.output.trim() };
    } finally {
      execUnderWay--;
      execWaiting.shift()?.();
    }
  }
}

async function execPlace(signal: AbortSignal): Promise<void> {
  while (execUnderWay >= execAtOnceMax) {
    await new Promise<void>((resolve) => execWaiting.push(resolve));
    if (signal.aborted) {
      execWaiting.shift()?.();
      throw signal.reason;
    }
  }
  execUnderWay++;
}

/** The end of the container or of its liveness checks is how these loops end. */
function endedBy(error: unknown, ...signals: AbortSignal[]): void {
  if (!signals.some((signal) => signal.aborted)) throw error;
}
