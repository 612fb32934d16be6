import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../src/lib/logger.ts';
import { StateRepair, type StateRepairOptions } from '../../src/node/state-repair.ts';
import { Store } from '../../src/store/index.ts';
import { ManualClock, settle } from '../client/manual-clock.ts';
import { randomEntries } from '../store/entries.ts';

const entries = randomEntries(7, 300);

/** A store that has applied another history than the log says, and one that has applied `healthyIndex` of the log. */
async function odd(healthyIndex: number, options: Partial<StateRepairOptions> = {}) {
  const [store, healthy] = [await Store.open(), await Store.open()];
  store.apply(randomEntries(8, 100));
  healthy.apply(entries.slice(0, healthyIndex));
  const reasons: (string | undefined)[] = [];
  const clock = new ManualClock();
  let fetches = 0;
  const repair = new StateRepair({
    store,
    apply: async (next) => void store.apply(next),
    fetch: async () => {
      fetches++;
      return { from: 'two', ...healthy.snapshot() };
    },
    onChange: (reason) => void reasons.push(reason),
    clock,
    logger: silentLogger,
    ...options,
  });
  return { store, healthy, repair, reasons, clock, fetches: () => fetches };
}

test('a snapshot of an entry that came already replaces the state at once', async () => {
  const { store, healthy, repair, reasons } = await odd(100);
  repair.distrust('odd');
  await repair.settled();
  assert.is(store.stateHash(), healthy.stateHash());
  assert.equal(reasons, ['odd', undefined]);
});

test('a snapshot that is ahead of the log waits for it, and the entries behind it are applied', async () => {
  const { store, healthy, repair } = await odd(200);
  repair.distrust('odd');
  await repair.take(entries.slice(100, 150));
  await settle();
  assert.is(store.applied.index, 100);
  assert.is(repair.reason, 'odd');
  await repair.take(entries.slice(150, 250));
  await repair.settled();
  healthy.apply(entries.slice(200, 250));
  assert.is(store.stateHash(), healthy.stateHash());
  await repair.take(entries.slice(250));
  healthy.apply(entries.slice(250));
  assert.is(store.stateHash(), healthy.stateHash());
});

test('a snapshot from before what is applied is refused, and another is fetched later', async () => {
  const { store, healthy, repair, clock, fetches } = await odd(50);
  repair.distrust('odd');
  await settle();
  assert.is(store.applied.index, 100);
  healthy.apply(entries.slice(50, 100));
  while (repair.reason !== undefined) {
    await clock.advance(1_000);
  }
  assert.is(fetches(), 2);
  assert.is(store.stateHash(), healthy.stateHash());
});

test('after an attempt that failed the old state has taken what came meanwhile', async () => {
  const broken = Promise.withResolvers<never>();
  const { store, repair } = await odd(100, { fetch: () => broken.promise });
  repair.distrust('odd');
  await repair.take(entries.slice(100, 120));
  assert.is(store.applied.index, 100);
  broken.reject(new Error('cut'));
  await settle();
  assert.is(store.applied.index, 120);
  assert.is(repair.reason, 'odd');
  await repair.stop();
});

test('a snapshot that the leader sends by itself goes first and counts as the repair', async () => {
  const { store, healthy, repair, reasons } = await odd(100, {
    fetch: (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  });
  repair.distrust('odd');
  await repair.beforeRestore();
  const { index, term, chunks } = healthy.snapshot();
  await store.restore({ index, term }, chunks);
  repair.afterRestore(true);
  assert.is(repair.reason, undefined);
  assert.equal(reasons, ['odd', undefined]);
  await repair.stop();
});

test.run();
