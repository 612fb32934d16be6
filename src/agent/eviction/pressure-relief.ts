/**
 * Watches what is left of this machine and, when too little is, says so and makes pods go, one at a time: after each it waits until
 * the pod has given back what it held and measures anew. What is decided is in decide.ts and rank.ts.
 */
import { type Clock, delay } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import { RepeatingTask } from '../../lib/repeating-task.ts';
import type { Node } from '../../machinery/types.ts';
import type { PodEvents } from '../pods/services.ts';
import { isRelieved, judge, noPressure, type PressureState } from './decide.ts';
import type { PodPlace } from './pod-meter.ts';
import { evictionMessage, type PodUsage, rankPods } from './rank.ts';
import {
  conditionOf,
  type EvictionSettings,
  type Observations,
  type PressureCondition,
  resourceOf,
  type ScarceResource,
  type Threshold,
} from './types.ts';

/** How a pod is made to go. */
export interface Eviction {
  message: string;
  graceSeconds: number;
  /** The machine's need made it go, not a limit of its own: it gets the condition DisruptionTarget. */
  disruption: boolean;
}

export interface EvictablePod extends PodPlace {
  /** False for one that has ended or goes already. */
  readonly evictable: boolean;
  /** False when it went meanwhile. */
  evict(eviction: Eviction): Promise<boolean>;
  /** Resolves when nothing of it runs any more. */
  readonly ended: Promise<void>;
}

export interface PressureReliefOptions {
  settings: EvictionSettings;
  readSignals: () => Promise<Observations>;
  pods: () => EvictablePod[];
  usage: (pod: PodPlace, resource: ScarceResource, signal: AbortSignal) => Promise<PodUsage | undefined>;
  /** Gives back disk that no pod needs, before a pod has to go for it. */
  reclaimDisk?: (signal: AbortSignal) => Promise<void>;
  events: PodEvents;
  node: () => Pick<Node, 'metadata'>;
  clock: Clock;
  logger: Logger;
  /** The conditions changed. */
  onChange: () => void;
}

/** A pod that a hard threshold makes go gets this long. */
const hardGraceSeconds = 1;
/** For a pod to be gone, before the next one is chosen. */
const goneMs = 30_000;

const names: Record<PressureCondition, { on: string; off: string }> = {
  MemoryPressure: { on: 'NodeHasInsufficientMemory', off: 'NodeHasSufficientMemory' },
  DiskPressure: { on: 'NodeHasDiskPressure', off: 'NodeHasNoDiskPressure' },
  PIDPressure: { on: 'NodeHasInsufficientPID', off: 'NodeHasSufficientPID' },
};

export class PressureRelief {
  readonly #options: PressureReliefOptions;
  readonly #task: RepeatingTask;
  #state: PressureState = noPressure;
  #conditions: ReadonlySet<PressureCondition> = new Set();
  #due: Threshold | undefined;

  constructor(options: PressureReliefOptions) {
    this.#options = options;
    const { clock, settings, logger } = options;
    this.#task = new RepeatingTask({
      clock,
      intervalMs: settings.lookIntervalMs,
      run: (signal) => this.#look(signal),
      onError: (error) => logger.error({ error }, 'a look at what is left of this machine failed'),
    });
  }

  get conditions(): ReadonlySet<PressureCondition> {
    return this.#conditions;
  }

  start(): void {
    if (this.#options.settings.thresholds.length > 0) this.#task.start();
  }

  async stop(): Promise<void> {
    await this.#task.stop();
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { settings, readSignals, clock, events, logger } = this.#options;
    const seen = await readSignals();
    const { state, conditions, due } = judge(this.#state, settings, seen, clock.monotonicMs());
    this.#state = state;
    this.#tell(conditions);
    const before = this.#due;
    this.#due = due;
    if (!due || signal.aborted) return;
    if (due !== before) {
      const resource = resourceOf[due.signal];
      logger.warn({ signal: due.signal, hard: due.hard, observed: seen[due.signal] }, 'eviction threshold met');
      events.record(this.#node(), 'Warning', 'EvictionThresholdMet', `Attempting to reclaim ${resource}`);
    }
    await this.#relieve(due, seen, signal);
  }

  #node(): Node {
    return { apiVersion: 'v1', kind: 'Node', metadata: this.#options.node().metadata } as Node;
  }

  #tell(conditions: ReadonlySet<PressureCondition>): void {
    const { events, onChange } = this.#options;
    const changed = (Object.keys(names) as PressureCondition[]).filter(
      (each) => conditions.has(each) !== this.#conditions.has(each),
    );
    this.#conditions = conditions;
    if (changed.length === 0) return;
    const node = this.#node();
    for (const each of changed) {
      const reason = conditions.has(each) ? names[each].on : names[each].off;
      events.record(node, 'Normal', reason, `Node ${node.metadata.name} status is now: ${reason}`);
    }
    onChange();
  }

  async #relieve(due: Threshold, met: Observations, signal: AbortSignal): Promise<void> {
    const { settings, readSignals, reclaimDisk, pods, usage, logger } = this.#options;
    let seen = met;
    if (reclaimDisk && conditionOf[due.signal] === 'DiskPressure') {
      await reclaimDisk(signal);
      seen = { ...met, ...(await readSignals()) };
      if (isRelieved(due.signal, settings, seen)) return;
    }
    const resource = resourceOf[due.signal];
    const measure = async (each: EvictablePod) => ({ each, pod: each.pod(), usage: await usage(each, resource, signal) });
    const candidates = await Promise.all(
      pods()
        .filter(({ evictable }) => evictable)
        .map(measure),
    );
    for (const candidate of rankPods(candidates, resource)) {
      signal.throwIfAborted();
      const message = evictionMessage(candidate, due, seen[due.signal]!);
      const own = candidate.pod.spec?.terminationGracePeriodSeconds ?? settings.maxPodGraceSeconds;
      const graceSeconds = due.hard ? hardGraceSeconds : Math.min(own, settings.maxPodGraceSeconds);
      if (!(await candidate.each.evict({ message, graceSeconds, disruption: true }))) continue;
      const { name, namespace } = candidate.pod.metadata;
      logger.warn({ pod: `${namespace}/${name}`, signal: due.signal }, 'pod evicted');
      await this.#gone(candidate.each, graceSeconds, signal);
      return;
    }
    logger.warn({ signal: due.signal }, 'no pod is left that could go');
  }

  async #gone({ ended }: EvictablePod, graceSeconds: number, signal: AbortSignal): Promise<void> {
    const waited = new AbortController();
    const limit = delay(this.#options.clock, goneMs + graceSeconds * 1_000, AbortSignal.any([waited.signal, signal]));
    // Both ends of the waiting are as good: the next look measures what is there then.
    await Promise.race([ended, limit.catch(() => undefined)]);
    waited.abort();
  }
}
