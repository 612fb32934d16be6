/**
 * What a call costs, in Kubernetes' units: 1 for most, a tenth for each character that is looked at. Where Kubernetes charges a
 * fixed price for work that grows, more is charged here once the work is large: lists that are joined, and patterns whose
 * repetitions unfold. Source: cel-go's runtime cost and Kubernetes' cost of its libraries, as measured.
 */

import { CelFormat } from './library/formats.ts';
import { CelList } from './lists.ts';
import { CelMap } from './maps.ts';
import { programSize } from './regex/index.ts';
import { CelOpaque, type CelValue, sizeOf, stringSize } from './values.ts';

export const costs = {
  ident: 1,
  select: 1,
  list: 10,
  map: 30,
  struct: 40,
  traversal: 0.1,
  pattern: 0.25,
  check: 350_000,
} as const;

/** Joined lists are free of extra charge up to this many elements, and then cost one unit for as many more. */
const joinedPerUnit = 100;
/** Steps of the pattern machine for one unit. */
const patternStepsPerUnit = 100;

const scan = (size: number, times = 1) => Math.ceil(size * times * costs.traversal);

/** One look at everything inside. */
function traversal(value: CelValue): number {
  if (typeof value === 'string') return Math.floor(stringSize(value) * costs.traversal);
  if (value instanceof Uint8Array) return Math.floor(value.length * costs.traversal);
  if (value instanceof CelList) return value.items.reduce<number>((sum, item) => sum + traversal(item), 0);
  if (value instanceof CelMap) {
    return value.keys().reduce<number>((sum, key) => sum + traversal(key) + traversal(value.get(key) as CelValue), 0);
  }
  return 1;
}

function patternCost(text: CelValue, pattern: CelValue): number {
  const size = sizeOf(text) + 1;
  const usual = scan(size) * Math.ceil(sizeOf(pattern) * costs.pattern);
  return Math.max(usual, Math.floor((size * programSize(String(pattern))) / patternStepsPerUnit));
}

/** A list is compared with itself: sorting, distinct. */
function selfCompared(list: CelValue): number {
  const size = sizeOf(list);
  const first = list instanceof CelList ? list.items[0] : undefined;
  const factor = typeof first === 'string' || first instanceof Uint8Array ? 2 * costs.traversal : 2;
  return costs.list + 1 + Math.ceil(size * size * factor);
}

export type Cost = (args: readonly CelValue[], id: string) => number;
const argument = (args: readonly CelValue[], index: number) => args[index] as CelValue;
const sizeAt = (args: readonly CelValue[], index: number) => sizeOf(argument(args, index));

const scanFirst: Cost = (args) => scan(sizeAt(args, 0));
const scanSecond: Cost = (args) => scan(sizeAt(args, 1));
const scanTwice: Cost = (args) => scan(sizeAt(args, 0), 2);
const traverseFirst: Cost = (args) => traversal(argument(args, 0));
const product: Cost = (args) => 1 + sizeAt(args, 0) * sizeAt(args, 1);
/** As far as the shorter one goes. */
const compared: Cost = (args) => (argument(args, 0) instanceof CelOpaque ? 1 : scan(Math.min(sizeAt(args, 0), sizeAt(args, 1))));
const allocated: Cost = (args) => costs.list + 1 + sizeAt(args, 0);

const byName: Record<string, Cost> = {
  check: () => costs.check,
  fieldSelector: (args) => costs.list + scan(sizeAt(args, 1)) + Math.ceil(sizeAt(args, 1) / 2) * (costs.list + costs.struct),
  labelSelector: (args) => costs.list + scan(sizeAt(args, 1)) + Math.ceil(sizeAt(args, 1) / 2) * (costs.list + costs.struct),
  isSorted: traverseFirst,
  sum: traverseFirst,
  max: traverseFirst,
  min: traverseFirst,
  indexOf: traverseFirst,
  lastIndexOf: traverseFirst,
  url: scanFirst,
  lowerAscii: scanFirst,
  upperAscii: scanFirst,
  substring: scanFirst,
  trim: scanFirst,
  replace: scanTwice,
  split: scanTwice,
  join: (args) => {
    const list = argument(args, 0);
    const separator = args.length > 1 ? sizeAt(args, 1) : 0;
    const items = list instanceof CelList ? list.items : [];
    const size = items.reduce<number>((sum, item) => sum + sizeOf(item), 0) + separator * Math.max(0, items.length - 1);
    return scan(size, 2);
  },
  find: (args) => patternCost(argument(args, 0), argument(args, 1)),
  findAll: (args) => patternCost(argument(args, 0), argument(args, 1)),
  matches: (args) => patternCost(argument(args, 0), argument(args, 1)),
  cidr: scanFirst,
  isIP: scanFirst,
  isCIDR: scanFirst,
  ip: (args, id) => (id === 'cidr_ip' ? 1 : scanFirst(args, id)),
  'ip.isCanonical': scanTwice,
  containsIP: (args, id) => networkCost(args) + (id.endsWith('_string') ? scan(sizeAt(args, 1)) : 0),
  containsCIDR: (args, id) =>
    networkCost(args) + scan(addressBytes(args)) + 1 + (id.endsWith('_string') ? scan(sizeAt(args, 1)) : 0),
  quantity: scanFirst,
  isQuantity: scanFirst,
  semver: scanFirst,
  isSemver: scanFirst,
  validate: (args) => {
    const format = argument(args, 0);
    const pattern = format instanceof CelFormat ? format.patternSize : 128;
    return scan(sizeAt(args, 1) + 1) * Math.ceil(pattern * costs.pattern);
  },
  startsWith: scanSecond,
  endsWith: scanSecond,
  contains: (args) => scan(sizeAt(args, 0)) * scan(sizeAt(args, 1)),
  format: scanFirst,
  'strings.quote': scanFirst,
  'sets.contains': product,
  'sets.intersects': product,
  'sets.equivalent': (args) => 1 + 2 * sizeAt(args, 0) * sizeAt(args, 1),
  slice: (args) => costs.list + 1 + Math.max(0, Number(args[2]) - Number(args[1])),
  reverse: allocated,
  flatten: allocated,
  'lists.range': (args) => costs.list + 1 + Math.max(0, Number(args[0])),
  distinct: (args) => selfCompared(argument(args, 0)),
  sort: (args) => selfCompared(argument(args, 0)),
  '@sortByAssociatedKeys': (args) => selfCompared(argument(args, 1)),
  '@in': (args, id) => (id === 'in_list' ? sizeAt(args, 1) : 1),
};

const addressBytes = (args: readonly CelValue[]) => (String((args[0] as CelOpaque).form).includes(':') ? 16 : 4);
const networkCost = (args: readonly CelValue[]) => scan(2 * addressBytes(args));

const byId: Record<string, Cost> = {
  string_to_bytes: scanFirst,
  bytes_to_string: scanFirst,
  add_string: (args) => scan(sizeAt(args, 0) + sizeAt(args, 1)),
  add_bytes: (args) => scan(sizeAt(args, 0) + sizeAt(args, 1)),
  add_list: (args) => 1 + Math.floor((sizeAt(args, 0) + sizeAt(args, 1)) / joinedPerUnit),
  equals: compared,
  not_equals: compared,
};

/** How a call of this overload is charged: units for its arguments. The evaluator spends them before it calls. */
export function costOf(name: string, id: string): Cost {
  if (Object.hasOwn(byId, id)) return byId[id] as Cost;
  if (/^(less|greater)(_equals)?_(string|bytes)$/.test(id)) return compared;
  return Object.hasOwn(byName, name) ? (byName[name] as Cost) : () => 1;
}
