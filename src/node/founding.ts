/** The first writes of a cluster, and what every start must see before it may serve. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import { delay } from '../lib/clock.ts';
import type { ClusterStore } from '../store/types.ts';
import {
  authorityKey,
  decodeRecord,
  encodeRecord,
  type MemberRecord,
  memberKey,
  nodeNameKey,
  type SettingsRecord,
  settingsKey,
} from './cluster-records.ts';
import type { NodeConfig } from './config.ts';
import { putOwnFacts } from './member-record.ts';
import { createAuthority } from './pki.ts';

const retryMs = 100;

/**
 * Makes CA and settings unless they are there. Only the founder calls it. One transaction: all or nothing. `sealed` gives the store that
 * seals, for which it makes the cluster key first: the authority's private key is never in the log in the clear.
 */
export async function foundCluster(
  store: ClusterStore,
  sealed: () => Promise<ClusterStore>,
  config: NodeConfig,
  self: MemberRecord,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  await barrierUntilReady(store, clock, signal);
  if (store.get(settingsKey)) return;
  const authority = await createAuthority(clock, 'kontiki-ca');
  const settings: SettingsRecord = { clusterId: randomUUID(), ...config.cluster };
  const keys = [settingsKey, authorityKey, memberKey(self.id), nodeNameKey(self.nodeName)];
  const values = [encodeRecord(settings), encodeRecord(authority), encodeRecord(self), Buffer.from(JSON.stringify(self.id))];
  const sealing = await sealed();
  await sealing.write(
    {
      conditions: keys.map((key) => ({ key, modRevision: 0 })),
      operations: keys.map((key, position) => ({ type: 'put', key, value: values[position] as Uint8Array })),
    },
    signal,
  );
}

/** Waits until this peer's store shows that it belongs to a founded cluster. The authority may be sealed. */
export async function awaitFoundation(store: ClusterStore, clock: Clock, signal: AbortSignal): Promise<SettingsRecord> {
  for (;;) {
    const [settings, authority] = [store.get(settingsKey), store.get(authorityKey)];
    if (settings && authority) return decodeRecord<SettingsRecord>(settings.value);
    await store.waitForRevision(store.revision + 1, signal);
    signal.throwIfAborted();
    await delay(clock, 0, signal);
  }
}

/** Brings this peer's record up to date: addresses are data and may change over a restart. Tries until it is done. */
export async function refreshMember(store: ClusterStore, self: MemberRecord, clock: Clock, signal: AbortSignal): Promise<void> {
  for (;;) {
    await barrierUntilReady(store, clock, signal);
    try {
      await putOwnFacts(store, self, signal);
      return;
    } catch (error) {
      if (signal.aborted) throw error;
      await delay(clock, retryMs, signal);
    }
  }
}

/** A barrier that outlasts the time in which no leader is known. */
async function barrierUntilReady(store: ClusterStore, clock: Clock, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      return await store.barrier(signal);
    } catch (error) {
      if (signal.aborted) throw error;
      await delay(clock, retryMs, signal);
    }
  }
}
