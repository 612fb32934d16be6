/**
 * In-place resize of one pod. What the API asks for is taken up when the ledger has room: from then on it is the pod's, on disk
 * with its record, and is put in force container by container, live or by a restart as each container's policy says. A resize
 * that the machine has no room for leaves the pod as it is and is looked at again when others give back, and with every step of the worker.
 */
import { errorMessage } from '../../lib/errors.ts';
import type { Container, Pod } from '../../machinery/types.ts';
import { type PodGround, pidsMax } from './ground.ts';
import { containerCgroupLimits, podCgroupLimits, podRequests } from './needs.ts';
import type { PodContext } from './pod-context.ts';
import type { ContainerRun } from './record.ts';
import {
  changedAmounts,
  changedContainers,
  inForce,
  looser,
  type MemoryDecrease,
  memoryDecreaseRefusal,
  type ResizeState,
  resizable,
  resizeRefusal,
  resourcesIn,
  restartsFor,
  withResources,
} from './resize.ts';

interface Changed {
  container: Container;
  run: ContainerRun;
}

export interface PodResizerOptions {
  context: PodContext;
  ground: PodGround;
  /** The pod was here before this agent. */
  adopted: boolean;
  /** Ends the run in the background; it is started again with what is allocated then. */
  restart(container: Container, run: ContainerRun, message: string): void;
}

export class PodResizer {
  readonly #options: PodResizerOptions;
  /** As the API has it. */
  #wanted: Pod | undefined;
  #pending: ResizeState['pending'];
  #failure: string | undefined;
  /** While there is no room: ends being told of some. */
  #unwatch: (() => void) | undefined;
  /** The pod's own cgroup has the limits of what is allocated. Unknown when an earlier agent made it. */
  #settled: boolean;

  constructor(options: PodResizerOptions) {
    this.#options = options;
    this.#settled = !options.adopted;
  }

  get state(): ResizeState {
    const inProgress = this.#changed().length > 0 || this.#failure !== undefined;
    return {
      inProgress,
      ...(this.#pending ? { pending: this.#pending } : {}),
      ...(this.#failure ? { failure: this.#failure } : {}),
    };
  }

  /** The pod as this machine holds it: as in the API, but with the resources that it has been promised. */
  hold(wanted: Pod, held: Pod): Pod {
    this.#wanted = wanted;
    return withResources(wanted, resourcesIn(held));
  }

  /** The pod with what it asks for now, when there is room for that: the reservation is raised. Undefined: it stays. */
  take(): Pod | undefined {
    const { services, uid, pod, waker } = this.#options.context;
    const wanted = this.#wanted;
    this.stop();
    if (!wanted || changedContainers(wanted.spec!, pod().spec!).length === 0) return undefined;
    const shortage = services.ledger.resize(uid, podRequests(wanted.spec!));
    if (shortage) {
      this.#pending = resizeRefusal(shortage);
      this.#unwatch = services.ledger.onFreed(() => waker.wake());
      return undefined;
    }
    this.#settled = false;
    return withResources(pod(), resourcesIn(wanted));
  }

  /** Nothing is waited for any more. */
  stop(): void {
    this.#pending = undefined;
    this.#unwatch?.();
    this.#unwatch = undefined;
  }

  /** Puts in force what is allocated. A failure is shown in the pod's status and tried again with the worker's next look. */
  async apply(): Promise<void> {
    const { ground, context } = this.#options;
    const { services, uid, record } = context;
    if (!ground.ready) return;
    const changed = this.#changed();
    if (changed.length === 0 && this.#settled) return;
    const spec = context.pod().spec!;
    try {
      const refusal = await this.#refusal(changed);
      if (refusal) {
        this.#failure = refusal;
        return;
      }
      if (changed.length > 0) {
        await ground.limit((limits) => looser(limits(inForce(context.pod(), record).spec!), limits(spec)));
        for (const { container, run } of changed) await this.#change(container, run);
      }
      if (this.#changed().length === 0) {
        await ground.limit((limits) => limits(spec));
        services.ledger.adopt(uid, podRequests(spec));
        this.#settled = true;
      }
      this.#failure = undefined;
    } catch (error) {
      this.#failure = errorMessage(error);
      services.logger.warn({ error, pod: context.pod().metadata.name }, 'resize not in force yet, trying again');
    }
  }

  /** Says what has more in use than its lower memory limit; runs that are to end for the resize do not count. */
  async #refusal(changed: readonly Changed[]): Promise<string | undefined> {
    const { cgroups } = this.#options.context.services;
    const { uid, pod, record } = this.#options.context;
    const decreases: MemoryDecrease[] = [];
    const check = async (of: string, now: number | undefined, next: number | undefined, id?: string) => {
      if (next === undefined || (now !== undefined && next >= now)) return;
      const usage = id ? await cgroups.containerUsage(uid, id) : await cgroups.podUsage(uid);
      if (usage) decreases.push({ of, limitBytes: next, usageBytes: usage.memory.usageBytes });
    };
    const memoryOf = (container: Container) => containerCgroupLimits(container).memoryLimitBytes;
    const live = changed.filter(
      ({ container, run }) => !restartsFor(container, changedAmounts(container.resources, run.resources)),
    );
    if (live.length === changed.length) {
      const [now, next] = [inForce(pod(), record), pod()].map(({ spec }) => podCgroupLimits(spec!, pidsMax).memoryLimitBytes);
      await check('pod', now, next);
    }
    for (const { container, run } of live) {
      const before = memoryOf({ ...container, resources: run.resources ?? {} });
      await check(`container "${container.name}"`, before, memoryOf(container), run.id);
    }
    return memoryDecreaseRefusal(decreases);
  }

  async #change(container: Container, run: ContainerRun): Promise<void> {
    const { context, restart } = this.#options;
    const changed = changedAmounts(container.resources, run.resources);
    if (restartsFor(container, changed)) {
      run.replaced = true;
      restart(container, run, `Container ${container.name} resize requires restart`);
      return;
    }
    const bundle = context.paths.bundle(container.name, run.attempt);
    await context.services.runtime.update(run.id, bundle, containerCgroupLimits(container));
    run.resources = container.resources ?? {};
    await context.save();
  }

  /** Running containers that do not have what is allocated. */
  #changed(): Changed[] {
    const { record, pod } = this.#options.context;
    return resizable(pod().spec!).flatMap((container) => {
      const run = record.containers[container.name]?.current;
      if (run?.state !== 'running' || !run.resources) return [];
      return changedAmounts(container.resources, run.resources).length ? [{ container, run }] : [];
    });
  }
}
