/** Run by disk.test.ts: goes on with the random log from what is on disk, telling each durable index, until it is killed. */
import { Store } from '../../src/store/store.ts';
import { randomEntries } from './entries.ts';

const [dir, seed] = process.argv.slice(2);
const store = await Store.open({ dir: dir!, flushIntervalMs: 5 });
store.onDurable(({ index }) => process.stdout.write(`${index}\n`));
const entries = randomEntries(Number(seed), 20_000);
for (let at = store.applied.index; at < entries.length; at += 10) {
  store.apply(entries.slice(at, at + 10));
  await new Promise((resolve) => setImmediate(resolve));
}
setInterval(() => {}, 1000);
