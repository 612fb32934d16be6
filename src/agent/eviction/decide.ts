/**
 * From what is measured to which conditions hold and whether a pod has to go now. Pure: the state goes in and comes out. Rules:
 * Kubernetes documentation, "Node-pressure Eviction" (grace periods, minimum reclaim, transition period).
 */
import {
  type Amount,
  conditionOf,
  type EvictionSettings,
  type Observation,
  type Observations,
  type PressureCondition,
  type Signal,
  signals,
  type Threshold,
} from './types.ts';

export interface PressureState {
  /** Thresholds that are met, and since when on the monotonic clock. */
  since: ReadonlyMap<Threshold, number>;
  /** When a threshold of the condition was last met. */
  lastSeenMs: ReadonlyMap<PressureCondition, number>;
}

export const noPressure: PressureState = { since: new Map(), lastSeenMs: new Map() };

export interface Verdict {
  state: PressureState;
  conditions: ReadonlySet<PressureCondition>;
  /** What to relieve now; undefined when nothing is due. */
  due: Threshold | undefined;
}

export function unitsOf(amount: Amount, capacity: number): number {
  return 'units' in amount ? amount.units : Math.floor(amount.share * capacity);
}

export function judge(before: PressureState, settings: EvictionSettings, seen: Observations, nowMs: number): Verdict {
  const since = new Map<Threshold, number>();
  for (const threshold of settings.thresholds) {
    const observation = seen[threshold.signal];
    const wasMet = before.since.get(threshold);
    // What cannot be measured at the moment stays as it was.
    const met = observation ? isMet(threshold, observation, wasMet !== undefined) : wasMet !== undefined;
    if (met) since.set(threshold, wasMet ?? nowMs);
  }
  const lastSeenMs = new Map(before.lastSeenMs);
  for (const { signal } of since.keys()) lastSeenMs.set(conditionOf[signal], nowMs);
  for (const [condition, ms] of lastSeenMs) {
    const holds = ms === nowMs || nowMs - ms < settings.transitionMs;
    if (!holds) lastSeenMs.delete(condition);
  }
  const ripe = [...since].filter(([{ graceMs, signal }, ms]) => nowMs - ms >= graceMs && seen[signal]).map(([each]) => each);
  const rank = ({ signal, hard }: Threshold) => signals.indexOf(signal) * 2 + (hard ? 0 : 1);
  ripe.sort((a, b) => rank(a) - rank(b));
  return { state: { since, lastSeenMs }, conditions: new Set(lastSeenMs.keys()), due: ripe[0] };
}

function isMet({ value, reclaim }: Threshold, { available, capacity }: Observation, wasMet: boolean): boolean {
  const more = wasMet && reclaim ? unitsOf(reclaim, capacity) : 0;
  return available < unitsOf(value, capacity) + more;
}

/** True when the signal is above all its thresholds by what they want reclaimed. */
export function isRelieved(signal: Signal, settings: EvictionSettings, seen: Observations): boolean {
  const observation = seen[signal];
  if (!observation) return false;
  return !settings.thresholds.some((threshold) => threshold.signal === signal && isMet(threshold, observation, true));
}
