/** The extension library of strings, version 2. Positions count code points. */
import { evaluationError } from '../errors.ts';
import { type Overload, overload } from '../functions.ts';
import { CelList } from '../lists.ts';
import { find, findAll } from '../regex/index.ts';
import { stringSize } from '../values.ts';
import { bounded, formatted, textSizeMax, tooLarge } from './format-text.ts';

/** The text by code points; what has only one unit for each is its own. */
const pointsOf = (text: string): readonly string[] | string => (stringSize(text) === text.length ? text : [...text]);
const textFrom = (points: readonly string[] | string, start: number, end?: number) =>
  typeof points === 'string' ? points.slice(start, end) : points.slice(start, end).join('');

const outOfRange = (index: bigint) => evaluationError(`index out of range: ${index}`);

function charAt(text: string, index: bigint): string {
  const points = pointsOf(text);
  if (index < 0n || index > points.length) throw outOfRange(index);
  return points[Number(index)] ?? '';
}

/** Where `part` begins, counted in code points, from an index in UTF-16 units. */
const pointIndex = (text: string, unitIndex: number) => (unitIndex < 0 ? -1n : BigInt(stringSize(text.slice(0, unitIndex))));
const unitIndex = (text: string, index: bigint) => textFrom(pointsOf(text), 0, Number(index)).length;

function indexOf(text: string, part: string, from = 0n): bigint {
  if (from < 0n) throw outOfRange(from);
  const size = BigInt(stringSize(text));
  if (part === '') return from > size ? size : from;
  return from >= size ? -1n : pointIndex(text, text.indexOf(part, unitIndex(text, from)));
}

function lastIndexOf(text: string, part: string, from?: bigint): bigint {
  const size = BigInt(stringSize(text));
  if (from !== undefined && from < 0n) throw outOfRange(from);
  if (part === '') return from === undefined || from > size ? size : from;
  if (from === undefined) return pointIndex(text, text.lastIndexOf(part));
  return from >= size ? -1n : pointIndex(text, text.lastIndexOf(part, unitIndex(text, from)));
}

function substring(text: string, start: bigint, end?: bigint): string {
  const points = pointsOf(text);
  if (end !== undefined && start > end) throw evaluationError(`invalid substring range. start: ${start}, end: ${end}`);
  if (start < 0n || start > points.length) throw outOfRange(start);
  if (end !== undefined && end > points.length) throw outOfRange(end);
  return textFrom(points, Number(start), end === undefined ? undefined : Number(end));
}

/** The first `limit` pieces; the last one keeps the rest. A negative limit is none. */
function split(text: string, separator: string, limit = -1n): CelList {
  if (limit === 0n) return CelList.of([]);
  const pieces = separator === '' ? [...text] : text.split(separator);
  if (limit < 0n || limit >= pieces.length) return CelList.of(pieces);
  const count = Number(limit) - 1;
  return CelList.of([...pieces.slice(0, count), pieces.slice(count).join(separator)]);
}

function replace(text: string, old: string, replacement: string, limit = -1n): string {
  if (limit === 0n) return text;
  const pieces = old === '' ? ['', ...[...text], ''] : text.split(old);
  const count = limit < 0n ? pieces.length - 1 : Math.min(Number(limit), pieces.length - 1);
  if (text.length + count * replacement.length > textSizeMax) throw tooLarge();
  const kept = pieces.slice(count).join(old);
  return [...pieces.slice(0, count), kept].join(replacement);
}

function join(list: CelList, separator = ''): string {
  const parts = list.items.map((item) => {
    if (typeof item !== 'string') throw evaluationError('join: invalid input');
    return item;
  });
  if (parts.reduce((sum, part) => sum + part.length + separator.length, 0) > textSizeMax) throw tooLarge();
  return parts.join(separator);
}

const quotes: Record<string, string> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};

function quote(text: string): string {
  let quoted = '';
  for (const character of text.toWellFormed()) quoted += quotes[character] ?? character;
  return bounded(`"${quoted}"`);
}

// What Go's unicode package takes as white space; JavaScript's trim would also take the byte order mark.
const spaces = '[\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const isSpace = new RegExp(spaces);

function trim(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isSpace.test(text[start] as string)) start++;
  while (end > start && isSpace.test(text[end - 1] as string)) end--;
  return text.slice(start, end);
}

const asciiUpper = (text: string) => text.replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase());
const asciiLower = (text: string) => text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());

export const strings: readonly Overload[] = [
  overload('string_char_at_int', 'string.charAt(int): string', charAt),
  overload('string_index_of_string', 'string.indexOf(string): int', (text: string, part: string) => indexOf(text, part)),
  overload('string_index_of_string_int', 'string.indexOf(string, int): int', indexOf),
  overload('string_last_index_of_string', 'string.lastIndexOf(string): int', (text: string, part: string) =>
    lastIndexOf(text, part),
  ),
  overload('string_last_index_of_string_int', 'string.lastIndexOf(string, int): int', lastIndexOf),
  overload('string_lower_ascii', 'string.lowerAscii(): string', asciiLower),
  overload('string_upper_ascii', 'string.upperAscii(): string', asciiUpper),
  overload('string_replace_string_string', 'string.replace(string, string): string', (text: string, old: string, by: string) =>
    replace(text, old, by),
  ),
  overload('string_replace_string_string_int', 'string.replace(string, string, int): string', replace),
  overload('string_split_string', 'string.split(string): list(string)', (text: string, separator: string) =>
    split(text, separator),
  ),
  overload('string_split_string_int', 'string.split(string, int): list(string)', split),
  overload('string_substring_int', 'string.substring(int): string', (text: string, start: bigint) => substring(text, start)),
  overload('string_substring_int_int', 'string.substring(int, int): string', substring),
  overload('string_trim', 'string.trim(): string', trim),
  overload('list_join', 'list(string).join(): string', (list: CelList) => join(list)),
  overload('list_join_string', 'list(string).join(string): string', join),
  overload('string_format', 'string.format(list(dyn)): string', (text: string, list: CelList) => formatted(text, list.items)),
  overload('strings_quote', 'strings.quote(string): string', quote),
  overload('string_find_string', 'string.find(string): string', find),
  overload('string_find_all_string', 'string.findAll(string): list(string)', (text: string, pattern: string) =>
    CelList.of(findAll(text, pattern, -1)),
  ),
  overload(
    'string_find_all_string_int',
    'string.findAll(string, int): list(string)',
    (text: string, pattern: string, most: bigint) => CelList.of(findAll(text, pattern, Number(most))),
  ),
];
