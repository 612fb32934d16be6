/** Run by disk.test.ts: restores a snapshot of several chunks, stops before the last one, and is killed there. */
import { Store } from '../../src/store/store.ts';
import { put, write } from './entries.ts';

const source = await Store.open();
for (let i = 0; i < 12; i++) write(source, [put(`/large/${i}`, 'x'.repeat(400_000))]);
const { index, term, chunks } = source.snapshot();
const all: Uint8Array[] = [];
for await (const chunk of chunks) all.push(chunk);

async function* withheld() {
  yield* all.slice(0, -1);
  process.stdout.write('written\n');
  await new Promise(() => setInterval(() => {}, 1000));
}

const store = await Store.open({ dir: process.argv[2]! });
await store.restore({ index, term }, withheld());
