/** What is broken when, decided from the seed alone. Pure. */
import { seededRandom } from '../../src/lib/random.ts';

export const faultKinds = [
  'kill',
  'pause',
  'cut one',
  'halves',
  'bridge',
  'one-way',
  'flapping',
  'disk full',
  'slow disk',
  'restart of all',
  'member replaced',
  'main thread blocked',
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface PlannedFault {
  /** Since the begin of the run; no sooner than this, and not before the one before is over. */
  atMs: number;
  kind: FaultKind;
  /** Who is hurt; in the leader's stead when `aimed` and there is a leader. */
  peer: number;
  aimed: boolean;
  /** How long it stays broken. */
  holdMs: number;
  /** For what a kind has two ways of: one-way deafness or muteness, the order of the halves. */
  mirrored: boolean;
}

const intervalMs = { least: 5_000, spread: 10_000 };
const holdMs = { least: 1_000, spread: 6_000 };

/** Every kind comes once before one comes again, in an order of the seed's. Ends so that the last one has time for its hold. */
export function planFaults(seed: number, peers: number, durationMs: number): PlannedFault[] {
  const random = seededRandom(seed);
  const faults: PlannedFault[] = [];
  let bag: FaultKind[] = [];
  let atMs = 2_000;
  for (;;) {
    if (bag.length === 0) bag = [...faultKinds];
    const [kind] = bag.splice(random.int(bag.length), 1) as [FaultKind];
    const fault: PlannedFault = {
      atMs,
      kind,
      peer: 1 + random.int(peers),
      aimed: random.int(2) === 0,
      holdMs: holdMs.least + random.int(holdMs.spread),
      mirrored: random.int(2) === 0,
    };
    if (fault.atMs + fault.holdMs > durationMs) return faults;
    faults.push(fault);
    atMs += intervalMs.least + random.int(intervalMs.spread);
  }
}

/** Who cannot talk with whom. Peers are numbered from 1. */
export interface Partition {
  /** Both ways unless `oneWay`: then the second does not hear the first. */
  pairs: [number, number][];
  oneWay: boolean;
}

/** Undefined for kinds that leave the network alone. */
export function partitionOf(fault: PlannedFault, victim: number, peers: number): Partition | undefined {
  const others = Array.from({ length: peers }, (_, index) => index + 1).filter((peer) => peer !== victim);
  const between = (left: number[], right: number[]) => left.flatMap((a) => right.map((b): [number, number] => [a, b]));
  const half = peers >> 1;
  switch (fault.kind) {
    case 'cut one':
    case 'flapping':
      return { pairs: between([victim], others), oneWay: false };
    case 'one-way':
      return { pairs: fault.mirrored ? between(others, [victim]) : between([victim], others), oneWay: true };
    case 'halves': {
      // The victim is in the greater half or in the smaller one.
      const smaller = fault.mirrored ? [victim, ...others.slice(0, half - 1)] : others.slice(0, half);
      const greater = [victim, ...others].filter((peer) => !smaller.includes(peer));
      return { pairs: between(smaller, greater), oneWay: false };
    }
    case 'bridge':
      // Only the victim hears everybody.
      return { pairs: between(others.slice(0, half), others.slice(half)), oneWay: false };
    default:
      return undefined;
  }
}
