/** The containers of one pod: starts, watches, probes and stops their runs, and remembers why one cannot start yet. */
import type { Container, Pod } from '../../machinery/types.ts';
import { endOrphans } from '../runtime/exec.ts';
import { fieldPathOf, launchContainer, podLabel, releaseRun } from './container-launch.ts';
import { ContainerWaiting } from './container-waiting.ts';
import type { PodGround } from './ground.ts';
import { runPostStart } from './hooks.ts';
import { ImagePuller, pullPolicyOf } from './image-puller.ts';
import { rotateLog } from './log-rotation.ts';
import type { PodObjects } from './objects.ts';
import { RunObserver } from './observe.ts';
import { type PodPlan, restartPolicyOf, type Waiting } from './plan.ts';
import { addressOf, containersOf, ephemeralOf, fieldValuesOf, type PodContext } from './pod-context.ts';
import { PodProbes } from './probes.ts';
import { type ContainerRun, containerId } from './record.ts';
import { ContainerStopper } from './stop.ts';
import { hasOwnUsers } from './user-namespace.ts';

export interface ContainerRunsOptions {
  context: PodContext;
  ground: PodGround;
  objects: PodObjects;
  /** Monotonic time at which everything of the pod is killed; infinite while the pod stays. */
  killAtMs: () => number;
  /** Ends waiting; containers run on. */
  signal: AbortSignal;
}

/** Even when nothing is heard, what runs is looked at this often. */
const lookIntervalMs = 5_000;
const pendingExitMs = 100;

interface StopRequest {
  /** The caller has recorded why. */
  quiet?: boolean;
  /** Instead of the pod's. */
  graceSeconds?: number;
}

export class ContainerRuns {
  readonly probes: PodProbes;
  readonly #options: ContainerRunsOptions;
  readonly #context: PodContext;
  readonly #observer: RunObserver;
  readonly #stopper: ContainerStopper;
  readonly #puller: ImagePuller;
  #waiting: Record<string, Waiting> = {};
  /** Wall time before which a container is not tried again. */
  readonly #retryAtMs = new Map<string, number>();
  /** Under way: who sees the end of a run while another releases it waits for that. */
  readonly #releases = new Map<string, Promise<void>>();
  /** The run after which a container was last said to back off. */
  readonly #backOffTold = new Map<string, string>();

  constructor(options: ContainerRunsOptions) {
    this.#options = options;
    this.#context = options.context;
    const { services, paths, waker } = options.context;
    const { images, events, clock, runtime } = services;
    this.#observer = new RunObserver(runtime, paths, clock);
    this.#puller = new ImagePuller({ images, events, clock });
    const address = () => addressOf(options.context);
    this.probes = new PodProbes({
      services,
      paths,
      address,
      onChange: () => waker.wake(),
      onUnhealthy: (container, run, probe, message) => this.restart(container, run, message, probe.terminationGracePeriodSeconds),
    });
    this.#stopper = new ContainerStopper({
      services,
      paths,
      waker,
      address,
      observe: (container, run) => this.#observe(container, run),
    });
  }

  /** Why containers that do not run wait. */
  get waiting(): Readonly<Record<string, Waiting>> {
    return this.#waiting;
  }

  /** Takes up what an earlier agent left running; removes what it had only begun. */
  async adopt(): Promise<void> {
    const { record, services, paths, waker } = this.#context;
    const pod = this.#context.pod();
    for (const container of containersOf(pod)) {
      const run = record.containers[container.name]?.current;
      if (run?.state === 'creating') await releaseRun({ services, paths }, container.name, run);
      if (run?.state !== 'running') continue;
      run.resources ??= container.resources ?? {};
      await endOrphans(paths.bundle(container.name, run.attempt));
      services.exits.on(run.id, () => waker.wake());
      this.probes.begin(pod, container, run, { adopted: true });
    }
  }

  /** Looks at every running container. Gives the wall time of the next look. */
  async observeAll(): Promise<number> {
    const { paths, services } = this.#context;
    const pod = this.#context.pod();
    let pending = false;
    for (const container of containersOf(pod)) {
      const run = this.#current(container);
      if (run?.state === 'exited' && !run.released) await this.#release(container, run);
      if (run?.state !== 'running') continue;
      pending = (await this.#observe(container, run)) || pending;
      await rotateLog(paths, container.name, run.attempt);
      if (run.state === 'running') this.#restartChanged(pod, container, run);
    }
    return services.clock.wallMs() + (pending ? pendingExitMs : lookIntervalMs);
  }

  /** Before acting on a plan: what waits, and what need not wait longer because objects changed. */
  follow(plan: PodPlan, objectsChanged: boolean): void {
    for (const name of [...this.#retryAtMs.keys()]) {
      const wanted = plan.actions.some((action) => action.type === 'start' && action.container === name);
      if (!wanted) this.#retryAtMs.delete(name);
      else if (objectsChanged && this.#waiting[name]?.reason === 'CreateContainerConfigError') this.#retryAtMs.set(name, 0);
    }
    const kept = Object.entries(this.#waiting).filter(([name]) => this.#retryAtMs.has(name));
    this.#waiting = { ...Object.fromEntries(kept), ...plan.waiting };
    for (const [name, { reason }] of Object.entries(plan.waiting)) if (reason === 'CrashLoopBackOff') this.#tellBackOff(name);
  }

  /** One event for each back-off, however often the worker looks while it lasts. */
  #tellBackOff(name: string): void {
    const run = this.#context.record.containers[name]?.current;
    if (!run || this.#backOffTold.get(name) === run.id) return;
    this.#backOffTold.set(name, run.id);
    const pod = this.#context.pod();
    const message = `Back-off restarting failed container ${name} in pod ${podLabel(pod)}`;
    this.#context.services.events.record(pod, 'Warning', 'BackOff', message, fieldPathOf(pod, name));
  }

  /** Wall time at which a waiting container is to be tried again. */
  get retryAtMs(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#retryAtMs.values());
  }

  /** True when a start is planned whose time has come. */
  due(plan: PodPlan): boolean {
    const nowMs = this.#context.services.clock.wallMs();
    return plan.actions.some(({ type, container }) => type === 'start' && (this.#retryAtMs.get(container) ?? 0) <= nowMs);
  }

  /** Mounts what is due where the image is here for sure. Never rejects: a start that finds no root mounts it, and says what is wrong. */
  async mountRoots(plan: PodPlan): Promise<void> {
    const { services, record, uid } = this.#context;
    const { images, clock, logger } = services;
    // User ids of its own come with the sandbox.
    if (hasOwnUsers(this.#context.pod())) return;
    const nowMs = clock.wallMs();
    const mount = async ({ name, image = '' }: Container, attempt: number) => {
      const found = await images.find(image);
      if (found) await images.mountRoot(containerId(uid, name, attempt), found);
    };
    await Promise.all(
      plan.actions.map(async (action) => {
        const { type, container: name } = action;
        const container = containersOf(this.#context.pod()).find((one) => one.name === name)!;
        // What was begun is removed first.
        const begun = record.containers[name]?.current?.state === 'creating';
        if (type !== 'start' || begun || pullPolicyOf(container.image ?? '', container.imagePullPolicy) === 'Always') return;
        if ((this.#retryAtMs.get(name) ?? 0) > nowMs) return;
        await mount(container, action.attempt).catch((error: unknown) =>
          logger.debug({ error, container: name }, 'root not mounted yet'),
        );
      }),
    );
  }

  /** Does what the plan says. True when something changed that makes a new plan worth while. */
  async act(plan: PodPlan, signal: AbortSignal): Promise<boolean> {
    const nowMs = this.#context.services.clock.wallMs();
    let acted = false;
    for (const action of plan.actions) {
      const container = containersOf(this.#context.pod()).find(({ name }) => name === action.container)!;
      if (action.type === 'stop') {
        const run = this.#current(container);
        const graceSeconds = this.#context.record.failed?.graceSeconds;
        if (run) await this.#stop(container, run, graceSeconds === undefined ? {} : { graceSeconds });
        acted = true;
      } else if ((this.#retryAtMs.get(container.name) ?? 0) <= nowMs) {
        acted = (await this.#start(container, action.attempt, signal)) || acted;
      }
    }
    return acted;
  }

  /** All containers at once, then the sidecars, last to first. True when something ran. */
  async stopAll(request: StopRequest = {}): Promise<boolean> {
    this.probes.stopLiveness();
    const spec = this.#context.pod().spec!;
    let ran = false;
    const stop = async (container: Container) => {
      const run = this.#current(container);
      if (!run || run.state === 'exited') return;
      ran = true;
      await this.#stop(container, run, request);
    };
    await Promise.all([...spec.containers, ...ephemeralOf(spec)].map(stop));
    for (const container of (spec.initContainers ?? []).toReversed()) await stop(container);
    return ran;
  }

  #current(container: Container): ContainerRun | undefined {
    return this.#context.record.containers[container.name]?.current;
  }

  /** Records the end of a run, once. True while its exit code may still come. */
  async #observe(container: Container, run: ContainerRun): Promise<boolean> {
    if (run.state !== 'running') return false;
    const { services, waker, save } = this.#context;
    const { exit, pending } = await this.#observer.observe(container, run);
    // Somebody else may have seen the end while we looked.
    if (!exit || (run.state as ContainerRun['state']) === 'exited') return pending;
    run.state = 'exited';
    run.exit = exit;
    services.exits.off(run.id);
    this.probes.end(container.name);
    waker.wake();
    await save();
    await this.#release(container, run);
    return false;
  }

  /** The end of a run is on record before its remains go: whoever dies in between, or fails, finds them again. */
  async #release(container: Container, run: ContainerRun): Promise<void> {
    const { services, paths, save } = this.#context;
    const known = this.#releases.get(run.id);
    if (known) return known;
    const release = (async () => {
      await releaseRun({ services, paths }, container.name, run);
      await save();
    })().finally(() => this.#releases.delete(run.id));
    this.#releases.set(run.id, release);
    return release;
  }

  async #start(container: Container, attempt: number, signal: AbortSignal): Promise<boolean> {
    const { services, record, paths, save } = this.#context;
    const { ground, objects } = this.#options;
    signal.throwIfAborted();
    try {
      this.#retryAtMs.delete(container.name);
      await launchContainer(
        {
          services,
          pod: this.#context.pod(),
          record,
          paths,
          volumes: ground.volumes,
          objects,
          puller: this.#puller,
          values: fieldValuesOf(this.#context),
          cgroupParent: ground.cgroupParent,
          save,
          signal,
        },
        container,
        attempt,
      );
    } catch (error) {
      if (!(error instanceof ContainerWaiting)) throw error;
      this.#waiting[container.name] = { reason: error.reason, message: error.message };
      this.#retryAtMs.set(container.name, error.retryAtMs);
      return false;
    }
    delete this.#waiting[container.name];
    const run = this.#current(container);
    if (run?.state === 'running') await this.#started(container, run, signal);
    return true;
  }

  async #started(container: Container, run: ContainerRun, signal: AbortSignal): Promise<void> {
    const { services, paths, waker, publish } = this.#context;
    const pod = this.#context.pod();
    services.exits.on(run.id, () => waker.wake());
    this.probes.begin(pod, container, run, { adopted: false });
    // A container counts as running when its hook is through.
    if (!container.lifecycle?.postStart) publish();
    const target = { id: run.id, bundle: paths.bundle(container.name, run.attempt) };
    const failure = await runPostStart(services, container, { target, address: addressOf(this.#context), signal });
    if (!failure) return;
    const fieldPath = fieldPathOf(pod, container.name);
    services.events.record(pod, 'Warning', 'FailedPostStartHook', failure, fieldPath);
    services.events.record(pod, 'Normal', 'Killing', 'FailedPostStartHook', fieldPath);
    await this.#stop(container, run, { quiet: true });
  }

  /** An image changed in the pod's description replaces the container. */
  #restartChanged(pod: Pod, container: Container, run: ContainerRun): void {
    if (run.wantedImage === container.image || restartPolicyOf(pod.spec!) === 'Never') return;
    run.replaced = true;
    this.restart(container, run, `Container ${container.name} definition changed, will be restarted`);
  }

  /** In the background: the worker goes on and sees the end as it sees any. `graceSeconds` instead of the pod's. */
  restart(container: Container, run: ContainerRun, message: string, graceSeconds?: number): void {
    const { services } = this.#context;
    const pod = this.#context.pod();
    if (this.#stopper.isStopping(run)) return;
    services.events.record(pod, 'Normal', 'Killing', message, fieldPathOf(pod, container.name));
    this.#stop(container, run, { quiet: true, ...(graceSeconds === undefined ? {} : { graceSeconds }) }).catch(
      (error: unknown) => {
        if (!this.#options.signal.aborted)
          services.logger.warn({ error, container: container.name }, 'container to be restarted not stopped');
      },
    );
  }

  /** Within the pod's grace period; a deletion of the pod shortens it. */
  async #stop(container: Container, run: ContainerRun, { quiet = false, graceSeconds }: StopRequest = {}): Promise<void> {
    const { services } = this.#context;
    const pod = this.#context.pod();
    const graceMs = (graceSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 30) * 1_000;
    const endMs = services.clock.monotonicMs() + graceMs;
    // While the pod goes, its own deadline counts alone: a delete may ask for more time than the spec.
    const killAtMs = () => {
      const podMs = this.#options.killAtMs();
      return podMs === Number.POSITIVE_INFINITY ? endMs : podMs;
    };
    await this.#stopper.stop(pod, container, run, { killAtMs, quiet, signal: this.#options.signal });
  }
}
