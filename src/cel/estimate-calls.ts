/** What one call costs at most, and how large its result can be. The cost of the arguments themselves is not in it. */
import { operatorNames } from './ast.ts';
import type { Sized } from './estimate.ts';
import { add, exactly, multiply, none, type Range, scale, unbounded, unknown, upTo } from './estimate-arithmetic.ts';
import { costs } from './runtime-cost.ts';
import type { CelType } from './types.ts';

export interface CallEstimate {
  cost: Range;
  /** Undefined when the result has no size of interest, or none that is known. */
  size?: Range;
}

type Estimate = (parts: readonly Sized[], id: string) => CallEstimate;

const one: CallEstimate = { cost: exactly(1) };
const scan = (size: Range, times = 1) => scale(size, times * costs.traversal);
const sizeAt = (parts: readonly Sized[], index: number) => parts[index]?.size ?? unknown;

const scanFirst: Estimate = (parts) => ({ cost: scan(sizeAt(parts, 0)) });
const scanSecond: Estimate = (parts) => ({ cost: scan(sizeAt(parts, 1)) });
const scanTwice: Estimate = (parts) => ({ cost: scan(sizeAt(parts, 0), 2) });
/** As long as the text that it is made of. */
const transformed: Estimate = (parts) => ({ cost: scan(sizeAt(parts, 0)), size: sizeAt(parts, 0) });

/** The bound of a list's elements; undefined when it is no list. */
function elementOf({ type, declared, elements }: Sized): { type: CelType; size: Range } | undefined {
  if (type.kind !== 'list') return undefined;
  const bound = declared?.kind === 'list' ? declared.element.maxSize : undefined;
  return { type: type.element, size: bound === undefined ? (elements ?? unknown) : upTo(bound) };
}

const isText = ({ kind }: CelType) => kind === 'string' || kind === 'bytes';

/** Every element once; a text is searched. */
const traversed: Estimate = (parts) => {
  const [target] = parts as [Sized];
  const element = elementOf(target);
  if (!element) return { cost: scan(target.size) };
  const each = isText(element.type) ? add(exactly(1), scan(element.size)) : exactly(1);
  return { cost: multiply(target.size, each) };
};

const matched: Estimate = (parts) => {
  const text = scan(add(sizeAt(parts, 0), exactly(1)));
  return { cost: multiply(text, scale(sizeAt(parts, 1), costs.pattern)) };
};

const found: Estimate = (parts, id) => ({ ...matched(parts, id), size: upTo(sizeAt(parts, 0).most) });

const replaced: Estimate = (parts) => {
  const [text, old, by] = [sizeAt(parts, 0), sizeAt(parts, 1), sizeAt(parts, 2)];
  const bound = (side: 'least' | 'most', other: 'least' | 'most', shorter: boolean) => {
    // Nothing replaced means that something is put around every character.
    if (old[other] === 0) return [text[side] + 1, text[side]] as const;
    if (shorter) return [0, text[side]] as const;
    return [Math.ceil(text[side] / old[other]), 0] as const;
  };
  const [mostCount, mostKept] = bound('most', 'least', by.most <= old.least);
  const [leastCount, leastKept] = bound('least', 'most', old.most <= by.least);
  const size = add(multiply({ least: leastCount, most: mostCount }, by), { least: leastKept, most: mostKept });
  return { cost: scan(text, 2), size };
};

const joined: Estimate = (parts) => {
  const list = sizeAt(parts, 0);
  const element = parts[0] && elementOf(parts[0]);
  const separators = { least: Math.max(0, list.least - 1), most: Math.max(0, list.most - 1) };
  const size = add(multiply(list, element?.size ?? unknown), parts.length > 1 ? multiply(sizeAt(parts, 1), separators) : none);
  return { cost: scan(size), size };
};

/** A selector is at least a list of requirements, each with a list of values. */
const selector: Estimate = (parts) => {
  const size = sizeAt(parts, 1);
  return { cost: add(exactly(costs.list), scan(size), scale(scale(size, 0.5), costs.list + costs.struct)) };
};

const addressBytes: Range = { least: 4, most: 16 };
const network =
  (twice: boolean): Estimate =>
  (parts, id) => {
    const masked = twice ? add(scan(addressBytes), exactly(1)) : none;
    const parsed = id.endsWith('_string') ? scan(sizeAt(parts, 1)) : none;
    return { cost: add(scan(add(addressBytes, addressBytes)), masked, parsed) };
  };

const formatPatternMax = 128;
const validated: Estimate = (parts) => ({ cost: scale(scan(sizeAt(parts, 1)), formatPatternMax * costs.pattern) });

const sets =
  (factor: number): Estimate =>
  (parts) => ({
    cost: add(exactly(1), scale(multiply(sizeAt(parts, 0), sizeAt(parts, 1)), factor)),
  });

const allocated: Estimate = (parts) => ({ cost: add(exactly(costs.list + 1), sizeAt(parts, 0)), size: sizeAt(parts, 0) });

const selfCompared =
  (index: number): Estimate =>
  (parts) => {
    const list = parts[index] as Sized;
    const factor = list.type.kind === 'list' && isText(list.type.element) ? 2 * costs.traversal : 2;
    return { cost: add(exactly(costs.list + 1), scale(multiply(list.size, list.size), factor)), size: sizeAt(parts, 0) };
  };

const byName: Record<string, Estimate> = {
  check: () => ({ cost: exactly(costs.check) }),
  fieldSelector: selector,
  labelSelector: selector,
  isSorted: traversed,
  sum: traversed,
  max: traversed,
  min: traversed,
  indexOf: traversed,
  lastIndexOf: traversed,
  url: transformed,
  lowerAscii: transformed,
  upperAscii: transformed,
  substring: transformed,
  trim: transformed,
  replace: replaced,
  split: (parts) => ({ cost: scan(sizeAt(parts, 0), 2), size: upTo(pieces(parts)) }),
  join: joined,
  find: found,
  findAll: found,
  matches: matched,
  cidr: scanFirst,
  isIP: scanFirst,
  isCIDR: scanFirst,
  ip: (parts, id) => (id === 'cidr_ip' ? one : scanFirst(parts, id)),
  'ip.isCanonical': scanTwice,
  containsIP: network(false),
  containsCIDR: network(true),
  quantity: scanFirst,
  isQuantity: scanFirst,
  semver: scanFirst,
  isSemver: scanFirst,
  validate: validated,
  startsWith: scanSecond,
  endsWith: scanSecond,
  contains: (parts) => ({ cost: multiply(scan(sizeAt(parts, 0)), scan(sizeAt(parts, 1))) }),
  format: scanFirst,
  'strings.quote': (parts) => ({ cost: scan(sizeAt(parts, 0)), size: add(scale(sizeAt(parts, 0), 2), exactly(2)) }),
  'sets.contains': sets(1),
  'sets.intersects': sets(1),
  'sets.equivalent': sets(2),
  slice: allocated,
  reverse: allocated,
  flatten: allocated,
  distinct: selfCompared(0),
  sort: selfCompared(0),
  '@sortByAssociatedKeys': selfCompared(1),
  'lists.range': (parts) => {
    const size = upTo(literalInt(parts[0]) ?? unbounded);
    return { cost: add(exactly(costs.list + 1), size), size };
  },
};

function literalInt(part: Sized | undefined): number | undefined {
  return part?.node.kind === 'literal' && typeof part.node.value === 'bigint' ? Math.max(0, Number(part.node.value)) : undefined;
}

/** A split text has at most as many pieces as asked for, or one for each character. */
const pieces = (parts: readonly Sized[]) => literalInt(parts[2]) ?? sizeAt(parts, 0).most;

export function estimateCall(name: string, id: string, parts: readonly Sized[]): CallEstimate {
  const [first, second] = [sizeAt(parts, 0), sizeAt(parts, 1)];
  switch (id) {
    case 'string_to_bytes':
      return { cost: scan(first), size: { least: first.least, most: Math.min(unbounded, first.most * 4) } };
    case 'bytes_to_string':
      return { cost: scan(first), size: { least: Math.floor(first.least / 4), most: first.most } };
    case 'in_list':
      return { cost: second };
    case 'add_list':
      return { cost: exactly(1), size: add(first, second) };
    case 'add_string':
    case 'add_bytes':
      return { cost: scan(add(first, second)), size: add(first, second) };
    default:
  }
  if (name === operatorNames['=='] || name === operatorNames['!='] || /^(less|greater)(_equals)?_(string|bytes)$/.test(id)) {
    if (name === operatorNames['=='] && parts[0]?.type.kind === 'opaque') return one;
    const most = Math.min(first.most, second.most);
    return { cost: scan({ least: most > 0 ? 1 : 0, most }) };
  }
  return Object.hasOwn(byName, name) ? (byName[name] as Estimate)(parts, id) : one;
}
