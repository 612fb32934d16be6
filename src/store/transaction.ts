/**
 * The bytes of a transaction as they stand in the log: a version byte, then a msgpack array. What is decoded was written
 * by some peer and is checked strictly, so that every peer judges the same bytes alike.
 */
import { Packr, Unpackr } from 'msgpackr';
import { StoreError } from './errors.ts';
import type { Condition, Operation, Transaction } from './types.ts';

/** Bounds of one transaction. Part of the format: all peers of a cluster must agree on them. */
export const transactionBytesMax = 4 * 1024 * 1024;
export const operationsMax = 256;
export const keyLengthMax = 2048;
export const requestIdLengthMax = 128;

const formatVersion = 1;
const packer = new Packr({ useRecords: false });
const unpacker = new Unpackr({ useRecords: false, int64AsType: 'number' });

function invalid(reason: string): StoreError {
  return new StoreError('InvalidTransaction', `invalid transaction: ${reason}`, { reason });
}

function checkKey(key: unknown): asserts key is string {
  if (typeof key !== 'string' || key.length === 0 || key.length > keyLengthMax || !key.isWellFormed()) {
    throw invalid(`a key must be well-formed text of 1 to ${keyLengthMax} characters`);
  }
}

/** So few are compared with each other, without a set: nearly all writes. */
const fewKeys = 8;

function checkUnique(items: readonly { key: string }[], what: string): void {
  if (items.length > fewKeys) {
    if (new Set(items.map(({ key }) => key)).size !== items.length) throw invalid(`${what} name a key twice`);
    return;
  }
  for (let one = 1; one < items.length; one++) {
    for (let other = 0; other < one; other++) {
      if (items[one]!.key === items[other]!.key) throw invalid(`${what} name a key twice`);
    }
  }
}

function check(transaction: Transaction): Transaction {
  const { requestId, conditions, operations } = transaction;
  if (typeof requestId !== 'string' || requestId.length === 0 || requestId.length > requestIdLengthMax) {
    throw invalid(`the request id must have 1 to ${requestIdLengthMax} characters`);
  }
  if (!requestId.isWellFormed()) throw invalid('the request id is not well-formed text');
  if (operations.length > operationsMax) throw invalid(`more than ${operationsMax} operations`);
  if (conditions.length > operationsMax) throw invalid(`more than ${operationsMax} conditions`);
  for (const { key, modRevision } of conditions) {
    checkKey(key);
    if (!Number.isSafeInteger(modRevision) || modRevision < 0) throw invalid(`the revision of ${key} is not a whole number`);
  }
  for (const operation of operations) {
    checkKey(operation.key);
    if (operation.type === 'put' && !(operation.value instanceof Uint8Array)) {
      throw invalid(`the value of ${operation.key} is not bytes`);
    }
  }
  checkUnique(conditions, 'the conditions');
  checkUnique(operations, 'the operations');
  return transaction;
}

/** Throws StoreError 'InvalidTransaction' or 'TransactionTooLarge'. */
export function encodeTransaction(transaction: Transaction): Buffer {
  check(transaction);
  const packed = packer.pack([
    transaction.requestId,
    transaction.conditions.map(({ key, modRevision }) => [key, modRevision]),
    transaction.operations.map((operation) =>
      operation.type === 'put' ? [operation.key, asBuffer(operation.value)] : [operation.key],
    ),
  ]);
  if (packed.length + 1 > transactionBytesMax) {
    throw new StoreError('TransactionTooLarge', `a transaction of ${packed.length + 1} bytes exceeds ${transactionBytesMax}`, {
      bytes: packed.length + 1,
      bytesMax: transactionBytesMax,
    });
  }
  const encoded = Buffer.allocUnsafe(packed.length + 1);
  encoded[0] = formatVersion;
  packed.copy(encoded, 1);
  return encoded;
}

/** Values are views into `data`: copy what is kept. Throws StoreError 'InvalidTransaction'. */
export function decodeTransaction(data: Uint8Array): Transaction {
  if (data.length > transactionBytesMax) throw invalid('too many bytes');
  if (data[0] !== formatVersion) throw invalid(`unknown format version ${data[0]}`);
  let parts: unknown;
  try {
    parts = unpacker.unpack(data.subarray(1));
  } catch (error) {
    throw new StoreError('InvalidTransaction', 'invalid transaction: not msgpack', { reason: 'not msgpack' }, error);
  }
  if (!Array.isArray(parts) || parts.length !== 3) throw invalid('not an array of three parts');
  const [requestId, conditions, operations] = parts as unknown[];
  if (!Array.isArray(conditions) || !Array.isArray(operations)) throw invalid('conditions and operations must be arrays');
  return check({
    requestId: requestId as string,
    conditions: conditions.map((item: unknown): Condition => {
      if (!Array.isArray(item) || item.length !== 2) throw invalid('a condition has two parts');
      return { key: item[0] as string, modRevision: item[1] as number };
    }),
    operations: operations.map((item: unknown): Operation => {
      if (!Array.isArray(item) || (item.length !== 1 && item.length !== 2)) throw invalid('an operation has one or two parts');
      if (item.length === 1) return { type: 'delete', key: item[0] as string };
      return { type: 'put', key: item[0] as string, value: item[1] as Uint8Array };
    }),
  });
}

function asBuffer(value: Uint8Array): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
