/** The forms of an answer, and which one a client's Accept header asks for. */
import { failure } from '../../machinery/status.ts';
import type { IncludeObject } from '../table.ts';
import type { Exchange } from './exchange.ts';

export type View =
  | { type: 'plain' }
  | { type: 'table'; include: IncludeObject }
  /** One PartialObjectMetadata for each object. */
  | { type: 'partial' };

/** What a request says about the answer that it wants. */
export type Asked = Pick<Exchange, 'query' | 'header'>;

export interface Form {
  view: View;
  encoding: 'json' | 'yaml';
  pretty: boolean;
  contentType: string;
}

export interface MediaRange {
  type: string;
  parameters: Record<string, string>;
}

const views = new Set(['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList']);

/** In the order of preference: by q, then as written. */
export function parseAccept(header: string): MediaRange[] {
  const ranges = header.split(',').flatMap((part) => {
    const [type = '', ...rest] = part.split(';').map((piece) => piece.trim());
    if (!type) return [];
    const parameters: Record<string, string> = {};
    for (const piece of rest) {
      const [key = '', value = ''] = piece.split('=');
      parameters[key.trim().toLowerCase()] = value.trim().replace(/^"|"$/g, '');
    }
    return [{ type: type.toLowerCase(), parameters }];
  });
  const quality = ({ parameters: { q } }: MediaRange) => (q === undefined ? 1 : Number(q) || 0);
  return ranges.filter((range) => quality(range) > 0).sort((a, b) => quality(b) - quality(a));
}

/** Headers that were taken apart, since clients send the same ones over and over. */
const known = new Map<string, readonly MediaRange[]>();
const knownMax = 64;
const knownLengthMax = 512;

function rangesOf(header: string): readonly MediaRange[] {
  let ranges = known.get(header);
  if (ranges) return ranges;
  ranges = parseAccept(header);
  if (header.length > knownLengthMax) return ranges;
  if (known.size >= knownMax) known.delete(known.keys().next().value as string);
  known.set(header, ranges);
  return ranges;
}

/** The first form of the header that we have. StatusError 406 when there is none. */
export function negotiate(exchange: Asked): Form {
  const pretty = isTrue(exchange.query.get('pretty'));
  const ranges = rangesOf(exchange.header('accept'));
  if (ranges.length === 0) return formOf('json', { type: 'plain' }, pretty);
  for (const { type, parameters } of ranges) {
    const encoding = encodingOf(type);
    if (!encoding) continue;
    const { as, v = 'v1', g = 'meta.k8s.io' } = parameters;
    if (as === undefined) return formOf(encoding, { type: 'plain' }, pretty);
    if (!views.has(as) || g !== 'meta.k8s.io' || (v !== 'v1' && v !== 'v1beta1')) continue;
    return formOf(encoding, viewOf(as, exchange.query), pretty);
  }
  throw failure(
    406,
    'NotAcceptable',
    'only the following media types are accepted: application/json, application/yaml, and application/json;as=Table or as=PartialObjectMetadata of meta.k8s.io/v1',
  );
}

function encodingOf(type: string): Form['encoding'] | undefined {
  if (type === 'application/json' || type === '*/*' || type === 'application/*') return 'json';
  return type === 'application/yaml' ? 'yaml' : undefined;
}

function viewOf(as: string, query: URLSearchParams): View {
  if (as !== 'Table') return { type: 'partial' };
  const include = query.get('includeObject');
  return { type: 'table', include: include === 'None' || include === 'Object' ? include : 'Metadata' };
}

function formOf(encoding: Form['encoding'], view: View, pretty: boolean): Form {
  return { view, encoding, pretty, contentType: `application/${encoding}` };
}

/** As Go's ParseBool, and a parameter without a value counts as true. */
export function isTrue(value: string | null): boolean {
  return value !== null && ['', '1', 't', 'true'].includes(value.toLowerCase());
}
