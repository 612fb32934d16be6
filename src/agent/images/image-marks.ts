/**
 * What the machine remembers about images beside what they are: which names are pinned, when an image came and when it was last
 * used (wall time). In `marks.json`; pins are written at once, times by `save`: a crash forgets the latest.
 */
import { join } from 'node:path';
import type { Logger } from '../../lib/logger.ts';
import { readOptional, writeAtomic } from '../host/atomic-file.ts';

interface Marks {
  /** Normalized names and ids. */
  pins: string[];
  times: Record<string, { addedAtMs: number; usedAtMs: number }>;
}

export class ImageMarks {
  readonly #file: string;
  readonly #logger: Logger;
  #marks: Marks = { pins: [], times: {} };
  #changed = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(folder: string, logger: Logger) {
    this.#file = join(folder, 'marks.json');
    this.#logger = logger;
  }

  /** Times of images that are not `present` are forgotten. */
  async open(present: ReadonlySet<string>): Promise<void> {
    const text = await readOptional(this.#file);
    try {
      if (text !== undefined) this.#marks = JSON.parse(text) as Marks;
    } catch (error) {
      this.#logger.warn({ error }, 'dropped pins and times of use of images, which cannot be read');
    }
    for (const id of Object.keys(this.#marks.times)) if (!present.has(id)) delete this.#marks.times[id];
  }

  isPinned(names: readonly string[]): boolean {
    return this.#marks.pins.some((pin) => names.includes(pin));
  }

  async setPinned(name: string, pinned: boolean): Promise<void> {
    const others = this.#marks.pins.filter((pin) => pin !== name);
    this.#marks.pins = pinned ? [...others, name] : others;
    await this.#write();
  }

  times(id: string): { addedAtMs: number; usedAtMs: number } {
    return this.#marks.times[id] ?? { addedAtMs: 0, usedAtMs: 0 };
  }

  /** Keeps the time of an image that was there already. */
  added(id: string, nowMs: number): void {
    if (this.#marks.times[id]) return;
    this.#marks.times[id] = { addedAtMs: nowMs, usedAtMs: 0 };
    this.#changed = true;
  }

  used(id: string, nowMs: number): void {
    this.#marks.times[id] = { ...this.times(id), usedAtMs: nowMs };
    this.#changed = true;
  }

  /** Takes its times, and the pins on `names`, away. */
  async forget(id: string, names: readonly string[]): Promise<void> {
    delete this.#marks.times[id];
    this.#changed = true;
    if (!this.isPinned(names)) return;
    this.#marks.pins = this.#marks.pins.filter((pin) => !names.includes(pin));
    await this.#write();
  }

  async save(): Promise<void> {
    if (this.#changed) await this.#write();
  }

  #write(): Promise<void> {
    const done = this.#writing.then(async () => {
      this.#changed = false;
      await writeAtomic(this.#file, JSON.stringify(this.#marks));
    });
    // The next writing does not depend on whether this one worked.
    this.#writing = done.catch(() => {
      this.#changed = true;
    });
    return done;
  }
}
