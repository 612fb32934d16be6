/**
 * The few messages of etcd's gRPC that the benchmark speaks, in protobuf by hand: puts, linearizable gets, watches of a prefix,
 * and who leads. Both contestants are asked by the same client in the same words.
 */
export const paths = {
  put: '/etcdserverpb.KV/Put',
  range: '/etcdserverpb.KV/Range',
  watch: '/etcdserverpb.Watch/Watch',
  status: '/etcdserverpb.Maintenance/Status',
} as const;

/** Field numbers in etcd's rpc.proto and kv.proto. */
export const fields = {
  request: { key: 1, valueOrRangeEnd: 2 },
  watchRequest: { create: 1 },
  watchResponse: { events: 11 },
  rangeResponse: { kvs: 2 },
  keyValue: { key: 1, value: 5 },
  header: { memberId: 2 },
  statusResponse: { header: 1, leader: 4 },
} as const;

/** A message of fields of bytes; a number stands for a varint. */
export function message(parts: readonly (readonly [field: number, content: Uint8Array | number])[]): Buffer {
  const pieces: Uint8Array[] = [];
  for (const [field, content] of parts) {
    if (typeof content === 'number') pieces.push(varint(field << 3), varint(content));
    else pieces.push(varint((field << 3) | 2), varint(content.length), content);
  }
  return Buffer.concat(pieces);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    bytes.push(left < 128 ? left : (left % 128) + 128);
    if (left < 128) return Buffer.from(bytes);
  }
}

/** The first field of that number: its bytes, or the digits of a varint; undefined when it is not there. */
export function read(bytes: Buffer, wanted: number): { bytes: Buffer; number: bigint } | undefined {
  let at = 0;
  const number = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(number());
    const found = tag >> 3 === wanted;
    if ((tag & 7) === 0) {
      const value = number();
      if (found) return { bytes: Buffer.alloc(0), number: value };
    } else {
      const length = Number(number());
      if (found) return { bytes: bytes.subarray(at, at + length), number: 0n };
      at += length;
    }
  }
  return undefined;
}

/** With gRPC's five bytes before it: not compressed, and the length. */
export function framed(content: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(5 + content.length);
  frame[0] = 0;
  frame.writeUInt32BE(content.length, 1);
  content.copy(frame, 5);
  return frame;
}

/** Takes whole messages out of what has come so far. */
export class Unframer {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Buffer[] {
    const messages: Buffer[] = [];
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 5 && this.#rest.length >= 5 + this.#rest.readUInt32BE(1)) {
      const end = 5 + this.#rest.readUInt32BE(1);
      messages.push(this.#rest.subarray(5, end));
      this.#rest = this.#rest.subarray(end);
    }
    return messages;
  }
}
