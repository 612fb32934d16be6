/**
 * The record that holds the keys of sealed values, newest first, each wrapped by the cluster key: a key that every machine keeps in
 * a file of its own and that is never in the log. Pure but for the randomness of new keys.
 */
import { StoreError } from '../errors.ts';
import { namedBySecret, newSealingKey, type SealingKey, seal, unseal } from './envelope.ts';

export const sealingKeysKey = '/kontiki/sealing-keys';
/** More would mean that rotations are asked for faster than values are rewritten. */
export const sealingKeysMax = 8;

export interface SealingKeysRecord {
  /** The name of the cluster key that wraps them. */
  clusterKey: string;
  keys: { id: string /** Base64. */; wrapped: string }[];
}

export const decodeKeys = (value: Uint8Array) =>
  JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8')) as SealingKeysRecord;
export const encodeKeys = (record: SealingKeysRecord): Buffer => Buffer.from(JSON.stringify(record));

/** A record with a first key. */
export function firstKeys(clusterSecret: Buffer): SealingKeysRecord {
  return withNewKey(clusterSecret, { clusterKey: namedBySecret(clusterSecret).id, keys: [] });
}

/** A new key before the others. Throws StoreError 'TooManyKeys'. */
export function withNewKey(clusterSecret: Buffer, { clusterKey, keys }: SealingKeysRecord): SealingKeysRecord {
  if (keys.length >= sealingKeysMax) {
    const message = `there are ${sealingKeysMax} keys already: wait until the values of the older ones are rewritten`;
    throw new StoreError('TooManyKeys', message, { keys: keys.length });
  }
  const { id, secret } = newSealingKey();
  const wrapped = seal(namedBySecret(clusterSecret), wrapName(id), secret).toString('base64');
  return { clusterKey, keys: [{ id, wrapped }, ...keys] };
}

/** Throws StoreError 'SealBroken' when the cluster key is another one. */
export function unwrapKeys(clusterSecret: Buffer, { keys }: SealingKeysRecord): SealingKey[] {
  const clusterKey = namedBySecret(clusterSecret);
  return keys.map(({ id, wrapped }) => ({ id, secret: unseal(clusterKey, wrapName(id), Buffer.from(wrapped, 'base64')) }));
}

const wrapName = (id: string) => `${sealingKeysKey}/${id}`;
