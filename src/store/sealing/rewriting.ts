/**
 * Brings all records to the newest key, and then forgets the older ones. Also the way by which values that were stored in the
 * clear are sealed, and by which those of a kind that is no longer sealed are opened for good, at the next change of keys.
 */
import { deferred } from '../../lib/deferred.ts';
import { StoreError } from '../errors.ts';
import type { ClusterStore, StoreRecord } from '../types.ts';
import { sealedBy } from './envelope.ts';
import { decodeKeys, encodeKeys, sealingKeysKey, withNewKey } from './key-record.ts';
import type { SealedStore } from './sealed-store.ts';

const roots = ['/registry/', '/kontiki/'];
const pageRecords = 500;
const attemptsMax = 8;

/** A new key seals from now on. Throws StoreError 'TooManyKeys', 'NoSealingKey', 'KeysUnsettled', and what the store throws. */
export async function rotateSealingKey(cluster: ClusterStore, clusterSecret: Buffer, signal: AbortSignal): Promise<string> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    await cluster.barrier(signal);
    const record = cluster.get(sealingKeysKey);
    if (!record) throw new StoreError('NoSealingKey', 'there is no key to seal values with');
    const keys = withNewKey(clusterSecret, decodeKeys(record.value));
    const result = await cluster.write(
      {
        conditions: [{ key: sealingKeysKey, modRevision: record.modRevision }],
        operations: [{ type: 'put', key: sealingKeysKey, value: encodeKeys(keys) }],
      },
      signal,
    );
    if (result.ok) return keys.keys[0]?.id ?? '';
  }
  throw new StoreError('KeysUnsettled', 'the keys of sealed values keep changing: try again later');
}

export interface RewritingOptions {
  /** As it is below the sealing. */
  cluster: ClusterStore;
  sealed: SealedStore;
  /** After each pass: how many records were rewritten, how many older keys forgotten. */
  onPass?: (pass: { rewritten: number; forgotten: number }) => void;
}

/** One pass, then one after each change of the keys. Run by the leader; ends by the signal, or with what the store throws. */
export async function keepRewriting(options: RewritingOptions, signal: AbortSignal): Promise<void> {
  const { cluster } = options;
  for (;;) {
    signal.throwIfAborted();
    const from = cluster.get(sealingKeysKey)?.modRevision;
    options.onPass?.(await rewriteOnce(options, signal));
    await changed(cluster, from, signal);
  }
}

/** Gives what was done. A record that others change meanwhile is sealed by their write. */
export async function rewriteOnce(
  { cluster, sealed }: RewritingOptions,
  signal: AbortSignal,
): Promise<{ rewritten: number; forgotten: number }> {
  let rewritten = 0;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    await cluster.barrier(signal);
    const record = cluster.get(sealingKeysKey);
    if (!record) throw new StoreError('NoSealingKey', 'there is no key to seal values with');
    const { clusterKey, keys } = decodeKeys(record.value);
    const newest = keys[0]?.id;
    let found = 0;
    for (const stale of staleRecords(cluster, sealed, newest)) {
      found++;
      const open = sealed.get(stale.key);
      if (open?.modRevision !== stale.modRevision) continue;
      const result = await sealed.write(
        {
          conditions: [{ key: stale.key, modRevision: stale.modRevision }],
          operations: [{ type: 'put', key: stale.key, value: open.value }],
        },
        signal,
      );
      if (result.ok) rewritten++;
    }
    // Only a pass that found nothing, after a barrier, shows that nothing of the older keys is left.
    if (found > 0) continue;
    if (keys.length < 2) return { rewritten, forgotten: 0 };
    const result = await cluster.write(
      {
        conditions: [{ key: sealingKeysKey, modRevision: record.modRevision }],
        operations: [{ type: 'put', key: sealingKeysKey, value: encodeKeys({ clusterKey, keys: keys.slice(0, 1) }) }],
      },
      signal,
    );
    if (result.ok) return { rewritten, forgotten: keys.length - 1 };
  }
  throw new StoreError('KeysUnsettled', 'records of older keys keep appearing: the next pass goes on');
}

/** Those of another key than the newest, and those in the clear that should not be. In pages: what changes meanwhile is seen late. */
function* staleRecords(cluster: ClusterStore, sealed: SealedStore, newest: string | undefined): Generator<StoreRecord> {
  for (const root of roots) {
    let startAfter: string | undefined;
    for (;;) {
      const { records, remaining } = cluster.list(root, { limit: pageRecords, ...(startAfter !== undefined && { startAfter }) });
      for (const record of records) {
        const id = sealedBy(record.value);
        if (id === undefined ? sealed.seals(record.key) : id !== newest) yield record;
      }
      startAfter = records.at(-1)?.key;
      if (remaining === 0 || startAfter === undefined) break;
    }
  }
}

/** Resolves when the record of keys is another than that of revision `from`. */
async function changed(cluster: ClusterStore, from: number | undefined, signal: AbortSignal): Promise<void> {
  const settled = deferred<void>();
  const onAbort = () => settled.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const watch = cluster.local.watch(sealingKeysKey, cluster.local.revision, {
    onEvents: () => settled.resolve(),
    onEnd: () => settled.resolve(),
  });
  try {
    const now = cluster.local.get(sealingKeysKey);
    if (signal.aborted) onAbort();
    // The end of a pass changes the record itself: that is no reason for another one.
    else if (now && now.modRevision !== from && decodeKeys(now.value).keys.length > 1) settled.resolve();
    await settled.promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    watch.cancel();
  }
}
