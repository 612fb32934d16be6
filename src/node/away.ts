/**
 * A daemon that is stopped cleanly says so before it goes: its containers run on, and for a while nobody takes its silence for
 * death. That is what lets a daemon be restarted or upgraded without its pods being replaced elsewhere.
 */
import type { Clock } from '../lib/clock.ts';
import type { ClusterStore, StoreReader } from '../store/types.ts';

/** Longer than a restart takes; after it the machine counts as dead like any other that is silent. */
export const awayMs = 30_000;

const awayKey = (nodeName: string) => `/kontiki/away/${nodeName}`;

/** Wall time until which this machine's silence is expected; undefined when it is not. */
export function awayUntilMs(store: StoreReader, nodeName: string): number | undefined {
  const record = store.get(awayKey(nodeName));
  return record ? (JSON.parse(Buffer.from(record.value).toString()) as { untilMs: number }).untilMs : undefined;
}

export async function announceAway(store: ClusterStore, nodeName: string, clock: Clock, signal: AbortSignal): Promise<void> {
  const value = Buffer.from(JSON.stringify({ untilMs: clock.wallMs() + awayMs }));
  await store.write({ conditions: [], operations: [{ type: 'put', key: awayKey(nodeName), value }] }, signal);
}

/** Back again: from now on silence means what it means for others. */
export async function announceBack(store: ClusterStore, nodeName: string, signal: AbortSignal): Promise<void> {
  if (!store.get(awayKey(nodeName))) return;
  await store.write({ conditions: [], operations: [{ type: 'delete', key: awayKey(nodeName) }] }, signal);
}
