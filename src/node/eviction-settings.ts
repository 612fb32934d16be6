/** The eviction part of the configuration: what is wrong with it, and what the agent is told. Pure. */
import { type Amount, type EvictionSettings, type Signal, signals, type Threshold } from '../agent/eviction/types.ts';
import { quantityValue } from '../machinery/quantity.ts';

type BySignal<T> = Partial<Record<Signal, T>>;

export interface EvictionConfig {
  /** Amounts (`100Mi`) or shares (`10%`). */
  hard: BySignal<string>;
  soft: BySignal<string>;
  softGracePeriodSeconds: BySignal<number>;
  minimumReclaim: BySignal<string>;
  pressureTransitionSeconds: number;
  maxPodGracePeriodSeconds: number;
}

/** As often as the kubelet looks. */
const lookIntervalMs = 10_000;

export function evictionProblems({ hard, soft, softGracePeriodSeconds, minimumReclaim }: EvictionConfig): string[] {
  const problems: string[] = [];
  for (const signal of signals) {
    for (const [group, text] of Object.entries({
      hard: hard[signal],
      soft: soft[signal],
      minimumReclaim: minimumReclaim[signal],
    })) {
      if (text?.endsWith('%') && Number.parseFloat(text) > 100) {
        problems.push(`agent.eviction.${group}.${signal} must not be above 100%; it is "${text}"`);
      }
    }
    if (soft[signal] !== undefined && softGracePeriodSeconds[signal] === undefined) {
      problems.push(`agent.eviction.softGracePeriodSeconds.${signal} is needed for the soft threshold`);
    }
  }
  return problems;
}

export function evictionSettings(config: EvictionConfig): EvictionSettings {
  const thresholds = signals.flatMap((signal) => {
    const reclaim = config.minimumReclaim[signal];
    const make = (text: string | undefined, hard: boolean, graceMs: number): Threshold[] => {
      if (text === undefined || isOff(text)) return [];
      return [{ signal, hard, graceMs, value: amountOf(text), ...(reclaim === undefined ? {} : { reclaim: amountOf(reclaim) }) }];
    };
    const graceMs = (config.softGracePeriodSeconds[signal] ?? 0) * 1_000;
    return [...make(config.hard[signal], true, 0), ...make(config.soft[signal], false, graceMs)];
  });
  return {
    thresholds,
    transitionMs: config.pressureTransitionSeconds * 1_000,
    maxPodGraceSeconds: config.maxPodGracePeriodSeconds,
    lookIntervalMs,
  };
}

function amountOf(text: string): Amount {
  return text.endsWith('%') ? { share: Number.parseFloat(text) / 100 } : { units: quantityValue(text) };
}

/** As with the kubelet: nothing, or all of it, is no threshold. */
function isOff(text: string): boolean {
  const amount = amountOf(text);
  return 'share' in amount ? amount.share <= 0 || amount.share >= 1 : amount.units <= 0;
}
