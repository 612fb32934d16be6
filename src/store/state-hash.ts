/**
 * A hash of a set that follows every change of it: the 128-bit hashes of all members, XORed. Adding and taking away are the
 * same operation, and the order does not matter. It finds what went wrong by accident (bit rot, a defect that makes peers
 * apply one entry differently); it is no protection against somebody who chooses the members.
 */
import { createHash, hash } from 'node:crypto';
import type { StoreRecord } from './types.ts';

const hashBytes = 16;
const algorithm = 'sha256';
/** Members up to this size are laid out here and hashed by one call; it is half again as fast as the general way. */
const scratch = Buffer.allocUnsafe(16 * 1024);

export class SetHash {
  readonly #sum = new Uint32Array(hashBytes / 4);

  /** Adds the record, or takes it away when it is in. */
  toggleRecord({ key, value, createRevision, modRevision }: StoreRecord): void {
    this.toggle(`${key.length} ${key} ${createRevision} ${modRevision} `, value);
  }

  /** As toggleRecord, for a member that is given as text and bytes. */
  toggle(text: string, bytes?: Uint8Array): void {
    const digest = digestOf(text, bytes);
    for (let i = 0; i < this.#sum.length; i++) this.#sum[i]! ^= digest.readUInt32LE(i * 4);
  }

  /** Equal for equal sets. */
  hex(): string {
    return Array.from(this.#sum, (word) => word.toString(16).padStart(8, '0')).join('');
  }
}

function digestOf(text: string, bytes: Uint8Array | undefined): Buffer {
  // A UTF-16 unit takes at most three bytes of UTF-8.
  if (text.length * 3 + (bytes?.length ?? 0) > scratch.length) {
    const whole = createHash(algorithm).update(text);
    return (bytes ? whole.update(bytes) : whole).digest();
  }
  let length = scratch.write(text);
  if (bytes) {
    scratch.set(bytes, length);
    length += bytes.length;
  }
  return hash(algorithm, scratch.subarray(0, length), 'buffer');
}
