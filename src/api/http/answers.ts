/** Objects, lists and errors as bytes of the form the client asked for. Stored JSON is copied, not encoded again. */
import { stringify as stringifyYaml } from 'yaml';
import type { Status, StatusError } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';
import { apiVersionOf, isStorageVersion, type ResolvedKind } from '../kind-table.ts';
import type { Entry, ListAnswer } from '../read.ts';
import { fromStorage, spliceRevision } from '../stored-objects.ts';
import { columnDefinitions, partialObject, table, tableRow } from '../table.ts';
import type { Exchange } from './exchange.ts';
import type { Form } from './negotiation.ts';

/** Lists up to this size are sent in one piece with their length. */
const wholeBytesMax = 256 * 1024;
const chunkBytes = 64 * 1024;

/** One object. `json` are its bytes in the form 'plain' when they are at hand. */
export interface ObjectAnswer {
  object: KubeObject | Status;
  json?: Buffer[];
}

export function storedAnswer(object: KubeObject | Status, stored: { value: Uint8Array; revision: number }): ObjectAnswer {
  return { object, json: spliceRevision(stored.value, stored.revision) };
}

export async function sendObject(
  exchange: Exchange,
  options: { form: Form; resolved: ResolvedKind; code: number; answer: ObjectAnswer; nowMs: number },
): Promise<void> {
  const { form, resolved, code, answer, nowMs } = options;
  const { object, json } = answer;
  if (form.view.type === 'plain' || object.kind !== resolved.kind.kind) {
    const bytes = json && form.encoding === 'json' && !form.pretty ? Buffer.concat(json) : encode(object, form);
    return exchange.send(code, form.contentType, bytes);
  }
  const one = object as KubeObject;
  if (form.view.type === 'partial') return exchange.send(code, form.contentType, encode(partialObject(one), form));
  const { resourceVersion } = one.metadata;
  const shown = table(resolved.kind, { resourceVersion }, [tableRow(resolved, one, form.view.include, nowMs)]);
  return exchange.send(code, form.contentType, encode(shown, form));
}

export async function sendList(
  exchange: Exchange,
  options: { form: Form; resolved: ResolvedKind; answer: ListAnswer; nowMs: number },
): Promise<void> {
  const { form } = options;
  const chunks = gathered(listPieces(options));
  if (form.encoding === 'yaml' || form.pretty) {
    const whole = JSON.parse(Buffer.concat([...chunks]).toString('utf8'));
    return exchange.send(200, form.contentType, encode(whole, form));
  }
  const first: Buffer[] = [];
  let length = 0;
  for (let next = chunks.next(); !next.done; next = chunks.next()) {
    first.push(next.value);
    length += next.value.length;
    if (length > wholeBytesMax) return exchange.stream(200, form.contentType, politely(first, chunks));
  }
  return exchange.send(200, form.contentType, Buffer.concat(first, length));
}

/** What is there, then the rest, giving way to other work after each chunk. */
async function* politely(first: Buffer[], rest: Iterator<Buffer>): AsyncGenerator<Buffer> {
  yield* first;
  for (let next = rest.next(); !next.done; next = rest.next()) {
    yield next.value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function* gathered(pieces: Iterable<Buffer>): Generator<Buffer, undefined> {
  let waiting: Buffer[] = [];
  let length = 0;
  for (const piece of pieces) {
    waiting.push(piece);
    length += piece.length;
    if (length < chunkBytes) continue;
    yield Buffer.concat(waiting, length);
    waiting = [];
    length = 0;
  }
  if (length > 0) yield Buffer.concat(waiting, length);
}

function* listPieces(options: { form: Form; resolved: ResolvedKind; answer: ListAnswer; nowMs: number }): Generator<Buffer> {
  const { form, resolved, answer, nowMs } = options;
  const { view } = form;
  const { revision, continue: next, remainingItemCount } = answer;
  const metadata = { resourceVersion: String(revision), ...(next ? { continue: next } : {}), remainingItemCount };
  const tables = view.type === 'table';
  const head = tables
    ? { kind: 'Table', apiVersion: 'meta.k8s.io/v1', metadata, columnDefinitions: columnDefinitions(resolved.kind) }
    : view.type === 'partial'
      ? { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata }
      : { kind: `${resolved.kind.kind}List`, apiVersion: apiVersionOf(resolved), metadata };
  yield Buffer.from(`${JSON.stringify(head).slice(0, -1)},"${tables ? 'rows' : 'items'}":[`);
  let comma = false;
  for (const entry of answer.entries) {
    if (comma) yield commaBytes;
    comma = true;
    if (view.type === 'table') yield encodeJson(tableRow(resolved, entry.object, view.include, nowMs));
    else if (view.type === 'partial') yield encodeJson(partialObject(entry.object));
    else yield* plainPieces(resolved, entry);
  }
  yield Buffer.from(']}\n');
}

const commaBytes = Buffer.from(',');

function plainPieces(resolved: ResolvedKind, entry: Entry): Buffer[] {
  return isStorageVersion(resolved) ? entry.json : [encodeJson(fromStorage(resolved, entry.object))];
}

function encodeJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

export function encode(value: unknown, form: Pick<Form, 'encoding' | 'pretty'>): Buffer {
  if (form.encoding === 'yaml') return Buffer.from(stringifyYaml(value, { aliasDuplicateObjects: false }));
  return Buffer.from(`${form.pretty ? JSON.stringify(value, undefined, 2) : JSON.stringify(value)}\n`);
}

export async function sendJson(
  exchange: Exchange,
  code: number,
  value: unknown,
  contentType = 'application/json',
): Promise<void> {
  await exchange.send(code, contentType, encode(value, { encoding: 'json', pretty: false }));
}

export async function sendStatus(exchange: Exchange, { status }: StatusError): Promise<void> {
  const retryAfter = status.details?.retryAfterSeconds;
  if (retryAfter !== undefined) exchange.setHeader('retry-after', String(retryAfter));
  await sendJson(exchange, status.code, status);
}
