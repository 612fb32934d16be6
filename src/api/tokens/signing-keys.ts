/**
 * The keys that sign service account tokens. They lie in the replicated store beside the cluster's certificate authority,
 * out of reach of the API; every peer signs with the newest and accepts all that are kept.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { serviceUnavailable } from '../../machinery/status.ts';
import type { ClusterStore, StoreRecord } from '../../store/types.ts';

export const signingKeysKey = '/kontiki/service-account-keys';
/** Tokens signed by older keys are no longer accepted. */
const keysMax = 4;
const attemptsMax = 8;

interface KeyRecord {
  id: string;
  /** PEM, PKCS #8. */
  privateKey: string;
}

interface Ring {
  record: StoreRecord;
  keys: { id: string; privateKey: KeyObject; publicKey: KeyObject }[];
}

export class SigningKeys {
  readonly #store: ClusterStore;
  #ring: Ring | undefined;

  constructor(store: ClusterStore) {
    this.#store = store;
  }

  /** StatusError 503 before the first leader has made one. */
  get newest(): { id: string; privateKey: KeyObject } {
    const [key] = this.#keys();
    if (!key) throw serviceUnavailable('the keys of service account tokens are not there yet');
    return key;
  }

  publicKey(id: string): KeyObject | undefined {
    return this.#keys().find((key) => key.id === id)?.publicKey;
  }

  /** JSON Web Key Set (RFC 7517), newest first. */
  keySet(): { keys: object[] } {
    const keys = this.#keys().map(({ id, publicKey }) => {
      const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
      return { use: 'sig', kty, kid: id, crv, alg: 'ES256', x, y };
    });
    return { keys };
  }

  /** Makes the first key unless there is one. */
  async ensure(signal: AbortSignal): Promise<void> {
    if (!this.#store.get(signingKeysKey)) await this.#add(signal, { onlyFirst: true });
  }

  /** Signs with a new key from now on. */
  rotate(signal: AbortSignal): Promise<void> {
    return this.#add(signal, { onlyFirst: false });
  }

  async #add(signal: AbortSignal, { onlyFirst }: { onlyFirst: boolean }): Promise<void> {
    const fresh = newKey();
    for (let count = 0; count < attemptsMax; count++) {
      const record = this.#store.get(signingKeysKey);
      if (record && onlyFirst) return;
      const keys = [fresh, ...(record ? decode(record) : [])].slice(0, keysMax);
      const value = Buffer.from(JSON.stringify({ keys }));
      const result = await this.#store.write(
        {
          conditions: [{ key: signingKeysKey, modRevision: record?.modRevision ?? 0 }],
          operations: [{ type: 'put', key: signingKeysKey, value }],
        },
        signal,
      );
      if (result.ok) return;
    }
    throw serviceUnavailable('others keep changing the keys of service account tokens');
  }

  #keys(): Ring['keys'] {
    const record = this.#store.get(signingKeysKey);
    if (!record) return [];
    if (this.#ring?.record !== record) {
      const keys = decode(record).map(({ id, privateKey: pem }) => {
        const privateKey = createPrivateKey(pem);
        return { id, privateKey, publicKey: createPublicKey(privateKey) };
      });
      this.#ring = { record, keys };
    }
    return this.#ring.keys;
  }
}

function decode({ value }: StoreRecord): KeyRecord[] {
  return (JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8')) as { keys: KeyRecord[] })
    .keys;
}

function newKey(): KeyRecord {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const id = createHash('sha256').update(der).digest('base64url');
  return { id, privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
}
