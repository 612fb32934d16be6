/** Changes of one machine's record that keep what others have written into it. */
import type { ClusterStore } from '../store/types.ts';
import { decodeRecord, encodeRecord, type LogPlace, type MemberRecord, memberKey } from './cluster-records.ts';

/** From one of the places in `from` to `to`. False: the record says something else, or there is none. */
export async function setLogPlace(
  store: ClusterStore,
  id: string,
  from: readonly LogPlace[],
  to: LogPlace,
  signal?: AbortSignal,
): Promise<boolean> {
  const key = memberKey(id);
  for (;;) {
    const found = store.get(key);
    const record = found && decodeRecord<MemberRecord>(found.value);
    if (!record?.log || !from.includes(record.log)) return false;
    const value = encodeRecord({ ...record, log: to });
    const conditions = [{ key, modRevision: found?.modRevision ?? 0 }];
    if ((await store.write({ conditions, operations: [{ type: 'put', key, value }] }, signal)).ok) return true;
  }
}

/**
 * What a machine says of itself: addresses are data and may change over a restart. False: it has no record, so it was removed and
 * must not bring itself back. The store must be up to date.
 */
export async function putOwnFacts(store: ClusterStore, self: MemberRecord, signal?: AbortSignal): Promise<boolean> {
  const key = memberKey(self.id);
  for (;;) {
    const found = store.get(key);
    if (!found) return false;
    const { wanted, log } = decodeRecord<MemberRecord>(found.value);
    // A machine of an earlier version that now knows what it can be told.
    const value = encodeRecord({ ...self, ...(wanted ? { wanted } : {}), log: log ?? 'held' });
    if (Buffer.compare(found.value, value) === 0) return true;
    const conditions = [{ key, modRevision: found.modRevision }];
    if ((await store.write({ conditions, operations: [{ type: 'put', key, value }] }, signal)).ok) return true;
  }
}
