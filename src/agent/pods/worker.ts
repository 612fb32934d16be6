/**
 * One worker per pod: it compares what the API wants with what really runs and does the next thing, again and again. Nothing
 * in it depends on having seen an earlier event; after a restart of the agent it goes on from the record on disk.
 *
 *   refused ─► ended ─────────────────────────────────────────────┐
 *   admitted ─► sandbox ─► volumes ─► init containers ─► containers ─► ended ─► (deleted) ─► gone
 *                             deletion at any point ─► stop ─► teardown ─► delete from the API ─► gone
 */
import { delay } from '../../lib/clock.ts';
import { pods } from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Pod } from '../../machinery/types.ts';
import type { EvictablePod, Eviction } from '../eviction/pressure-relief.ts';
import { removeTree } from '../volumes/mounts.ts';
import { admit } from './admission.ts';
import { podLabel } from './container-launch.ts';
import { ContainerRuns } from './container-runs.ts';
import { Evictor } from './eviction.ts';
import { PodGround } from './ground.ts';
import { needsLease } from './lease-gate.ts';
import { podRequests } from './needs.ts';
import type { PodObjects } from './objects.ts';
import { type PodPlan, planPod, withoutStarts } from './plan.ts';
import type { PodContext } from './pod-context.ts';
import { type PodPaths, type PodRecord, podPaths } from './record.ts';
import { RecordFile } from './record-file.ts';
import { PodResizer } from './resizer.ts';
import type { PodServices } from './services.ts';
import { computePodStatus, timestamp } from './status.ts';
import { StatusTarget } from './status-target.ts';
import { Waker } from './waker.ts';

const errorRetryMsMin = 250;
const errorRetryMsMax = 10_000;
/** A last status that the API will not take must not keep the pod from going. */
const lastStatusMs = 10_000;
const never = Number.POSITIVE_INFINITY;

export interface PodWorkerOptions {
  pod: Pod;
  /** From disk: the pod was here before this agent. */
  record?: PodRecord;
  /** Of the machine's own folder, where there is no record that says so. */
  static?: boolean;
  services: PodServices;
}

export class PodWorker implements PodContext, EvictablePod {
  readonly uid: string;
  readonly paths: PodPaths;
  readonly services: PodServices;
  readonly record: PodRecord;
  readonly waker: Waker;
  readonly #adopted: boolean;
  readonly #stop = new AbortController();
  readonly #file: RecordFile;
  readonly #target: StatusTarget;
  readonly #objects: PodObjects;
  readonly #ground: PodGround;
  readonly #evictor: Evictor;
  readonly #runs: ContainerRuns;
  readonly #resizer: PodResizer;
  #pod: Pod;
  /** The API no longer has the pod. */
  #gone = false;
  #terminationStartMs: number | undefined;
  /** Ends what takes long (pulls, waiting for objects) when the pod is deleted. */
  #work = new AbortController();
  /** Why the work was interrupted though the pod stays. */
  #heldBack: unknown;
  readonly #ended = Promise.withResolvers<void>();
  #objectsChanged = false;
  #taken = false;
  /** Its resources have been reserved: others have to be asked for. */
  #promised: boolean;
  #loop: Promise<void> | undefined;

  constructor({ pod, record, services, static: isStatic }: PodWorkerOptions) {
    this.uid = pod.metadata.uid!;
    this.services = services;
    this.#pod = pod;
    this.#adopted = record !== undefined;
    const startTime = timestamp(services.clock.wallMs());
    this.record = record ?? { version: 1, pod, startTime, hadSandbox: false, containers: {}, ended: false };
    if (isStatic) this.record.static = true;
    if (record && !record.ended) services.hostPorts.adopt(pod, record.ip);
    if (record && !record.ended && record.firstUserId !== undefined) services.userRanges.adopt(this.uid, record.firstUserId);
    this.paths = podPaths(services.options.dataDir, this.uid);
    this.#file = new RecordFile(this.paths.state, this.record);
    this.waker = new Waker(services.clock);
    this.#target = new StatusTarget(services, this.#stop.signal, this.record.static ? undefined : pod);
    if (this.record.static && this.record.status) this.#target.set(this.record.status);
    this.#objects = services.objects.hold(pod, () => {
      this.#objectsChanged = true;
      this.waker.wake();
    });
    this.#ground = new PodGround(this, this.#objects);
    this.#evictor = new Evictor(this, {
      meter: services.meter,
      evict: this.evict,
      signal: this.#stop.signal,
    });
    this.#runs = new ContainerRuns({
      context: this,
      ground: this.#ground,
      objects: this.#objects,
      killAtMs: () => this.#killAtMs(),
      signal: this.#stop.signal,
    });
    const restart = this.#runs.restart.bind(this.#runs);
    this.#resizer = new PodResizer({ context: this, ground: this.#ground, adopted: this.#adopted, restart });
    this.#promised = record !== undefined;
  }

  readonly pod = (): Pod => this.#pod;

  readonly save = (): Promise<void> => {
    this.record.pod = this.#pod;
    return this.#file.save();
  };

  readonly publish = (): void => {
    const { services, record } = this;
    const status = computePodStatus({
      pod: this.#pod,
      record,
      hostIp: services.options.nodeIp,
      nowMs: services.clock.wallMs(),
      sandboxReady: this.#ground.ready,
      waiting: this.#runs.waiting,
      resize: this.#resizer.state,
      ready: (name) => this.#runs.probes.ready(name),
      started: (name) => this.#runs.probes.started(name),
    });
    record.status = status;
    this.#target.set(status);
  };

  get evictable(): boolean {
    return this.#taken && !this.terminating && !this.record.ended && !this.record.failed;
  }

  /** Resolves when nothing of the pod runs any more. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** The pod has to go: its phase is Failed from now on. False when it ends for another reason already. */
  readonly evict = async ({ message, graceSeconds, disruption }: Eviction): Promise<boolean> => {
    if (!this.evictable) return false;
    this.services.events.record(this.#pod, 'Warning', 'Evicted', message);
    this.record.failed = { reason: 'Evicted', message, graceSeconds, ...(disruption ? { disruption } : {}) };
    this.#holdBack('the pod is evicted');
    await this.save();
    this.publish();
    this.waker.wake();
    return true;
  };

  /** The gate opened or closed. */
  leaseChanged(): void {
    if (this.services.gate.over && needsLease(this.#pod)) this.#holdBack('the lease of this machine is over');
    this.waker.wake();
  }

  /** Starts the worker. Resolves when everything of the pod has gone from this machine, or after `shutDown`. */
  start(): Promise<void> {
    this.#loop ??= this.#run();
    return this.#loop;
  }

  /** The pod as the API has it now. */
  update(pod: Pod): void {
    this.#pod = this.#promised ? this.#resizer.hold(pod, this.#pod) : pod;
    this.#objects.extend(pod);
    this.#target.observe(pod);
    if (this.terminating) this.#interrupt('the pod is being deleted');
    // Labels and annotations may be in files.
    this.#objectsChanged = true;
    this.waker.wake();
  }

  /** The API no longer has the pod: nothing of it may go on. */
  removed(): void {
    this.#gone = true;
    this.#target.forget();
    this.#interrupt('the pod was deleted');
    this.waker.wake();
  }

  /** A static pod whose manifest has gone ends as one that was deleted: within its grace period. */
  end(): void {
    if (this.terminating) return;
    const { metadata, spec } = this.#pod;
    const deletionTimestamp = timestamp(this.services.clock.wallMs());
    const deletionGracePeriodSeconds = spec?.terminationGracePeriodSeconds ?? 30;
    this.update({ ...this.#pod, metadata: { ...metadata, deletionTimestamp, deletionGracePeriodSeconds } });
  }

  /** The status of a static pod is written to its mirror; undefined: there is none. */
  showOn(mirror: Pod | undefined): void {
    this.#target.showOn(mirror);
  }

  /** Ends the worker; what runs, runs on. */
  async shutDown(): Promise<void> {
    const reason = new Error('the agent stops');
    this.#stop.abort(reason);
    this.#work.abort(reason);
    this.#runs.probes.stopAll();
    this.#resizer.stop();
    this.waker.wake();
    await this.#loop;
    this.#objects.release();
  }

  get terminating(): boolean {
    return this.#gone || this.#pod.metadata.deletionTimestamp !== undefined;
  }

  #interrupt(why: string): void {
    if (!this.#work.signal.aborted) this.#work.abort(new Error(why));
  }

  /** Ends what is under way; the next step finds another situation. */
  #holdBack(why: string): void {
    if (this.terminating) return;
    const before = this.#work;
    this.#work = new AbortController();
    this.#heldBack = new Error(why);
    before.abort(this.#heldBack);
  }

  async #run(): Promise<void> {
    const { services, waker } = this;
    const { name, namespace } = this.#pod.metadata;
    const logger = services.logger.child({ pod: `${namespace}/${name}`, uid: this.uid });
    const signal = this.#stop.signal;
    let retryMs = errorRetryMsMin;
    while (!signal.aborted) {
      const seen = waker.count;
      try {
        const next = await this.#step();
        if (next === 'gone') return;
        retryMs = errorRetryMsMin;
        await waker.sleep(seen, next, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error === this.#heldBack || (this.terminating && error === this.#work.signal.reason)) continue;
        logger.warn({ error }, 'pod step failed, trying again');
        await waker.sleep(waker.count, services.clock.wallMs() + retryMs, signal);
        retryMs = Math.min(retryMs * 2, errorRetryMsMax);
      }
    }
  }

  /** Does what can be done now. Gives the wall time to look again, or 'gone' when the worker's life is over. */
  async #step(): Promise<number | 'gone'> {
    if (!this.#taken) await this.#takeUp();
    if (this.terminating) return this.#terminate();
    if (this.record.ended) return never;
    const work = this.#work.signal;
    const { clock, gate } = this.services;
    if (gate.over && needsLease(this.#pod) && !this.record.failed) return this.#stopForLease();
    const lookAtMs = await this.#runs.observeAll();
    if (clock.wallMs() >= this.#deadlineMs()) await this.#passDeadline();
    await this.#resize();
    const plan = planPod(this.#pod.spec!, {
      record: this.record,
      podLabel: podLabel(this.#pod),
      nowMs: clock.wallMs(),
      started: (name) => this.#runs.probes.started(name),
    });
    if (!gate.held && needsLease(this.#pod)) withoutStarts(plan);
    const objectsChanged = this.#objectsChanged;
    this.#objectsChanged = false;
    this.#runs.follow(plan, objectsChanged);
    if (plan.finished) {
      await this.#end();
      return never;
    }
    this.publish();
    if (this.#runs.due(plan)) await this.#prepare(plan, work);
    else if (this.#ground.ready && (objectsChanged || clock.wallMs() >= this.#ground.renewAtMs)) {
      await this.#ground.refresh(work);
    }
    if (this.#ground.ready) this.#evictor.begin();
    const acted = await this.#runs.act(plan, work);
    this.publish();
    if (acted) return clock.wallMs();
    return Math.min(lookAtMs, plan.wakeAtMs ?? never, this.#runs.retryAtMs, this.#deadlineMs(), this.#ground.renewAtMs);
  }

  /** The roots do not need the ground; what stands in their way is told when they are used. */
  async #prepare(plan: PodPlan, work: AbortSignal): Promise<void> {
    const roots = this.#runs.mountRoots(plan);
    try {
      await this.#ground.prepare(work);
    } finally {
      await roots;
    }
  }

  /** At once: the others may start the pod elsewhere. The gate wakes this worker when the lease is back. */
  async #stopForLease(): Promise<number> {
    const lookAtMs = await this.#runs.observeAll();
    if (await this.#runs.stopAll({ graceSeconds: 0 })) {
      const message = 'Stopped: this machine is out of contact with the quorum of the cluster';
      this.services.events.record(this.#pod, 'Warning', 'LeaseLost', message);
    }
    this.publish();
    return lookAtMs;
  }

  /** Once per worker: admission of a new pod, or finding again what an earlier agent left running. */
  async #takeUp(): Promise<void> {
    if (this.#adopted) {
      if (this.record.ended) this.#objects.release();
      else {
        this.services.ledger.adopt(this.uid, podRequests(this.#pod.spec!));
        await this.#ground.look();
        await this.#runs.adopt();
      }
    } else if (!this.terminating) await this.#admit();
    this.#taken = true;
  }

  async #admit(): Promise<void> {
    const { services, record } = this;
    const phase = this.#pod.status?.phase;
    if (phase === 'Succeeded' || phase === 'Failed') {
      // It ended here before this machine lost its data: never started again, and its status stands.
      record.ended = true;
      this.#target.forget();
      return this.save();
    }
    // Labels that people gave the Node decide too. A static pod does not wait for the API.
    if (!record.static) await services.nodeKnown(this.#work.signal);
    this.#promised = true;
    const refusal =
      (await services.userNamespaces.refusal(this.#pod)) ??
      admit(this.#pod, services.node(), services.ledger, services.hostPorts, services.pressure());
    if (refusal) {
      services.events.record(this.#pod, 'Warning', refusal.reason, refusal.message);
      record.failed = refusal;
      record.ended = true;
      this.#objects.release();
    }
    await this.save();
    this.publish();
  }

  /** Monotonic time at which what still runs is killed because the pod goes; infinite while it does not go. */
  #killAtMs(): number {
    if (!this.terminating) return never;
    this.#terminationStartMs ??= this.services.clock.monotonicMs();
    if (this.#gone) return this.#terminationStartMs;
    const { metadata, spec } = this.#pod;
    return this.#terminationStartMs + (metadata.deletionGracePeriodSeconds ?? spec?.terminationGracePeriodSeconds ?? 30) * 1_000;
  }

  async #terminate(): Promise<'gone'> {
    this.#killAtMs();
    if (!this.record.ended) {
      await this.#runs.stopAll();
      await this.#end();
    }
    if (!this.#gone && !this.record.static) await this.#deleteFromApi();
    this.#objects.release();
    await this.#file.close();
    await removeTree(this.paths.dir, this.services.executor);
    return 'gone';
  }

  async #deleteFromApi(): Promise<void> {
    const { client, clock } = this.services;
    const signal = this.#stop.signal;
    const waited = new AbortController();
    await Promise.race([this.#target.flushed(signal), delay(clock, lastStatusMs, waited.signal).catch(() => undefined)]);
    waited.abort();
    const { name, namespace } = this.#pod.metadata;
    try {
      await client.delete(pods, name, { namespace, gracePeriodSeconds: 0, preconditions: { uid: this.uid }, signal });
    } catch (error) {
      // Gone already, or another pod has the name.
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  }

  /** Nothing runs any more: gives back all but the logs, and says so. */
  async #end(): Promise<void> {
    this.#evictor.end();
    await this.#ground.remove();
    this.#runs.probes.stopAll();
    this.#resizer.stop();
    this.record.ended = true;
    this.services.ledger.release(this.uid);
    this.services.userRanges.release(this.uid);
    await this.services.hostPorts.release(this.uid);
    this.#objects.release();
    await this.save();
    this.publish();
    this.#ended.resolve();
  }

  async #resize(): Promise<void> {
    const next = this.record.failed ? undefined : this.#resizer.take();
    if (next) {
      this.#pod = next;
      // Files may tell of resources.
      this.#objectsChanged = true;
      await this.save();
      this.publish();
    }
    await this.#resizer.apply();
  }

  /** Wall time at which the pod has been active for as long as it may. */
  #deadlineMs(): number {
    const seconds = this.#pod.spec?.activeDeadlineSeconds;
    return seconds === undefined || this.record.failed ? never : Date.parse(this.record.startTime) + seconds * 1_000;
  }

  async #passDeadline(): Promise<void> {
    const reason = 'DeadlineExceeded';
    const message = 'Pod was active on the node longer than the specified deadline';
    this.services.events.record(this.#pod, 'Warning', reason, message);
    this.record.failed = { reason, message };
    await this.save();
  }
}
