/** Randomness comes in through constructors as a Random, so that a simulation is replayed from its seed. */
import { randomFillSync } from 'node:crypto';

export interface Random {
  /** A uniform number in [0, 1). */
  float(): number;
  /** A uniform integer in [0, bound). `bound` is 1 to 2^32. */
  int(bound: number): number;
}

/** xoshiro128** (Blackman and Vigna 2018), seeded by splitmix32: fast and repeatable, not for secrets. */
export function seededRandom(seed: number): Random {
  let mix = seed >>> 0;
  const next32 = () => {
    mix = (mix + 0x9e3779b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  let [a, b, c, d] = [next32(), next32(), next32(), next32()];
  const rotate = (x: number, k: number) => ((x << k) | (x >>> (32 - k))) >>> 0;
  const uint32 = () => {
    const result = Math.imul(rotate(Math.imul(b, 5) >>> 0, 7), 9) >>> 0;
    const t = (b << 9) >>> 0;
    c = (c ^ a) >>> 0;
    d = (d ^ b) >>> 0;
    b = (b ^ c) >>> 0;
    a = (a ^ d) >>> 0;
    c = (c ^ t) >>> 0;
    d = rotate(d, 11);
    return result;
  };
  return {
    float: () => uint32() / 0x1_0000_0000,
    int: (bound) => Math.floor((uint32() / 0x1_0000_0000) * bound),
  };
}

/** Bytes of the operating system, fetched many at a time; each is wiped when it is used. */
const reserve = Buffer.alloc(4096);
let used = reserve.length;

function systemUint32(): number {
  if (used === reserve.length) {
    randomFillSync(reserve);
    used = 0;
  }
  const value = reserve.readUInt32BE(used);
  reserve.writeUInt32BE(0, used);
  used += 4;
  return value;
}

/** The operating system's source; good for secrets. */
export const systemRandom: Random = {
  float: () => systemUint32() / 0x1_0000_0000,
  int: (bound) => Math.floor((systemUint32() / 0x1_0000_0000) * bound),
};
