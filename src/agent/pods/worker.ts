/**
 * One worker per pod: it compares what the API wants with what really runs and does the next thing, again and again. Nothing
 * in it depends on having seen an earlier event; after a restart of the agent it goes on from the record on disk.
 *
 *   refused ─► ended ─────────────────────────────────────────────┐
 *   admitted ─► sandbox ─► volumes ─► init containers ─► containers ─► ended ─► (deleted) ─► gone
 *                             deletion at any point ─► stop ─► teardown ─► delete from the API ─► gone
 */

import { abortable } from '../../lib/deferred.ts';
import { errorMessage } from '../../lib/errors.ts';
import { pods } from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Container, Pod } from '../../machinery/types.ts';
import { isAgentError } from '../errors.ts';
import type { FieldValues } from '../runtime/pod-fields.ts';
import { removeTree } from '../volumes/mounts.ts';
import { PodVolumes } from '../volumes/pod-volumes.ts';
import { admit } from './admission.ts';
import { fieldPathOf, launchContainer, podLabel, releaseRun } from './container-launch.ts';
import { ContainerWaiting } from './container-waiting.ts';
import { runPostStart } from './hooks.ts';
import { ImagePuller } from './image-puller.ts';
import { podCgroupLimits, podRequests } from './needs.ts';
import type { PodObjects } from './objects.ts';
import { RunObserver } from './observe.ts';
import { type PodPlan, planPod, type Waiting } from './plan.ts';
import { PodProbes } from './probes.ts';
import { type ContainerRun, type PodPaths, type PodRecord, podPaths, writeRecord } from './record.ts';
import { ensureSandbox, sandboxStands, writePodFiles } from './sandbox.ts';
import type { PodServices } from './services.ts';
import { computePodStatus, timestamp } from './status.ts';
import { StatusWriter } from './status-writer.ts';
import { ContainerStopper } from './stop.ts';
import { tearDownPod } from './teardown.ts';
import { Waker } from './waker.ts';

/** Even when nothing is heard, what runs is looked at this often. */
const lookIntervalMs = 5_000;
const pendingExitMs = 100;
const errorRetryMsMin = 250;
const errorRetryMsMax = 10_000;
const pidsMax = 32_768;

export interface PodWorkerOptions {
  pod: Pod;
  /** From disk: the pod was here before this agent. */
  record?: PodRecord;
  services: PodServices;
}

export class PodWorker {
  readonly uid: string;
  readonly paths: PodPaths;
  readonly #services: PodServices;
  readonly #record: PodRecord;
  readonly #adopted: boolean;
  readonly #stop = new AbortController();
  readonly #waker: Waker;
  readonly #writer: StatusWriter;
  readonly #observer: RunObserver;
  readonly #objects: PodObjects;
  readonly #volumes: PodVolumes;
  readonly #puller: ImagePuller;
  readonly #probes: PodProbes;
  readonly #stopper: ContainerStopper;
  #pod: Pod;
  #gone = false;
  #waiting: Record<string, Waiting> = {};
  /** Wall time before which a container is not tried again. */
  readonly #retryAtMs = new Map<string, number>();
  #work = new AbortController();
  #sandboxReady = false;
  #objectsChanged = false;
  #cgroupParent: string | undefined;
  #taken = false;
  #loop: Promise<void> | undefined;

  constructor({ pod, record, services }: PodWorkerOptions) {
    this.uid = pod.metadata.uid!;
    this.#services = services;
    this.#pod = pod;
    this.#adopted = record !== undefined;
    this.#record = record ?? {
      version: 1,
      pod,
      startTime: timestamp(services.clock.wallMs()),
      hadSandbox: false,
      containers: {},
      ended: false,
    };
    this.paths = podPaths(services.options.dataDir, this.uid);
    const { client, clock, logger, executor, images, events, runtime } = services;
    this.#waker = new Waker(clock);
    this.#writer = new StatusWriter({ client, clock, logger, pod, signal: this.#stop.signal });
    this.#observer = new RunObserver(runtime, this.paths, clock);
    this.#objects = services.objects.hold(pod, () => {
      this.#objectsChanged = true;
      this.#waker.wake();
    });
    this.#volumes = new PodVolumes({ paths: this.paths, executor, clock, sources: this.#objects, values: () => this.#values() });
    this.#puller = new ImagePuller({ images, events, clock });
    this.#probes = new PodProbes({
      services,
      paths: this.paths,
      address: () => this.#address(),
      onChange: () => this.#waker.wake(),
      onUnhealthy: (container, run, message) => this.#restartUnhealthy(container, run, message),
    });
    this.#stopper = new ContainerStopper({
      services,
      paths: this.paths,
      waker: this.#waker,
      address: () => this.#address(),
      observe: (container, run) => this.#observeRun(container, run),
    });
  }

  get pod(): Pod {
    return this.#pod;
  }

  get record(): Readonly<PodRecord> {
    return this.#record;
  }

  /** Everything of the pod has gone from this machine. */
  get finished(): Promise<void> {
    return this.#loop ?? Promise.resolve();
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** The pod as the API has it now. */
  update(pod: Pod): void {
    this.#pod = pod;
    this.#writer.observe(pod);
    if (this.#terminating) this.#interrupt('the pod is being deleted');
    this.#objectsChanged = true;
    this.#waker.wake();
  }

  /** The API no longer has the pod: nothing of it may go on. */
  removed(): void {
    this.#gone = true;
    this.#writer.forget();
    this.#interrupt('the pod was deleted');
    this.#waker.wake();
  }

  /** Ends the worker; what runs, runs on. */
  async shutDown(): Promise<void> {
    const reason = new Error('the agent stops');
    this.#stop.abort(reason);
    this.#work.abort(reason);
    this.#probes.stopAll();
    this.#waker.wake();
    await this.#loop;
    this.#objects.release();
  }

  get #terminating(): boolean {
    return this.#gone || this.#pod.metadata.deletionTimestamp !== undefined;
  }

  #interrupt(why: string): void {
    if (!this.#work.signal.aborted) this.#work.abort(new Error(why));
  }

  async #run(): Promise<void> {
    const { logger } = this.#services;
    const log = logger.child({ pod: `${this.#pod.metadata.namespace}/${this.#pod.metadata.name}`, uid: this.uid });
    let retryMs = errorRetryMsMin;
    const signal = this.#stop.signal;
    while (!signal.aborted) {
      const wakes = this.#waker.count;
      try {
        const next = await this.#step();
        if (next === 'gone') return;
        retryMs = errorRetryMsMin;
        await this.#waker.sleep(wakes, next, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (this.#terminating && error === this.#work.signal.reason) continue;
        log.warn({ error }, 'pod step failed, trying again');
        await this.#waker.sleep(this.#waker.count, this.#services.clock.wallMs() + retryMs, signal);
        retryMs = Math.min(retryMs * 2, errorRetryMsMax);
      }
    }
  }

  /** Does what can be done now. Gives the wall time to look again, or 'gone' when the worker's life is over. */
  async #step(): Promise<number | 'gone'> {
    const { clock } = this.#services;
    if (!this.#taken) await this.#takeUp();
    if (this.#terminating) return this.#terminate();
    if (this.#record.ended) return clock.wallMs() + lookIntervalMs;
    if (this.#work.signal.aborted) this.#work = new AbortController();
    const look = await this.#observeAll();
    if (this.#pastDeadline())
      await this.#fail('DeadlineExceeded', 'Pod was active on the node longer than the specified deadline');
    const plan = this.#plan();
    this.#forgetRetries(plan);
    this.#waiting = { ...this.#waitingForImages(), ...plan.waiting };
    if (plan.finished) {
      await this.#end();
      return clock.wallMs() + lookIntervalMs;
    }
    this.#publish();
    if (plan.actions.some(({ type }) => type === 'start')) await this.#prepare();
    if (this.#objectsChanged && this.#sandboxReady) {
      this.#objectsChanged = false;
      await this.#volumes.refresh(this.#pod);
    }
    const acted = await this.#act(plan);
    this.#publish();
    if (acted) return clock.wallMs();
    return Math.min(look, plan.wakeAtMs ?? Number.POSITIVE_INFINITY, ...this.#retryAtMs.values(), this.#deadlineMs());
  }

  /** Once per worker: admission of a new pod, or finding again what an earlier agent left running. */
  async #takeUp(): Promise<void> {
    const { services } = this;
    const { ledger, events } = services;
    if (this.#adopted) {
      if (!this.#record.ended) ledger.adopt(this.uid, podRequests(this.#pod.spec!));
      await this.#adopt();
    } else if (!this.#terminating) {
      const phase = this.#pod.status?.phase;
      if (phase === 'Succeeded' || phase === 'Failed') {
        // It ended here before this machine lost its data: never started again, its status stands.
        this.#record.ended = true;
        this.#writer.forget();
      } else {
        // Labels that people gave the Node decide too.
        await services.nodeKnown(this.#work.signal);
        const refusal = admit(this.#pod, services.node(), ledger);
        if (refusal) {
          events.record(this.#pod, 'Warning', refusal.reason, refusal.message);
          this.#record.failed = refusal;
          this.#record.ended = true;
        }
      }
      await this.#save();
      this.#publish();
    }
    this.#taken = true;
  }

  async #adopt(): Promise<void> {
    for (const [name, { current }] of Object.entries(this.#record.containers)) {
      if (current?.state === 'creating') await releaseRun({ services: this.services, paths: this.paths }, name, current);
      if (current?.state === 'running') {
        this.services.exits.on(current.id, () => this.#waker.wake());
      }
    }
    this.#sandboxReady = !this.#record.ended && this.#record.hadSandbox && (await sandboxStands(this.#pod, this.paths));
    for (const container of this.#containers()) {
      const run = this.#record.containers[container.name]?.current;
      if (run?.state === 'running') this.#probes.begin(this.#pod, container, run, { adopted: true });
    }
  }

  get services(): PodServices {
    return this.#services;
  }

  #containers(): Container[] {
    return [...(this.#pod.spec?.initContainers ?? []), ...this.#pod.spec!.containers];
  }

  /** Looks at every running container. Gives the wall time of the next look. */
  async #observeAll(): Promise<number> {
    let pending = false;
    for (const container of this.#containers()) {
      const run = this.#record.containers[container.name]?.current;
      if (run?.state === 'running') pending = (await this.#observeRun(container, run)) || pending;
    }
    return this.#services.clock.wallMs() + (pending ? pendingExitMs : lookIntervalMs);
  }

  /** Records the end of a run, once. True while its exit code may still come. */
  async #observeRun(container: Container, run: ContainerRun): Promise<boolean> {
    if (run.state !== 'running') return false;
    const { exit, pending } = await this.#observer.observe(container, run);
    if (!exit || run.state !== 'running') return pending;
    run.state = 'exited';
    run.exit = exit;
    this.#services.exits.off(run.id);
    this.#probes.end(container.name);
    this.#waker.wake();
    await this.#save();
    await releaseRun({ services: this.#services, paths: this.paths }, container.name, run);
    return false;
  }

  #plan(): PodPlan {
    return planPod(this.#pod.spec!, {
      record: this.#record,
      podLabel: podLabel(this.#pod),
      nowMs: this.#services.clock.wallMs(),
      started: (name) => this.#probes.started(name),
    });
  }

  /** Namespaces, network and volumes: all that must stand before a container starts. Idempotent and quick when it stands. */
  async #prepare(): Promise<void> {
    const { services } = this;
    const { options, cgroups, executor, network, events } = services;
    const signal = this.#work.signal;
    const pod = this.#pod;
    const spec = pod.spec!;
    const qos = pod.status?.qosClass ?? computePodStatus(this.#statusInput()).qosClass!;
    this.#cgroupParent ??= await cgroups.ensurePod(this.uid, qos, podCgroupLimits(spec, pidsMax));
    try {
      if (!spec.hostNetwork) await services.networkReady(signal);
      signal.throwIfAborted();
      this.#sandboxReady = this.#record.hadSandbox && (await sandboxStands(pod, this.paths));
      if (!this.#sandboxReady) {
        this.#record.hadSandbox = true;
        await this.#save();
        await ensureSandbox(pod, this.paths, options.nodeName, executor);
        if (!spec.hostNetwork) this.#record.ip = (await network.attach(this.uid, this.paths.netns)).ip;
        await writePodFiles(pod, this.paths, options.nodeName, this.#address());
        this.#sandboxReady = true;
        await this.#save();
        this.#publish();
      }
    } catch (error) {
      signal.throwIfAborted();
      events.record(pod, 'Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${errorMessage(error)}`);
      throw error;
    }
    await abortable(this.#objects.synced(signal), signal);
    try {
      await this.#volumes.setUp(pod);
    } catch (error) {
      if (isAgentError(error, 'Volume')) events.record(pod, 'Warning', 'FailedMount', error.message);
      throw error;
    }
  }

  /** True when something was done that changes what to do next. */
  async #act(plan: PodPlan): Promise<boolean> {
    let acted = false;
    for (const action of plan.actions) {
      const container = this.#containers().find(({ name }) => name === action.container)!;
      if (action.type === 'stop') {
        const run = this.#record.containers[container.name]?.current;
        if (run) await this.#stopOne(container, run);
        acted = true;
      } else if ((this.#retryAtMs.get(container.name) ?? 0) <= this.#services.clock.wallMs()) {
        acted = (await this.#startOne(container, action.attempt)) || acted;
      }
    }
    return acted;
  }

  async #startOne(container: Container, attempt: number): Promise<boolean> {
    const signal = this.#work.signal;
    signal.throwIfAborted();
    try {
      this.#retryAtMs.delete(container.name);
      await launchContainer(
        {
          services: this.#services,
          pod: this.#pod,
          record: this.#record,
          paths: this.paths,
          volumes: this.#volumes,
          objects: this.#objects,
          puller: this.#puller,
          values: this.#values(),
          cgroupParent: this.#cgroupParent!,
          save: () => this.#save(),
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
    const run = this.#record.containers[container.name]?.current;
    if (run?.state === 'running') await this.#started(container, run);
    return true;
  }

  async #started(container: Container, run: ContainerRun): Promise<void> {
    this.#services.exits.on(run.id, () => this.#waker.wake());
    this.#probes.begin(this.#pod, container, run, { adopted: false });
    this.#publish();
    const failure = await runPostStart(this.#services, container, {
      target: { id: run.id, bundle: this.paths.bundle(container.name, run.attempt) },
      address: this.#address(),
      signal: this.#work.signal,
    });
    if (!failure) return;
    const { events } = this.#services;
    const fieldPath = fieldPathOf(this.#pod, container.name);
    events.record(this.#pod, 'Warning', 'FailedPostStartHook', failure, fieldPath);
    events.record(this.#pod, 'Normal', 'Killing', 'FailedPostStartHook', fieldPath);
    await this.#stopOne(container, run, { quiet: true });
  }

  #restartUnhealthy(container: Container, run: ContainerRun, message: string): void {
    this.#services.events.record(this.#pod, 'Normal', 'Killing', message, fieldPathOf(this.#pod, container.name));
    const probe = container.livenessProbe?.terminationGracePeriodSeconds ?? container.startupProbe?.terminationGracePeriodSeconds;
    void this.#stopOne(container, run, { quiet: true, graceSeconds: probe }).catch((error: unknown) => {
      this.#services.logger.warn(
        { error, pod: this.#pod.metadata.name, container: container.name },
        'unhealthy container not stopped',
      );
    });
  }

  /** Stops one container within the pod's grace period; a deletion of the pod shortens it. */
  async #stopOne(
    container: Container,
    run: ContainerRun,
    {
      quiet = false,
      graceSeconds = this.#pod.spec?.terminationGracePeriodSeconds ?? 30,
    }: { quiet?: boolean; graceSeconds?: number } = {},
  ): Promise<void> {
    const startMs = this.#services.clock.monotonicMs();
    const killAtMs = () => Math.min(startMs + graceSeconds * 1_000, this.#terminationKillAtMs());
    await this.#stopper.stop(this.#pod, container, run, { killAtMs, quiet, signal: this.#stop.signal });
  }

  #terminationStartMs: number | undefined;

  /** Monotonic time at which what still runs is killed because the pod goes; infinite while it does not go. */
  #terminationKillAtMs(): number {
    if (!this.#terminating) return Number.POSITIVE_INFINITY;
    this.#terminationStartMs ??= this.#services.clock.monotonicMs();
    if (this.#gone) return this.#terminationStartMs;
    const graceSeconds = this.#pod.metadata.deletionGracePeriodSeconds ?? this.#pod.spec?.terminationGracePeriodSeconds ?? 30;
    return this.#terminationStartMs + graceSeconds * 1_000;
  }

  async #terminate(): Promise<'gone'> {
    const { client } = this.#services;
    const signal = this.#stop.signal;
    this.#terminationKillAtMs();
    if (!this.#record.ended) {
      this.#probes.stopLiveness();
      await this.#stopAll();
      await this.#end();
    }
    if (!this.#gone) {
      await this.#writer.flushed(signal);
      const { name, namespace } = this.#pod.metadata;
      try {
        await client.delete(pods, name, { namespace, gracePeriodSeconds: 0, preconditions: { uid: this.uid }, signal });
      } catch (error) {
        if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
      }
    }
    this.#objects.release();
    await removeTree(this.paths.dir, this.#services.executor);
    return 'gone';
  }

  /** All containers at once, then the sidecars, last to first. */
  async #stopAll(): Promise<void> {
    const running = (container: Container) => {
      const run = this.#record.containers[container.name]?.current;
      return run && run.state !== 'exited' ? [{ container, run }] : [];
    };
    const spec = this.#pod.spec!;
    await Promise.all(spec.containers.flatMap(running).map(({ container, run }) => this.#stopOne(container, run)));
    for (const { container, run } of (spec.initContainers ?? []).toReversed().flatMap(running))
      await this.#stopOne(container, run);
  }

  async #fail(reason: string, message: string): Promise<void> {
    if (this.#record.failed) return;
    this.#services.events.record(this.#pod, 'Warning', reason, message);
    this.#record.failed = { reason, message };
    await this.#save();
  }

  /** Nothing runs any more: gives back all but the logs, and says so. */
  async #end(): Promise<void> {
    await tearDownPod(this.#services, this.#pod, this.paths, this.#record);
    this.#sandboxReady = false;
    this.#cgroupParent = undefined;
    this.#record.ended = true;
    this.#probes.stopAll();
    this.#services.ledger.release(this.uid);
    await this.#save();
    this.#publish();
  }

  #deadlineMs(): number {
    const seconds = this.#pod.spec?.activeDeadlineSeconds;
    return seconds === undefined ? Number.POSITIVE_INFINITY : Date.parse(this.#record.startTime) + seconds * 1_000;
  }

  #pastDeadline(): boolean {
    return this.#services.clock.wallMs() >= this.#deadlineMs();
  }

  /** A container that is no longer to be started is not tried again; one that lacked an object is, when objects change. */
  #forgetRetries(plan: PodPlan): void {
    for (const name of [...this.#retryAtMs.keys()]) {
      const wanted = plan.actions.some((action) => action.type === 'start' && action.container === name);
      const lacked = this.#waiting[name]?.reason === 'CreateContainerConfigError';
      if (!wanted) this.#retryAtMs.delete(name);
      else if (lacked && this.#objectsChanged) this.#retryAtMs.set(name, 0);
    }
  }

  /** Containers that wait for their image or configuration keep saying so until they are tried again. */
  #waitingForImages(): Record<string, Waiting> {
    return Object.fromEntries(Object.entries(this.#waiting).filter(([name]) => this.#retryAtMs.has(name)));
  }

  #address(): string | undefined {
    return this.#pod.spec?.hostNetwork ? this.#services.options.nodeIp : this.#record.ip;
  }

  #values(): FieldValues {
    const { options, ledger } = this.#services;
    return { podIp: this.#address(), hostIp: options.nodeIp, nodeName: options.nodeName, allocatable: ledger.allocatable };
  }

  #statusInput() {
    return {
      pod: this.#pod,
      record: this.#record,
      hostIp: this.#services.options.nodeIp,
      nowMs: this.#services.clock.wallMs(),
      sandboxReady: this.#sandboxReady,
      waiting: this.#waiting,
      ready: (name: string) => this.#probes.ready(name),
      started: (name: string) => this.#probes.started(name),
    };
  }

  #publish(): void {
    const status = computePodStatus(this.#statusInput());
    this.#record.status = status;
    this.#writer.set(status);
  }

  async #save(): Promise<void> {
    this.#record.pod = this.#pod;
    await writeRecord(this.paths.state, this.#record);
  }
}
