/** Encryption at rest on one machine: the store that the API uses, which keys there are, and the leader's part in a rotation. */
import { signingKeysKey } from '../api/tokens/signing-keys.ts';
import type { Logger } from '../lib/logger.ts';
import { decodeKeys, KeyRing, keepRewriting, rotateSealingKey, SealedStore, sealingKeysKey } from '../store/index.ts';
import type { ClusterStore } from '../store/types.ts';
import { authorityKey, tokenPrefix } from './cluster-records.ts';

export interface SealingOptions {
  store: ClusterStore;
  clusterKey: Buffer;
  /** As kubectl names them: `secrets`, `widgets.example.com`. */
  resources: readonly string[];
  logger: Logger;
}

export class Sealing {
  /** Shows everything in the clear. */
  readonly store: SealedStore;
  readonly #options: SealingOptions;
  readonly #ring: KeyRing;

  /** Throws StoreError 'SealBroken' for another cluster key than that of the records. */
  constructor(options: SealingOptions) {
    const { store, clusterKey, resources } = options;
    this.#options = options;
    this.#ring = new KeyRing(clusterKey, store.local);
    // Whoever has one of those can be anybody, or become a machine: they are sealed whatever is configured.
    const always = [signingKeysKey, authorityKey, tokenPrefix];
    this.store = new SealedStore(store, this.#ring, [...always, ...resources.map(prefixOfResource)]);
  }

  /** The key that seals, and how many older ones are still in use: 0 when a rotation is complete. */
  keys(): { newest: string | undefined; older: number } {
    const record = this.#options.store.local.get(sealingKeysKey);
    const keys = record ? decodeKeys(record.value).keys : [];
    return { newest: keys[0]?.id, older: Math.max(0, keys.length - 1) };
  }

  /** Gives the name of the new key. The leader rewrites what the older ones have sealed. Throws StoreError 'TooManyKeys', or 503. */
  rotate(signal: AbortSignal): Promise<string> {
    return rotateSealingKey(this.#options.store, this.#options.clusterKey, signal);
  }

  /** Run by the leader; ends by the signal. */
  keepRewriting(signal: AbortSignal): Promise<void> {
    const { store: cluster, logger } = this.#options;
    const onPass = ({ rewritten, forgotten }: { rewritten: number; forgotten: number }) => {
      if (rewritten + forgotten > 0) logger.info({ rewritten, forgotten }, 'secrets are encrypted with the newest key');
    };
    return keepRewriting({ cluster, sealed: this.store, onPass }, signal);
  }

  close(): void {
    this.#ring.close();
  }
}

/** `/registry/GROUP/RESOURCE/`, as src/api/stored-objects.ts makes it. */
function prefixOfResource(name: string): string {
  const [resource = '', ...group] = name.split('.');
  return `/registry/${group.join('.') || 'core'}/${resource}/`;
}
