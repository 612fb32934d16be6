/** IPv4 arithmetic of a node's pod range: which addresses it has and who may have them. Pure. */
import { AgentError } from '../errors.ts';

export interface PodRange {
  /** As given: 10.42.1.0/24. */
  cidr: string;
  /** First and last address as numbers. */
  first: number;
  last: number;
  prefixBits: number;
}

/** Room for a gateway and pods, and no more than a node can use. */
const prefixBitsMin = 8;
const prefixBitsMax = 30;

/** AgentError 'Network' for anything but an IPv4 range whose host bits are zero. */
export function parseRange(cidr: string): PodRange {
  const refuse = () => new AgentError('Network', `not a range for pods: ${JSON.stringify(cidr)}`, { cidr });
  const [address = '', bits = ''] = cidr.split('/');
  const prefixBits = Number(bits);
  if (!/^\d{1,2}$/.test(bits) || prefixBits < prefixBitsMin || prefixBits > prefixBitsMax) throw refuse();
  const first = parseAddress(address);
  const size = 2 ** (32 - prefixBits);
  if (first === undefined || first % size !== 0) throw refuse();
  return { cidr, first, last: first + size - 1, prefixBits };
}

export function parseAddress(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return undefined;
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

/**
 * 0a:58 and the four bytes of the address, as CNI's bridge does it. A later pod with the same address then has the same MAC,
 * so that no stale ARP entry can hide it.
 */
export function macOf(address: number): string {
  const bytes = formatAddress(address).split('.').map(Number);
  return ['0a', '58', ...bytes.map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}

/** The bridge's address: what pods send everything to. */
export function gatewayOf(range: PodRange): number {
  return range.first + 1;
}

/**
 * The next free address after `previous`, round the range: an address rests as long as possible before it is given out again.
 * Undefined when all are taken.
 */
export function nextAddress(range: PodRange, taken: ReadonlySet<number>, previous: number): number | undefined {
  const lowest = gatewayOf(range) + 1;
  const count = range.last - lowest;
  const start = previous >= lowest && previous < range.last ? previous + 1 - lowest : 0;
  for (let step = 0; step < count; step++) {
    const address = lowest + ((start + step) % count);
    if (!taken.has(address)) return address;
  }
  return undefined;
}
