/** What the store's tests share: entries of the log, written short. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../../src/lib/random.ts';
import type { LogEntry, Store } from '../../src/store/store.ts';
import { encodeTransaction } from '../../src/store/transaction.ts';
import type { Condition, Operation, StoreEvent, TransactionResult } from '../../src/store/types.ts';

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value);
export const put = (key: string, value: string): Operation => ({ type: 'put', key, value: bytes(value) });
export const remove = (key: string): Operation => ({ type: 'delete', key });

/** Applies one transaction as the next entry. */
export function write(
  store: Store,
  operations: Operation[],
  options: { conditions?: Condition[]; requestId?: string } = {},
): TransactionResult {
  const index = store.applied.index + 1;
  const { conditions = [], requestId = `request-${index}` } = options;
  const [result] = store.apply([entry(index, operations, conditions, requestId)]);
  if (!result) throw new Error('a transaction has a result');
  return result;
}

export function entry(
  index: number,
  operations: Operation[],
  conditions: Condition[] = [],
  requestId = `request-${index}`,
): LogEntry {
  return { index, term: 1, kind: 'normal', data: encodeTransaction({ requestId, conditions, operations }) };
}

/** The same log for the same seed: puts, deletes, failed conditions and repeated requests on few keys. */
export function randomEntries(seed: number, count: number): LogEntry[] {
  const random = seededRandom(seed);
  const entries: LogEntry[] = [];
  for (let index = 1; index <= count; index++) {
    const key = `/registry/core/pods/ns-${random.int(3)}/pod-${random.int(20)}`;
    const operations = random.int(4) === 0 ? [remove(key)] : [put(key, `value ${index} ${'x'.repeat(random.int(50))}`)];
    if (random.int(3) === 0) operations.push(put(`/claims/${random.int(10)}`, `claim ${index}`));
    const conditions = random.int(5) === 0 ? [{ key, modRevision: random.int(index) }] : [];
    const repeated = index > 10 && random.int(10) === 0;
    entries.push(entry(index, operations, conditions, `request-${repeated ? index - 1 - random.int(9) : index}`));
  }
  return entries;
}

/** Collects what a watch delivers, as 'put key value' and 'delete key'. */
export function recorder() {
  const seen: string[] = [];
  const ends: string[] = [];
  return {
    seen,
    ends,
    onEvents(events: readonly StoreEvent[]) {
      for (const { type, record } of events) {
        seen.push(type === 'put' ? `put ${record.key} ${text(record.value)}` : `delete ${record.key}`);
      }
    },
    onEnd(reason: string) {
      ends.push(reason);
    },
  };
}

export async function withFolder(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'kontiki-store-'));
  try {
    await run(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
