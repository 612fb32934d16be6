/**
 * What goes wrong in a run, and how often. Each kind of fault has randomness of its own, so that a run without some of them is
 * as near as possible to the run with them: that is how a failure is made small (see `minimize.ts`).
 */
import { crc32 } from 'node:zlib';
import { type Random, seededRandom } from '../../src/lib/random.ts';

export const faultNames = [
  'loss',
  'duplicates',
  'delays',
  'crashes',
  'powerLosses',
  'disksLost',
  'rot',
  'pauses',
  'partitions',
  'clocks',
  'slowDisks',
  'brokenSnapshots',
  'memberChanges',
  'transfers',
  'lostAnswers',
] as const;
export type FaultName = (typeof faultNames)[number];

export class Faults {
  readonly #seed: number;
  readonly #off: ReadonlySet<FaultName>;
  readonly #streams = new Map<string, Random>();
  readonly #every: Record<
    'crashes' | 'rot' | 'powerLosses' | 'pauses' | 'partitions' | 'memberChanges' | 'transfers' | 'clocks',
    number
  >;
  readonly lossPercent: number;
  readonly duplicatesPercent: number;
  readonly delayTicksMax: number;
  readonly restartTicks: number;
  readonly diskTicks: number;

  constructor(seed: number, off: readonly FaultName[] = []) {
    this.#seed = seed;
    this.#off = new Set(off);
    const random = this.stream('plan');
    this.lossPercent = random.int(4) * random.int(8);
    this.duplicatesPercent = random.int(10);
    const delay = 1 + random.int(4);
    this.delayTicksMax = this.isOff('delays') ? 1 : delay;
    this.restartTicks = 2 ** (1 + random.int(5));
    const diskTicks = 2 ** random.int(3);
    this.diskTicks = this.isOff('slowDisks') ? 1 : diskTicks;
    this.#every = {
      crashes: 2 ** (6 + random.int(6)),
      powerLosses: 2 ** (7 + random.int(5)),
      pauses: 2 ** (7 + random.int(5)),
      partitions: 2 ** (5 + random.int(5)),
      memberChanges: 2 ** (2 + random.int(7)),
      transfers: 2 ** (5 + random.int(5)),
      clocks: 2 ** (9 + random.int(5)),
      rot: 2 ** (1 + random.int(5)),
    };
  }

  isOff(name: FaultName): boolean {
    return this.#off.has(name);
  }

  /** Randomness of its own for each name. */
  stream(name: string): Random {
    let stream = this.#streams.get(name);
    if (!stream) {
      stream = seededRandom(crc32(name, this.#seed));
      this.#streams.set(name, stream);
    }
    return stream;
  }

  /** One in so many times, unless this fault is off. */
  oneIn(name: FaultName, times: number): boolean {
    return this.stream(name).int(times) === 0 && !this.isOff(name);
  }

  /** As often as this run has it; `times` makes it rarer. */
  happens(name: keyof typeof this.plan, times = 1): boolean {
    return this.oneIn(name, this.#every[name] * times);
  }

  get plan() {
    return this.#every;
  }

  percent(name: FaultName, per: number): boolean {
    return this.stream(name).int(100) < per && !this.isOff(name);
  }

  /** How fast a peer's clock runs: it drifts by up to a half. */
  clockRate(id: string): number {
    const rate = 0.5 + this.stream(`clock ${id}`).float();
    return this.isOff('clocks') ? 1 : rate;
  }
}
