/**
 * JSON patch (RFC 6902) on JSON pointers (RFC 6901). Our own because the bounds and the errors are part of the API: undecodable
 * is 400, not applicable is 422, and neither many operations nor copies of copies may exhaust the server (413).
 */
import { isDeepStrictEqual } from 'node:util';
import { checkDepth } from './depth.ts';
import { badRequest, failure } from './status.ts';

const operationsMax = 10_000;
/** Sum of the JSON text of all copied values, as large as a request body may be. */
const copiedBytesMax = 3 * 1024 * 1024;

type Container = Record<string, unknown> | unknown[];

interface Operation {
  op: 'add' | 'remove' | 'replace' | 'move' | 'copy' | 'test';
  path: string;
  from?: string;
  value?: unknown;
}

const names = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

function decode(operations: unknown): Operation[] {
  if (!Array.isArray(operations)) throw badRequest('a JSON patch is a list of operations');
  if (operations.length > operationsMax) {
    const message = `The allowed maximum operations in a JSON patch is ${operationsMax}, got ${operations.length}`;
    throw failure(413, 'RequestEntityTooLarge', message);
  }
  return operations.map((operation: unknown, index) => {
    const at = `operation ${index} of the JSON patch`;
    if (typeof operation !== 'object' || operation === null) throw badRequest(`${at} is not an object`);
    const { op, path, from } = operation as Partial<Operation>;
    if (typeof op !== 'string' || !names.has(op)) throw badRequest(`${at} has an unknown op: ${JSON.stringify(op ?? null)}`);
    if (typeof path !== 'string') throw badRequest(`${at} (${op}) has no path`);
    if ((op === 'move' || op === 'copy') && typeof from !== 'string') throw badRequest(`${at} (${op}) has no from`);
    if ((op === 'add' || op === 'replace') && !('value' in operation)) throw badRequest(`${at} (${op}) has no value`);
    return operation as Operation;
  });
}

/** Thrown inside, made a Status with the operation's number outside. */
class NotApplicable extends Error {}

function segments(pointer: string): string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw new NotApplicable(`path ${JSON.stringify(pointer)} does not start with a slash`);
  return pointer
    .slice(1)
    .split('/')
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function index(list: unknown[], segment: string, last: number): number {
  const at = /^(0|[1-9]\d{0,9})$/.test(segment) ? Number(segment) : -1;
  if (at < 0 || at > last) throw new NotApplicable(`index ${JSON.stringify(segment)} is not in a list of ${list.length}`);
  return at;
}

const missing = (pointer: string) => new NotApplicable(`path ${JSON.stringify(pointer)} does not exist`);

function child(of: unknown, segment: string, pointer: string): unknown {
  if (Array.isArray(of)) return of[index(of, segment, of.length - 1)];
  if (typeof of !== 'object' || of === null || !Object.hasOwn(of, segment)) throw missing(pointer);
  return (of as Record<string, unknown>)[segment];
}

class Document {
  root: unknown;
  #copiedBytes = 0;

  constructor(root: unknown) {
    this.root = root;
  }

  get(pointer: string): unknown {
    return segments(pointer).reduce((value, segment) => child(value, segment, pointer), this.root);
  }

  /** The container that holds what `pointer` names, and the last segment. Undefined for the whole document. */
  #parent(pointer: string): { parent: Container; segment: string } | undefined {
    const path = segments(pointer);
    const segment = path.pop();
    if (segment === undefined) return undefined;
    const parent = path.reduce((value, part) => child(value, part, pointer), this.root);
    if (typeof parent !== 'object' || parent === null) throw missing(pointer);
    return { parent: parent as Container, segment };
  }

  add(pointer: string, value: unknown): void {
    const place = this.#parent(pointer);
    if (!place) this.root = value;
    else if (Array.isArray(place.parent)) {
      const { parent, segment } = place;
      parent.splice(segment === '-' ? parent.length : index(parent, segment, parent.length), 0, value);
    } else define(place.parent, place.segment, value);
  }

  remove(pointer: string): unknown {
    const value = this.get(pointer);
    const place = this.#parent(pointer);
    if (!place) throw new NotApplicable('the whole object cannot be removed');
    if (Array.isArray(place.parent)) place.parent.splice(Number(place.segment), 1);
    else delete place.parent[place.segment];
    return value;
  }

  replace(pointer: string, value: unknown): void {
    this.get(pointer);
    const place = this.#parent(pointer);
    if (!place) this.root = value;
    else if (Array.isArray(place.parent)) place.parent[Number(place.segment)] = value;
    else define(place.parent, place.segment, value);
  }

  copy(from: string, pointer: string): void {
    const value = this.get(from);
    checkDepth(value);
    this.#copiedBytes += (JSON.stringify(value) ?? '').length;
    if (this.#copiedBytes > copiedBytesMax) {
      throw failure(413, 'RequestEntityTooLarge', `the copy operations of the JSON patch exceed ${copiedBytesMax} bytes`);
    }
    this.add(pointer, structuredClone(value));
  }

  test(pointer: string, value: unknown): void {
    if (!isDeepStrictEqual(this.get(pointer), value)) {
      throw new NotApplicable(`the value at ${JSON.stringify(pointer)} is not the expected one`);
    }
  }
}

/** Sets an own property even when it is called `__proto__`. */
function define(holder: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true });
}

function apply(document: Document, { op, path, from = '', value }: Operation): void {
  switch (op) {
    case 'add':
      document.add(path, structuredClone(value));
      break;
    case 'remove':
      document.remove(path);
      break;
    case 'replace':
      document.replace(path, structuredClone(value));
      break;
    case 'copy':
      document.copy(from, path);
      break;
    case 'move':
      if (path.startsWith(`${from}/`)) throw new NotApplicable(`${JSON.stringify(from)} cannot move into itself`);
      if (path === from) document.get(from);
      else document.add(path, document.remove(from));
      break;
    case 'test':
      document.test(path, value);
  }
}

/** The sentence is the reference implementation's, which tells nothing more: what does not apply is in the cause. */
function refused(why: string) {
  const causes = [{ message: `the JSON patch does not apply: ${why}` }];
  return failure(422, 'Invalid', 'the server rejected our request due to an error in our request', { causes });
}

/** The patched copy. Throws StatusError 400 (undecodable, nested too deeply), 413 (too much), 422 (does not apply). */
export function applyJsonPatch(object: object, operations: unknown): object {
  const decoded = decode(operations);
  checkDepth(operations);
  const document = new Document(structuredClone(object));
  for (const [number, operation] of decoded.entries()) {
    try {
      apply(document, operation);
    } catch (error) {
      if (!(error instanceof NotApplicable)) throw error;
      throw refused(`operation ${number} (${operation.op} ${operation.path}): ${error.message}`);
    }
  }
  const { root } = document;
  if (typeof root !== 'object' || root === null || Array.isArray(root)) {
    throw refused('the result is not an object');
  }
  checkDepth(root);
  return root;
}
