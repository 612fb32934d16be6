import { spawn } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Store } from '../../src/store/store.ts';
import { put, randomEntries, text, withFolder, write } from './entries.ts';

test('what was flushed is there after reopening, with the request ids', async () => {
  await withFolder(async (dir) => {
    const entries = randomEntries(31, 800);
    const memory = await Store.open({ requestIdsMax: 100 });
    memory.apply(entries);
    let store = await Store.open({ dir, requestIdsMax: 100 });
    // Reopened in between, so that request ids are evicted from a window that was loaded.
    for (let i = 0; i < entries.length; i += 200) {
      store.apply(entries.slice(i, i + 150));
      await store.flush();
      assert.equal(store.durable(), store.applied);
      store.apply(entries.slice(i + 150, i + 200));
      await store.close();
      store = await Store.open({ dir, requestIdsMax: 100 });
      assert.is(store.applied.index, i + 200);
    }
    assert.is(store.stateHash(), memory.stateHash());
    await store.close();
  });
});

test('a reopened store serves no history from before, but watches from its revision on', async () => {
  await withFolder(async (dir) => {
    const first = await Store.open({ dir });
    write(first, [put('/a', '1')]);
    write(first, [put('/a', '2')]);
    await first.close();
    const store = await Store.open({ dir });
    assert.is(store.revision, 2);
    assert.is(store.compactedRevision, 2);
    const values: (string | undefined)[] = [];
    store.watch('/', 2, { onEvents: (events) => values.push(text(events[0]?.record.value)), onEnd() {} });
    write(store, [put('/a', '3')]);
    assert.equal(values, ['3']);
    await store.close();
  });
});

test('durable is told to listeners and never runs ahead of what is applied', async () => {
  await withFolder(async (dir) => {
    const store = await Store.open({ dir });
    const seen: number[] = [];
    store.onDurable(({ index }) => {
      seen.push(index);
      assert.ok(index <= store.applied.index);
    });
    for (const entry of randomEntries(32, 200)) {
      store.apply([entry]);
      if (entry.index % 50 === 0) await store.flush();
    }
    assert.is(seen.at(-1), 200);
    assert.equal(
      seen,
      seen.toSorted((a, b) => a - b),
    );
    await store.close();
  });
});

test('much that waits for the disk is written at once, and settled waits for it', async () => {
  await withFolder(async (dir) => {
    const store = await Store.open({ dir, flushIntervalMs: 3_600_000 });
    for (let i = 0; i < 20; i++) write(store, [put(`/${i}`, 'x'.repeat(2_500_000))]);
    await store.settled();
    assert.ok(store.stats().pendingBytes <= 32 * 1024 * 1024);
    assert.ok(store.durable().index > 0);
    await store.close();
  });
});

/** Runs a child that applies the same random log, tells each durable index, and is killed at once after the n-th. */
async function killWriter(dir: string, seed: number, reports: number): Promise<number> {
  const child = spawn(process.execPath, [new URL('./killed-writer.ts', import.meta.url).pathname, dir, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let durable = 0;
  let seen = 0;
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      durable = Number(line);
      seen++;
    }
    if (seen >= reports) child.kill('SIGKILL');
  });
  const signal = await new Promise((resolve) => child.once('close', (_code, name) => resolve(name)));
  assert.is(signal, 'SIGKILL');
  return durable;
}

test('after kill -9 the disk holds the state of some applied index, which the log then continues', async () => {
  await withFolder(async (dir) => {
    const seed = 40;
    const entries = randomEntries(seed, 20_000);
    for (const reports of [1, 4]) {
      const durable = await killWriter(dir, seed, reports);
      const store = await Store.open({ dir });
      const { index } = store.applied;
      assert.ok(index >= durable, `what was told durable (${durable}) is there (${index})`);
      const expected = await Store.open();
      expected.apply(entries.slice(0, index));
      assert.is(store.stateHash(), expected.stateHash());
      const more = entries.slice(index, index + 100);
      store.apply(more);
      expected.apply(more);
      assert.is(store.stateHash(), expected.stateHash());
      await store.close();
    }
  });
});

test('killed amid a restore, the disk holds the old state', async () => {
  await withFolder(async (dir) => {
    const store = await Store.open({ dir });
    store.apply(randomEntries(50, 100));
    const before = store.stateHash();
    await store.close();
    const child = spawn(process.execPath, [new URL('./killed-restore.ts', import.meta.url).pathname, dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.stdout.once('data', () => child.kill('SIGKILL'));
    const signal = await new Promise((resolve) => child.once('close', (_code, name) => resolve(name)));
    assert.is(signal, 'SIGKILL');
    const reopened = await Store.open({ dir });
    assert.is(reopened.stateHash(), before);
    await reopened.close();
  });
});

test.run();
