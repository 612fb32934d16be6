/**
 * What travels in a gossip message: who published it, a number of its own, and the data. Unsigned gossip carries no
 * origin, and messages are told apart by origin and number rather than by a hash of the data.
 *
 * Layout: one byte length of the id, the id, eight bytes number, data.
 */
import type { PeerId } from './types.ts';

const sequenceBytes = 8;

export interface Envelope {
  from: PeerId;
  data: Uint8Array;
}

/** Numbers must not repeat within the seen window, also not across a restart: they begin at the wall clock. */
export class EnvelopeWriter {
  readonly #id: Buffer;
  #sequence: bigint;

  constructor(id: PeerId, wallMs: number) {
    this.#id = Buffer.from(id);
    this.#sequence = BigInt(Math.floor(wallMs)) << 16n;
  }

  write(data: Uint8Array): Buffer {
    const head = 1 + this.#id.length + sequenceBytes;
    const envelope = Buffer.allocUnsafe(head + data.length);
    envelope[0] = this.#id.length;
    this.#id.copy(envelope, 1);
    envelope.writeBigUInt64BE(this.#sequence++, 1 + this.#id.length);
    envelope.set(data, head);
    return envelope;
  }
}

/** What is the same for two copies of one message and different for any two messages. */
export function envelopeId(envelope: Uint8Array): Uint8Array {
  return envelope.subarray(0, headLength(envelope) ?? envelope.length);
}

/** Undefined when it is no envelope. */
export function readEnvelope(envelope: Uint8Array): Envelope | undefined {
  const head = headLength(envelope);
  if (head === undefined) return undefined;
  const from = Buffer.from(envelope.buffer, envelope.byteOffset + 1, head - 1 - sequenceBytes).toString('latin1');
  return { from, data: envelope.subarray(head) };
}

function headLength(envelope: Uint8Array): number | undefined {
  const idLength = envelope[0];
  if (!idLength) return undefined;
  const head = 1 + idLength + sequenceBytes;
  return head <= envelope.length ? head : undefined;
}
