/** Cuts the cluster's pod network into ranges for nodes. Pure. IPv4. */
import { isIPv4 } from 'node:net';

export const nodeMaskBits = 24;

/** The lowest /24 of `clusterCidr` that is not in `used`; undefined when all are. Throws RangeError for a range that is not IPv4 or too small. */
export function nextPodCidr(clusterCidr: string, used: ReadonlySet<string>): string | undefined {
  const [address = '', bitsText = ''] = clusterCidr.split('/');
  const bits = Number(bitsText);
  if (!isIPv4(address) || !Number.isInteger(bits) || bits < 8 || bits > nodeMaskBits) {
    throw new RangeError(`the pod network ${clusterCidr} is not an IPv4 range of at least a /${nodeMaskBits}`);
  }
  const base = (toNumber(address) >>> (32 - bits)) * 2 ** (32 - bits);
  for (let index = 0; index < 2 ** (nodeMaskBits - bits); index++) {
    const cidr = `${toText(base + index * 2 ** (32 - nodeMaskBits))}/${nodeMaskBits}`;
    if (!used.has(cidr)) return cidr;
  }
  return undefined;
}

function toNumber(address: string): number {
  return address.split('.').reduce((number, part) => number * 256 + Number(part), 0);
}

function toText(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}
