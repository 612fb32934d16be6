/** The keys of sealed values in memory, in step with their record: what is new seals, what was ever seen opens. */
import { StoreError } from '../errors.ts';
import type { StoreReader, StoreRecord, Watch } from '../types.ts';
import { type SealingKey, sealedBy, unseal } from './envelope.ts';
import { decodeKeys, sealingKeysKey, unwrapKeys } from './key-record.ts';

/** Keys that are no longer in the record still open what is left in the window of history. */
const seenMax = 64;

export class KeyRing {
  readonly #clusterSecret: Buffer;
  readonly #store: StoreReader;
  readonly #seen = new Map<string, SealingKey>();
  #current: { key: SealingKey; modRevision: number } | undefined;
  #taken: StoreRecord | undefined;
  #watch: Watch | undefined;

  /** Throws StoreError 'SealBroken' when the cluster key is another one than the record's. */
  constructor(clusterSecret: Buffer, store: StoreReader) {
    this.#clusterSecret = clusterSecret;
    this.#store = store;
    this.#follow();
  }

  close(): void {
    this.#watch?.cancel();
  }

  /** What seals now, and the revision of the record that says so. Throws StoreError 'NoSealingKey'. */
  get current(): { key: SealingKey; modRevision: number } {
    this.#refresh();
    if (!this.#current) throw new StoreError('NoSealingKey', 'there is no key to seal values with');
    return this.#current;
  }

  /** The value in the clear; as it is when it is not sealed. Throws StoreError 'NoSealingKey' or 'SealBroken'. */
  open({ key, value }: StoreRecord): Uint8Array {
    const id = sealedBy(value);
    if (id === undefined) return value;
    if (!this.#seen.has(id)) this.#refresh();
    const sealing = this.#seen.get(id);
    if (!sealing) throw new StoreError('NoSealingKey', `the key ${id} that sealed ${key} is not known any more`, { key, id });
    return unseal(sealing, key, value);
  }

  #follow(): void {
    const { revision } = this.#store;
    this.#refresh();
    this.#watch = this.#store.watch(sealingKeysKey, revision, {
      onEvents: (events) => {
        for (const { type, record: changed } of events) {
          if (changed.key !== sealingKeysKey) continue;
          // Each of several changes at once, or a key that came and went would never be seen.
          if (type === 'put') this.#take(changed);
        }
        this.#refresh();
      },
      onEnd: (reason) => {
        if (reason === 'restored') this.#follow();
      },
    });
  }

  /** Others may look before this watch is told. */
  #refresh(): void {
    const record = this.#store.get(sealingKeysKey);
    if (record === this.#taken) return;
    if (record) this.#take(record);
    else this.#current = undefined;
    this.#taken = record;
  }

  #take({ value, modRevision }: StoreRecord): void {
    const keys = unwrapKeys(this.#clusterSecret, decodeKeys(value));
    for (const key of keys) {
      this.#seen.delete(key.id);
      this.#seen.set(key.id, key);
    }
    for (const id of this.#seen.keys()) {
      if (this.#seen.size <= seenMax) break;
      this.#seen.delete(id);
    }
    const [newest] = keys;
    this.#current = newest && { key: newest, modRevision };
  }
}
