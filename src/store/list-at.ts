/** A list as of an older revision: today's records, with those that changed since put back to what they were. */
import type { History } from './history.ts';
import { compareKeys, type OrderedRecords } from './ordered-records.ts';
import type { ListResult, StoreRecord } from './types.ts';

export interface ListAt {
  prefix: string;
  /** In the event window. */
  revision: number;
  startAfter: string | undefined;
  limit: number;
}

export function listAt(current: OrderedRecords, history: History, { prefix, revision, startAfter, limit }: ListAt): ListResult {
  const changed = history.recordsAt(revision, prefix);
  const restored: StoreRecord[] = [];
  let total = current.count(prefix, startAfter);
  for (const [key, record] of changed) {
    if (startAfter !== undefined && compareKeys(key, startAfter) <= 0) continue;
    if (current.get(key)) total--;
    if (record) restored.push(record);
  }
  total += restored.length;
  restored.sort((a, b) => compareKeys(a.key, b.key));

  const records: StoreRecord[] = [];
  let next = 0;
  /** Takes the restored records up to the key `until`, or all that are left. */
  const takeRestored = (until?: string) => {
    for (; next < restored.length && records.length < limit; next++) {
      const record = restored[next]!;
      if (until !== undefined && compareKeys(record.key, until) > 0) return;
      records.push(record);
    }
  };
  current.scan(prefix, startAfter, (record) => {
    takeRestored(record.key);
    if (records.length >= limit) return false;
    if (!changed.has(record.key)) records.push(record);
    return true;
  });
  takeRestored();
  return { records, revision, remaining: total - records.length };
}
