/**
 * YAML as API servers read it: the first document, YAML 1.1's words for true and false, octal and underscored numbers, but times
 * stay text and 1:30 is no number. Keys become strings, as in JSON. Keys that occur twice are told, the last one wins.
 */
import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Tags,
  type YAMLError,
} from 'yaml';
import { isDeep, jsonDepthMax } from './depth.ts';
import { duplicateKeys } from './json-text.ts';

/** Aliases can make a small text a huge object. */
const aliasesMax = 100;
const duplicatesMax = 100;

export interface YamlText {
  value: unknown;
  /** Lines such as `line 4: key "a" already set in map`. */
  duplicates: string[];
}

/** Throws a YamlComplaint whose message begins with `yaml: `. */
export function readYaml(text: string): YamlText {
  const json = plainJson(text);
  if (json !== undefined) return { value: json, duplicates: [] };
  const lines = new LineCounter();
  const document = parse(text, lines);
  const error = document.errors.find(({ code }) => code !== 'MULTIPLE_DOCS');
  if (error) throw new YamlComplaint(`yaml: ${sentence(error)}`);
  const duplicates: string[] = [];
  prepare(document.contents, lines, duplicates, 0);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: aliasesMax });
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw new YamlComplaint(`yaml: ${cause instanceof RangeError ? tooDeep : aliasSentence(firstLine(cause.message))}`);
  }
  return { value, duplicates };
}

/** JSON is YAML, and by far the quicker to read: kubectl sends it as YAML. Undefined for all else, and when keys occur twice. */
function plainJson(text: string): unknown {
  if (!text.startsWith('{')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not JSON: then it is YAML in flow style, or an error that YAML has words for.
    return undefined;
  }
  if (isDeep(value)) throw new YamlComplaint(`yaml: ${tooDeep}`);
  return duplicateKeys(text, value).length > 0 ? undefined : value;
}

/** Known mistakes in the words of the reference implementation's parser, which counts lines from one where it names them. */
function sentence({ code, message, linePos }: YAMLError): string {
  if (message.startsWith('Maximum call stack')) return tooDeep;
  const line = linePos?.[0].line ?? 1;
  const at = (number: number) => (number > 1 || code === 'BAD_INDENT' ? `line ${number}: ` : '');
  if (code === 'TAB_AS_INDENT') return `${at(line)}found character that cannot start any token`;
  if (code === 'BLOCK_AS_IMPLICIT_KEY') return `${at(line)}mapping values are not allowed in this context`;
  const bracket = /Flow (sequence|map) in block collection/.exec(message)?.[1];
  if (bracket) return `${at(Math.max(1, line - 1))}did not find expected ',' or '${bracket === 'map' ? '}' : ']'}'`;
  return `line ${line}: ${firstLine(message)}`;
}

function aliasSentence(message: string): string {
  const name = /^Unresolved alias .*: (.*)$/.exec(message)?.[1];
  if (name !== undefined) return `unknown anchor '${name}' referenced`;
  return message.startsWith('Excessive alias count') ? 'document contains excessive aliasing' : message;
}

export class YamlComplaint extends Error {}

function parse(text: string, lineCounter: LineCounter): Document.Parsed {
  try {
    return parseDocument(text, {
      version: '1.1',
      lineCounter,
      merge: true,
      // Found below: the library compares every key with every other.
      uniqueKeys: false,
      prettyErrors: true,
      // The library knows their names only without the rest of what it says about tags.
      customTags: (tags): Tags => tags.filter((tag) => !unwanted.has(nameOf(tag))),
    });
  } catch (cause) {
    // Text that is nothing but brackets exhausts the stack of the library.
    if (!(cause instanceof RangeError)) throw cause;
    throw new YamlComplaint(`yaml: ${tooDeep}`);
  }
}

const tooDeep = 'exceeded max depth';

const unwanted = new Set(['intTime', 'floatTime', 'timestamp', 'tag:yaml.org,2002:timestamp', 'TIME']);

function nameOf(tag: Tags[number]): string {
  if (typeof tag === 'string') return tag;
  return 'format' in tag && tag.format === 'TIME' ? 'TIME' : tag.tag;
}

const firstLine = (message: string) => (message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '');

/** Makes the keys of all maps strings, and notes those that occur twice. */
function prepare(node: unknown, lines: LineCounter, duplicates: string[], depth: number): void {
  if (depth > jsonDepthMax) throw new YamlComplaint(`yaml: ${tooDeep}`);
  if (isAlias(node) || isScalar(node)) return;
  if (isSeq(node)) for (const item of node.items) prepare(item, lines, duplicates, depth + 1);
  if (!isMap(node)) return;
  const seen = new Set<string>();
  for (const pair of node.items) {
    if (!isPair(pair)) continue;
    const { key, value } = pair;
    if (isScalar(key)) {
      const name = String(key.value ?? 'null');
      if (name === '<<' && key.type === 'PLAIN') continue;
      key.value = name;
      if (seen.has(name) && duplicates.length < duplicatesMax) {
        const { line } = lines.linePos(key.range?.[0] ?? 0);
        duplicates.push(`line ${line}: key ${JSON.stringify(name)} already set in map`);
      }
      seen.add(name);
    }
    prepare(value, lines, duplicates, depth + 1);
  }
}
