/**
 * The door of the scheduler: gives every pod without a node one, while this peer leads. Decisions are made one after another on a cache that
 * counts the pods just placed; bindings run beside it. It writes bindings, the condition PodScheduled and events, nothing else.
 */
import type { Clock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import type { Client } from '../machinery/client.ts';
import { EventRecorder } from '../machinery/events.ts';
import { Informer, keyOf } from '../machinery/informer.ts';
import * as r from '../machinery/resources.ts';
import type { Pod } from '../machinery/types.ts';
import { Binder } from './binder.ts';
import { ClusterCache } from './cluster-cache.ts';
import type { Decisions } from './decisions.ts';
import { explainUnschedulable } from './explain.ts';
import { type PendingPod, PendingPods } from './pending-pods.ts';
import { needsOf } from './pod-needs.ts';
import { schedule } from './schedule.ts';
import type { Decision } from './types.ts';
import { curedBy, everything, podGone } from './wake-ups.ts';

export { Decisions, type RecordedDecision } from './decisions.ts';

export interface StartSchedulerOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Kept by the caller, so that the history outlives a term of leadership. */
  readonly decisions: Decisions;
}

const schedulerName = 'default-scheduler';
/** Bindings under way at a time; with more, deciding waits. */
const bindingsMax = 32;

/** Runs until the signal is aborted; resolves when the last binding has ended. */
export async function startScheduler(options: StartSchedulerOptions, signal: AbortSignal): Promise<void> {
  const { client, clock, random, logger } = options;
  const informers = {
    pods: new Informer({ client, resource: r.pods, clock, random, logger }),
    nodes: new Informer({ client, resource: r.nodes, clock, random, logger }),
  };
  const scheduler = new Scheduler(options, informers.pods, signal);
  informers.nodes.onChange((change) => scheduler.nodeChanged(change));
  informers.pods.onChange((change) => scheduler.podChanged(change));
  const ended = Promise.all([informers.pods.start(signal), informers.nodes.start(signal)]);
  try {
    await Promise.all([informers.pods.synced(signal), informers.nodes.synced(signal)]);
    logger.info({}, 'scheduler started');
    await scheduler.run();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await ended;
    logger.info({}, 'scheduler stopped');
  }
}

type ChangeOf<T> = { type: 'added' | 'updated' | 'deleted'; object: T; previous?: T };

class Scheduler {
  readonly #options: StartSchedulerOptions;
  readonly #signal: AbortSignal;
  readonly #pods: Informer<Pod>;
  readonly #cache = new ClusterCache();
  readonly #pending: PendingPods;
  readonly #recorder: EventRecorder;
  readonly #binder: Binder;
  readonly #writes = new Set<Promise<void>>();
  #wake: (() => void) | undefined;

  constructor(options: StartSchedulerOptions, pods: Informer<Pod>, signal: AbortSignal) {
    const { client, clock, logger } = options;
    this.#options = options;
    this.#signal = signal;
    this.#pods = pods;
    this.#pending = new PendingPods(clock);
    this.#recorder = new EventRecorder({ client, component: schedulerName, clock, logger, signal });
    this.#binder = new Binder({ client, clock, signal });
  }

  nodeChanged({ type, object, previous }: ChangeOf<import('../machinery/types.ts').Node>): void {
    if (type === 'deleted') {
      this.#cache.removeNode(object.metadata.name);
      return;
    }
    this.#cache.setNode(object);
    const cured = previous ? curedBy(object, previous) : everything;
    if (cured.size > 0) this.#pending.wake(cured);
    this.#wake?.();
  }

  podChanged({ type, object, previous }: ChangeOf<Pod>): void {
    const key = keyOf(object);
    const uid = object.metadata.uid ?? '';
    const finished = object.status?.phase === 'Succeeded' || object.status?.phase === 'Failed';
    if (type === 'deleted' || finished) {
      this.#pending.delete(key);
      this.#cache.removePod(uid);
      if (object.spec?.nodeName || previous?.spec?.nodeName) this.#pending.wake(podGone);
    } else if (object.spec?.nodeName) {
      this.#pending.delete(key);
      this.#cache.setPod(object);
    } else if (!this.#isMine(object)) {
      this.#pending.delete(key);
    } else if (!this.#cache.isAssumed(uid)) {
      const specChanged = object.metadata.generation !== previous?.metadata.generation;
      this.#pending.set(key, object, specChanged);
    }
    this.#wake?.();
  }

  async run(): Promise<void> {
    const { clock } = this.#options;
    const onAbort = () => this.#wake?.();
    this.#signal.addEventListener('abort', onAbort, { once: true });
    while (!this.#signal.aborted) {
      const next = this.#writes.size < bindingsMax ? this.#pending.pop() : undefined;
      if (next) {
        this.#decide(next);
        continue;
      }
      const waitMs = this.#writes.size < bindingsMax ? this.#pending.nextMs() : undefined;
      await new Promise<void>((resolve) => {
        const timer = waitMs === undefined ? undefined : clock.setTimer(waitMs, resolve);
        this.#wake = () => {
          timer?.cancel();
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#signal.removeEventListener('abort', onAbort);
    await Promise.all(this.#writes);
    await this.#recorder.flush();
  }

  #isMine({ metadata, spec }: Pod): boolean {
    const gated = (spec?.schedulingGates?.length ?? 0) > 0;
    return !metadata.deletionTimestamp && !gated && (spec?.schedulerName ?? schedulerName) === schedulerName;
  }

  #decide(pending: PendingPod): void {
    const { clock, decisions, random } = this.#options;
    const needs = needsOf(pending.pod);
    const decision = schedule(needs, this.#cache.snapshot(), (count) => (count === 1 ? 0 : random.int(count)));
    decisions.record({ ...decision, atMs: clock.wallMs(), attempt: pending.attempts });
    if (decision.node === undefined) {
      this.#pending.park(pending, new Set(decision.nodes.flatMap(({ failure }) => (failure ? [failure.filter] : []))));
      this.#write(this.#refuse(pending.pod, decision));
      return;
    }
    this.#cache.assume(needs, decision.node);
    this.#write(this.#bind(pending, decision, decision.node));
  }

  #write(work: Promise<void>): void {
    const job = work.finally(() => {
      this.#writes.delete(job);
      this.#wake?.();
    });
    this.#writes.add(job);
  }

  async #bind(pending: PendingPod, decision: Decision, nodeName: string): Promise<void> {
    const { decisions, logger } = this.#options;
    const { pod, key } = pending;
    try {
      await this.#binder.bind(pod, nodeName);
      this.#recorder.record(pod, 'Normal', 'Scheduled', `Successfully assigned ${key} to ${nodeName}`);
    } catch (error) {
      if (this.#signal.aborted) return;
      decisions.bindFailed(decision.pod, errorMessage(error));
      logger.debug({ key, nodeName, error }, 'binding failed');
      const uid = pod.metadata.uid ?? '';
      this.#cache.unassume(uid);
      this.#pending.wake(podGone);
      // What the server shows now decides: it may be bound after all (a lost answer), or gone.
      const now = this.#pods.get(pod.metadata.namespace, pod.metadata.name);
      if (now?.metadata.uid === uid && !now.spec?.nodeName && this.#isMine(now)) this.#pending.retry({ ...pending, pod: now });
    }
  }

  async #refuse(pod: Pod, decision: Decision): Promise<void> {
    const { logger } = this.#options;
    const message = explainUnschedulable(decision);
    this.#recorder.record(pod, 'Warning', 'FailedScheduling', message);
    try {
      await this.#binder.reportUnschedulable(pod, message);
    } catch (error) {
      // The pod is tried again anyway, and then reported again.
      if (!this.#signal.aborted) logger.debug({ pod: keyOf(pod), error }, 'the condition PodScheduled was not written');
    }
  }
}
