/** The member's side of a replacement: one transaction gives a machine's name and place to its new identity. */
import { errorMessage } from '../lib/errors.ts';
import type { ClusterStore } from '../store/types.ts';
import { decodeRecord, encodeRecord, type MemberRecord, memberKey, nodeNameKey } from './cluster-records.ts';

/** The asker has its own patience, and asks again. */
const timeoutMs = 5_000;

/**
 * `former` is the identity that asks, and that the transport has authenticated. 'replaced': done, now or before; 'unknown': no
 * member, as a quorum has confirmed; anything else is the reason why it could not be done.
 */
export async function replaceMember(store: ClusterStore, former: string, next: MemberRecord): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    for (;;) {
      await store.barrier(signal);
      const known = store.get(memberKey(former));
      const done = store.get(memberKey(next.id));
      if (done) return 'replaced';
      if (!known) return 'unknown';
      const record = decodeRecord<MemberRecord>(known.value);
      if (record.wanted === 'gone') return 'unknown';
      const nameKey = nodeNameKey(record.nodeName);
      const { wanted, nodeName } = record;
      // The old identity leaves Raft first, then its record goes. Meanwhile the name is the new one's alone.
      const gone: MemberRecord = { ...record, nodeName: `${nodeName} (replaced)`, wanted: 'gone' };
      const { addresses, apiAddress, apiPort, incarnation } = next;
      const member: MemberRecord = { id: next.id, nodeName, addresses, apiAddress, apiPort, ...(wanted && { wanted }) };
      const result = await store.write(
        {
          conditions: [
            { key: known.key, modRevision: known.modRevision },
            { key: nameKey, modRevision: store.get(nameKey)?.modRevision ?? 0 },
            { key: memberKey(next.id), modRevision: 0 },
          ],
          operations: [
            { type: 'put', key: known.key, value: encodeRecord(gone) },
            {
              type: 'put',
              key: memberKey(next.id),
              value: encodeRecord(incarnation === undefined ? member : { ...member, incarnation }),
            },
            { type: 'put', key: nameKey, value: Buffer.from(JSON.stringify(next.id)) },
          ],
        },
        signal,
      );
      if (result.ok) return 'replaced';
    }
  } catch (error) {
    return signal.aborted ? 'no quorum of the voters answers' : errorMessage(error);
  }
}
