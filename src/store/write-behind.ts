/**
 * Gathers what changed and writes it to disk in synced batches: one under way at a time, the next one after an interval or
 * as soon as much has gathered. A key that changes often in between is written once.
 */

import type { Clock, Timer } from '../lib/clock.ts';
import { abortable } from '../lib/deferred.ts';
import type { DirtyState, StoreDisk } from './disk.ts';
import { StoreError } from './errors.ts';
import type { RequestWindow } from './request-window.ts';
import type { AppliedState } from './state.ts';
import type { StoreRecord } from './types.ts';

/** Written at once when this much waits. */
const hurryBytes = 4 * 1024 * 1024;
/** `settled` waits while more than this is not on disk. */
export const pendingBytesMax = 32 * 1024 * 1024;
const dirtyOverheadBytes = 128;

export interface WriteBehindOptions {
  disk: StoreDisk;
  clock: Clock;
  intervalMs: number;
  durable: AppliedState;
  requests: RequestWindow;
  /** Of the state as it is now. */
  hash: () => string;
  onDurable: (applied: AppliedState) => void;
  onFailure: (error: StoreError) => void;
}

export class WriteBehind {
  readonly #options: WriteBehindOptions;
  #durable: AppliedState;
  #applied: AppliedState;
  #dirty = new Map<string, StoreRecord | undefined>();
  #dirtyBytes = 0;
  #writingBytes = 0;
  #requests: RequestWindow;
  /** Requests from #requestsFirst up to #requestsNext are on disk. */
  #requestsFirst: number;
  #requestsNext: number;
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #failure: StoreError | undefined;

  constructor(options: WriteBehindOptions) {
    this.#options = options;
    this.#durable = options.durable;
    this.#applied = options.durable;
    this.#requests = options.requests;
    this.#requestsFirst = options.requests.first;
    this.#requestsNext = options.requests.next;
  }

  get durable(): AppliedState {
    return this.#durable;
  }

  get pendingBytes(): number {
    return this.#dirtyBytes + this.#writingBytes;
  }

  get failure(): StoreError | undefined {
    return this.#failure;
  }

  mark(key: string, record: StoreRecord | undefined): void {
    const before = this.#dirty.get(key);
    if (before) this.#dirtyBytes -= before.value.length;
    else if (!this.#dirty.has(key)) this.#dirtyBytes += dirtyOverheadBytes + key.length;
    if (record) this.#dirtyBytes += record.value.length;
    this.#dirty.set(key, record);
  }

  /** Everything marked so far belongs to this applied index or an earlier one. */
  advance(applied: AppliedState): void {
    this.#applied = applied;
    if (this.#writing || this.#failure) return;
    if (this.#dirtyBytes >= hurryBytes) this.#start();
    else this.#timer ??= this.#options.clock.setTimer(this.#options.intervalMs, () => this.#start());
  }

  /** Resolves when all that is applied at the call is on disk. Rejects with StoreError 'StorageFailed'. */
  async flush(): Promise<void> {
    const { index } = this.#applied;
    while (this.#durable.index < index) {
      if (this.#failure) throw this.#failure;
      this.#start();
      await this.#writing;
    }
  }

  /** Resolves when no more than pendingBytesMax wait for the disk. */
  async settled(signal?: AbortSignal): Promise<void> {
    while (this.pendingBytes > pendingBytesMax) {
      if (this.#failure) throw this.#failure;
      this.#start();
      if (this.#writing) await abortable(this.#writing, signal);
    }
  }

  /** Resolves when nothing is under way and nothing will start by itself. What is marked stays marked. */
  async pause(): Promise<void> {
    this.#cancelTimer();
    while (this.#writing) {
      await this.#writing;
      this.#cancelTimer();
    }
  }

  /** After a restore: the disk holds exactly `applied` and `requests`. */
  reset(applied: AppliedState, requests: RequestWindow): void {
    this.#dirty = new Map();
    this.#dirtyBytes = 0;
    this.#requests = requests;
    this.#requestsFirst = requests.first;
    this.#requestsNext = requests.next;
    this.#applied = applied;
    this.#durable = applied;
    this.#options.onDurable(applied);
  }

  #cancelTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #start(): void {
    this.#cancelTimer();
    if (this.#writing || this.#failure || this.#applied === this.#durable) return;
    const applied = this.#applied;
    const dirty = this.#take(applied);
    this.#writingBytes = this.#dirtyBytes;
    this.#dirtyBytes = 0;
    this.#writing = this.#options.disk.write(dirty).then(
      () => {
        this.#writing = undefined;
        this.#writingBytes = 0;
        this.#durable = applied;
        this.#options.onDurable(applied);
        if (this.#applied !== applied) this.advance(this.#applied);
      },
      (error: unknown) => {
        this.#writing = undefined;
        this.#failure = new StoreError('StorageFailed', 'the store cannot write to its disk', {}, error);
        this.#options.onFailure(this.#failure);
      },
    );
  }

  #take(applied: AppliedState): DirtyState {
    const requests = this.#requests;
    const from = Math.max(this.#requestsNext, requests.first);
    const dirty: DirtyState = {
      // Nothing is applied between `advance` and here, so this is the hash of just that state.
      applied: { ...applied, hash: this.#options.hash() },
      records: this.#dirty,
      requests: requests.from(from),
      requestsFrom: from,
      evictedFrom: this.#requestsFirst,
      evictedTo: Math.min(requests.first, this.#requestsNext),
    };
    this.#dirty = new Map();
    this.#requestsFirst = requests.first;
    this.#requestsNext = requests.next;
    return dirty;
  }
}
