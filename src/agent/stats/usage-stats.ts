/**
 * The door of this room: the numbers that `/stats/summary` and `/metrics/resource` tell. Whoever asks within a few seconds gets the
 * same sample, and shares the work of taking it.
 */
import { join } from 'node:path';
import { type Clock, delay } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { DiskMeter } from '../eviction/disk-meter.ts';
import type { Cgroups, ImageStore } from '../types.ts';
import { DiskStats, type FileSystem, fileSystemOf } from './disk-stats.ts';
import { readMachineSample } from './machine-stats.ts';
import { resourceMetrics } from './resource-metrics.ts';
import { ratesBetween, type Sample, type StatsPod, samplePod } from './sample.ts';
import { type DiskSample, logFolder, measuredVolumes, summaryOf, volumeFolder } from './summary.ts';
import type { Summary } from './types.ts';

export interface UsageStatsOptions {
  nodeName: string;
  dataDir: string;
  pods: () => readonly StatsPod[];
  cgroups: Pick<Cgroups, 'podUsage' | 'containerUsage' | 'groupUsage'>;
  images: Pick<ImageStore, 'writableLayer' | 'uses'>;
  disk: Pick<DiskMeter, 'measure'>;
  clock: Clock;
  logger: Logger;
}

/** For this long a sample is good enough. */
const sampleMs = 3_000;
/** An older one tells nothing of what is used now: then two are taken, this far apart. */
const baseMs = 60_000;
const firstWindowMs = 500;
/** Pods looked at at once: each opens a dozen files. */
const podsAtOnce = 16;

interface Taken {
  before: Sample;
  now: Sample;
}

export class UsageStats {
  readonly #options: UsageStatsOptions;
  readonly #stop = new AbortController();
  readonly #disk: DiskStats;
  #last: Taken | undefined;
  #taking: Promise<Taken> | undefined;

  constructor(options: UsageStatsOptions) {
    this.#options = options;
    const { disk, clock, logger } = options;
    this.#disk = new DiskStats({ disk, clock, logger, signal: this.#stop.signal });
  }

  /** Rejects when the agent stops. */
  async summary(options: { onlyCpuAndMemory: boolean }): Promise<Summary> {
    const { nodeName, images } = this.#options;
    const { before, now } = await this.#take();
    const disk = options.onlyCpuAndMemory ? undefined : await this.#diskSample(now);
    const writableLayer = (id: string) => images.writableLayer(id);
    return summaryOf({ nodeName, sample: now, rates: ratesBetween(before, now), disk, writableLayer });
  }

  /** In Prometheus' format. Rejects when the agent stops. */
  async metrics(): Promise<string> {
    return resourceMetrics((await this.#take()).now);
  }

  stop(): void {
    this.#stop.abort(new Error('the agent stops'));
  }

  async #take(): Promise<Taken> {
    const last = this.#last;
    const nowMs = this.#options.clock.monotonicMs();
    if (last && nowMs - last.now.monotonicMs < sampleMs) return last;
    this.#taking ??= this.#takeAnew(last?.now, nowMs).finally(() => {
      this.#taking = undefined;
    });
    return this.#taking;
  }

  async #takeAnew(known: Sample | undefined, nowMs: number): Promise<Taken> {
    const isNew = known !== undefined && nowMs - known.monotonicMs < baseMs;
    const before = isNew ? known : await this.#sample();
    if (!isNew) await delay(this.#options.clock, firstWindowMs, this.#stop.signal);
    this.#last = { before, now: await this.#sample() };
    return this.#last;
  }

  async #sample(): Promise<Sample> {
    const { cgroups, clock, pods } = this.#options;
    const [wallMs, monotonicMs] = [clock.wallMs(), clock.monotonicMs()];
    const [machine, all, monitor] = await Promise.all([
      readMachineSample(),
      cgroups.groupUsage('pods'),
      cgroups.groupUsage('monitor'),
    ]);
    const sample: Sample = { wallMs, monotonicMs, machine, groups: { pods: all, monitor }, pods: [] };
    const places = pods().filter(({ record }) => !record.ended);
    for (let at = 0; at < places.length; at += podsAtOnce) {
      this.#stop.signal.throwIfAborted();
      const some = places.slice(at, at + podsAtOnce);
      sample.pods.push(...(await Promise.all(some.map((place) => samplePod(place, cgroups)))));
    }
    return sample;
  }

  async #diskSample({ pods }: Sample): Promise<DiskSample> {
    const { dataDir, images } = this.#options;
    const folders: string[] = [];
    const inMemory: string[] = [];
    for (const { place, containers } of pods) {
      for (const { name, id } of containers) folders.push(images.writableLayer(id), logFolder(place, name));
      for (const volume of measuredVolumes(place.pod())) {
        const folder = volumeFolder(place, volume.name);
        folders.push(folder);
        if (volume.emptyDir?.medium === 'Memory' || (!volume.emptyDir && !volume.configMap)) inMemory.push(folder);
      }
    }
    const volumes = new Map<string, FileSystem>();
    const look = async (folder: string) => {
      const fs = await fileSystemOf(folder);
      if (fs) volumes.set(folder, fs);
    };
    const [nodeFs, imageFs, counts] = await Promise.all([
      fileSystemOf(dataDir),
      fileSystemOf(join(dataDir, 'images')),
      this.#disk.counts(folders),
      ...inMemory.map(look),
    ]);
    const imagesBytes = images.uses().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return { nodeFs, imageFs, imagesBytes, counts, volumes };
  }
}
