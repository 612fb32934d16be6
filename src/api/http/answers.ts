/** Objects, lists and errors as bytes of the form the client asked for. Stored JSON is copied, not encoded again. */
import { stringify as stringifyYaml } from 'yaml';
import type { Status, StatusError } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';
import { apiVersionOf, isStorageVersion, type ResolvedKind } from '../kind-table.ts';
import type { Entry, ListAnswer } from '../read.ts';
import { asBuffer, fromStorage, metadataEnd, metadataStart, revisionMember, spliceRevision } from '../stored-objects.ts';
import { columnDefinitions, type IncludeObject, partialObject, rowCells, table, tableRow } from '../table.ts';
import { ByteBuilder } from './byte-builder.ts';
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
  const chunks = listChunks(options);
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
  return exchange.send(200, form.contentType, first.length === 1 ? (first[0] as Buffer) : Buffer.concat(first, length));
}

/** What is there, then the rest, giving way to other work after each chunk. */
async function* politely(first: Buffer[], rest: Iterator<Buffer>): AsyncGenerator<Buffer> {
  yield* first;
  for (let next = rest.next(); !next.done; next = rest.next()) {
    yield next.value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A list in chunks of `chunkBytes` or somewhat more; a short one is a single chunk. */
function* listChunks(options: {
  form: Form;
  resolved: ResolvedKind;
  answer: ListAnswer;
  nowMs: number;
}): Generator<Buffer, undefined> {
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
  const stored = isStorageVersion(resolved);
  const bytes = new ByteBuilder();
  bytes.text(`${JSON.stringify(head).slice(0, -1)},"${tables ? 'rows' : 'items'}":[`);
  let comma = false;
  for (const entry of answer.entries) {
    if (comma) bytes.ascii(',');
    comma = true;
    if (view.type === 'table') addRow(bytes, resolved, entry, { include: view.include, nowMs });
    else if (view.type === 'partial') addPartial(bytes, entry);
    else if (stored) addStored(bytes, entry);
    else bytes.text(JSON.stringify(fromStorage(resolved, entry.object)));
    if (bytes.length >= chunkBytes) yield bytes.take();
  }
  bytes.text(']}\n');
  yield bytes.take();
}

interface RowOptions {
  include: IncludeObject;
  nowMs: number;
}

function addRow(bytes: ByteBuilder, resolved: ResolvedKind, entry: Entry, { include, nowMs }: RowOptions): void {
  bytes.text(`{"cells":${JSON.stringify(rowCells(resolved, entry.object, nowMs))}`);
  if (include !== 'None') bytes.ascii(',"object":');
  if (include === 'Metadata') addPartial(bytes, entry);
  else if (include === 'Object') {
    if (isStorageVersion(resolved)) addStored(bytes, entry);
    else bytes.text(JSON.stringify(fromStorage(resolved, entry.object)));
  }
  bytes.ascii('}');
}

/** The object itself, its stored bytes copied. */
function addStored(bytes: ByteBuilder, { record, made }: Entry): void {
  if (!record) {
    bytes.text(JSON.stringify(made));
    return;
  }
  const value = asBuffer(record.value);
  const cut = metadataStart(value);
  bytes.copy(value, 0, cut);
  bytes.ascii(revisionMember(record.modRevision));
  bytes.copy(value, cut, value.length);
}

/** Its metadata alone. They are cut out of the stored bytes: encoding them again was half the time of a Table. */
function addPartial(bytes: ByteBuilder, entry: Entry): void {
  const { record } = entry;
  if (!record) {
    bytes.text(JSON.stringify(partialObject(entry.object)));
    return;
  }
  const value = asBuffer(record.value);
  bytes.text(`{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{${revisionMember(record.modRevision)}`);
  bytes.copy(value, metadataStart(value), metadataEnd(value) + 1);
  bytes.ascii('}');
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
