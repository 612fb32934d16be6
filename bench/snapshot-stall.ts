/**
 * The longest piece of work between two turns of the event loop while a store of 200 MB is loaded, snapshotted, restored on another
 * disk, and opened again there: `node bench/snapshot-stall.ts [MEGABYTES]`. In processor time of the thread, so that a busy machine
 * does not count.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { encodeTransaction, Store } from '../src/store/index.ts';

const megabytes = Number(process.argv[2] ?? 200);
const valueBytes = 4 * 1024;
const perTransaction = 64;
const count = Math.ceil((megabytes * 1_000_000) / valueBytes);

/** Processor time of this thread, milliseconds. */
function usedMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** The longest turn of the loop while `work` runs. */
async function measured<T>(what: string, work: () => Promise<T>): Promise<T> {
  let longest = 0;
  let watching = true;
  let last = usedMs();
  const watch = (): void => {
    const now = usedMs();
    longest = Math.max(longest, now - last);
    last = now;
    if (watching) setImmediate(watch);
  };
  setImmediate(watch);
  const beganMs = performance.now();
  const result = await work();
  watch();
  watching = false;
  console.log(
    `${what}: longest turn ${longest.toFixed(1)} ms of processor time, ${((performance.now() - beganMs) / 1000).toFixed(1)} s in all`,
  );
  await turn();
  return result;
}

const folder = await mkdtemp(join(tmpdir(), 'kontiki-stall-'));
try {
  const source = await Store.open();
  const value = Buffer.alloc(valueBytes, 'x');
  let index = 0;
  await measured('written, 64 records at a time', async () => {
    for (let at = 0; at < count; at += perTransaction) {
      const operations = Array.from({ length: perTransaction }, (_, more) => ({
        type: 'put' as const,
        key: `/registry/core/configmaps/default/some-object-with-a-name-${String(at + more).padStart(9, '0')}`,
        value,
      }));
      index++;
      source.apply([
        { index, term: 1, kind: 'normal', data: encodeTransaction({ requestId: `r${index}`, conditions: [], operations }) },
      ]);
      await turn();
    }
  });
  const dir = join(folder, 'store');
  const target = await Store.open({ dir });
  await measured('snapshot taken and read', async () => {
    for await (const _chunk of source.snapshot().chunks) await turn();
  });
  await measured('snapshot streamed into another store and restored on its disk', async () => {
    const { chunks, ...meta } = source.snapshot();
    await target.restore(meta, chunks);
  });
  await target.close();
  const again = await measured('that store opened again', () => Store.open({ dir }));
  if (again.stateHash() !== source.stateHash()) throw new Error('the stores differ');
  await again.close();
} finally {
  await rm(folder, { recursive: true });
}
