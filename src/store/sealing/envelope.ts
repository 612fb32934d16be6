/**
 * A sealed value: AES-256-GCM, with a name of the key, so that a value tells which key opens it. The record's key is bound in: a
 * ciphertext that was moved to another record does not open. Bytes: `kontiki:sealed:1:` (17), key id (16, hex), nonce (12),
 * tag (16), ciphertext (as long as the value). JSON never begins like that. Source of the mode: NIST SP 800-38D.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { StoreError } from '../errors.ts';

const magic = Buffer.from('kontiki:sealed:1:');
const idBytes = 16;
const nonceBytes = 12;
const tagBytes = 16;
const headBytes = magic.length + idBytes + nonceBytes + tagBytes;
const algorithm = 'aes-256-gcm';

/** A key of 256 bits and its name, 16 hexadecimal digits. */
export interface SealingKey {
  id: string;
  secret: Buffer;
}

export function newSealingKey(): SealingKey {
  return { id: randomBytes(idBytes / 2).toString('hex'), secret: randomBytes(32) };
}

/** A key whose name follows from itself, so that two that hold it agree on its name, and the name tells nothing of it. */
export function namedBySecret(secret: Buffer): SealingKey {
  return { id: Buffer.from(hkdfSync('sha256', secret, '', 'kontiki key name', idBytes / 2)).toString('hex'), secret };
}

/** With a nonce of its own: sealing the same value twice gives different bytes. */
export function seal({ id, secret }: SealingKey, recordKey: string, value: Uint8Array): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, secret, nonce);
  cipher.setAAD(boundTo(id, recordKey));
  const content = Buffer.concat([cipher.update(value), cipher.final()]);
  return Buffer.concat([magic, Buffer.from(id, 'latin1'), nonce, cipher.getAuthTag(), content]);
}

/** Which key sealed it. Undefined for a value that is not sealed. */
export function sealedBy(value: Uint8Array): string | undefined {
  if (value.length < headBytes || value[0] !== magic[0]) return undefined;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (!bytes.subarray(0, magic.length).equals(magic)) return undefined;
  return bytes.toString('latin1', magic.length, magic.length + idBytes);
}

/** Throws StoreError 'SealBroken' for another key's value, another record's, or one that was changed. */
export function unseal({ id, secret }: SealingKey, recordKey: string, value: Uint8Array): Buffer {
  if (sealedBy(value) !== id) throw broken(recordKey);
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const nonceAt = magic.length + idBytes;
  const decipher = createDecipheriv(algorithm, secret, bytes.subarray(nonceAt, nonceAt + nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(boundTo(id, recordKey));
  decipher.setAuthTag(bytes.subarray(nonceAt + nonceBytes, headBytes));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(headBytes)), decipher.final()]);
  } catch (error) {
    throw broken(recordKey, error);
  }
}

const boundTo = (id: string, recordKey: string) => Buffer.from(`${magic}${id}\0${recordKey}`);

const broken = (key: string, cause?: unknown) =>
  new StoreError('SealBroken', `the sealed value of ${key} does not open: it was changed, or moved there`, { key }, cause);
