/** The state machine of a simulated peer: the real store, in memory, with images of it that stand for its copy on disk. */
import type { Entry } from '../../src/consensus/types.ts';
import { decodeTransaction, Store, type TransactionResult } from '../../src/store/index.ts';
import { type Checker, Violation } from './checker.ts';

/** The state as of one entry. */
export interface Image {
  index: number;
  term: number;
  /** The bytes are made when they are needed first. */
  chunks: () => Promise<Uint8Array[]>;
}

export const emptyImage: Image = { index: 0, term: 0, chunks: async () => [] };

/** Hashes of the whole state are compared at every entry whose index is a multiple of this. */
const hashEvery = 64;

async function* stream(chunks: readonly Uint8Array[], breaks: boolean): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield breaks ? chunk.subarray(0, chunk.length / 2) : chunk;
}

export class Machine {
  readonly #id: string;
  readonly #store: Store;
  readonly #checker: Checker;
  /** The last revision that the watch showed. */
  #seen = 0;
  #effects: [revision: number, effect: string][] = [];
  #gap: string | undefined;
  /** What happened in the entry that is being applied. */
  #events = 0;

  private constructor(id: string, store: Store, checker: Checker) {
    this.#id = id;
    this.#store = store;
    this.#checker = checker;
    this.#watch();
  }

  static async open(id: string, image: Image, checker: Checker): Promise<Machine> {
    const machine = new Machine(id, await Store.open(), checker);
    if (image.index > 0) await machine.restore(image);
    return machine;
  }

  get index(): number {
    return this.#store.applied.index;
  }

  get revision(): number {
    return this.#store.revision;
  }

  get stateHash(): string {
    return this.#store.stateHash();
  }

  get(key: string): { value: string; modRevision: number } {
    const record = this.#store.get(key);
    return record
      ? { value: Buffer.from(record.value).toString(), modRevision: record.modRevision }
      : { value: '', modRevision: 0 };
  }

  apply(entry: Entry): TransactionResult | undefined {
    const previous = this.index;
    this.#events = 0;
    const [result] = this.#store.apply([entry]);
    this.#checkWatch();
    this.#checker.applied(this.#id, previous, entry, JSON.stringify([this.revision, result]));
    if (this.#events > 0) this.#checker.tookEffect(decodeTransaction(entry.data).requestId, this.revision);
    if (entry.index % hashEvery === 0) this.#checker.state(entry.index, this.stateHash);
    return result;
  }

  image(): Image {
    const { index, term, chunks } = this.#store.snapshot();
    let made: Promise<Uint8Array[]> | undefined;
    const make = async () => {
      const all: Uint8Array[] = [];
      for await (const chunk of chunks) all.push(chunk);
      return all;
    };
    return {
      index,
      term,
      chunks: () => {
        made ??= make();
        return made;
      },
    };
  }

  async restore(image: Image): Promise<void> {
    await this.#store.restore(image, stream(await image.chunks(), false));
    if (image.index % hashEvery === 0) this.#checker.state(image.index, this.stateHash);
    this.#watch();
  }

  /** The image breaks on its way: nothing may have changed. */
  async restoreBroken(image: Image): Promise<void> {
    const before = this.stateHash;
    const refused = await this.#store.restore(image, stream(await image.chunks(), true)).then(
      () => false,
      () => true,
    );
    if (!refused || this.stateHash !== before) throw new Violation(`${this.#id} took a broken snapshot`);
  }

  // A watch of everything must show each revision once, in order. What a listener throws would not reach us.
  #watch(): void {
    this.#seen = this.#store.revision;
    this.#store.watch('', this.#seen, {
      onEvents: (events) => {
        this.#events += events.length;
        for (const { type, record, revision } of events) {
          this.#gap ??= revision === this.#seen + 1 ? undefined : `${this.#id} saw revision ${revision} after ${this.#seen}`;
          this.#effects.push([revision, `${type} ${record.key} ${Buffer.from(record.value)}`]);
        }
        this.#seen++;
      },
      onEnd: () => {},
    });
  }

  #checkWatch(): void {
    if (this.#gap) throw new Violation(this.#gap);
    for (const [revision, effect] of this.#effects.splice(0)) this.#checker.event(revision, effect);
  }
}
