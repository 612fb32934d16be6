/** Bugs that others found in their watches, as tests that ours would fail if it had them: see docs/KNOWN-BUGS.md. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemUser } from '../../src/api/authentication.ts';
import type { BookmarkNotice, ObjectNotice, WatchRequest } from '../../src/api/watch.ts';
import { testRegistry, type Widget, widgets } from '../api/widgets.ts';
import { settle } from '../client/manual-clock.ts';

const namespace = 'default';
const bookmarkIntervalMs = 60_000;

async function cluster() {
  const parts = await testRegistry();
  const resolved = parts.registry.context.table.find('test.kontiki', 'v1', 'widgets');
  assert.ok(resolved);
  /** Fills `told` in the order in which things are told. */
  const watch = async (request: WatchRequest) => {
    const told: string[] = [];
    const prepared = await parts.registry.watch({ resolved, namespace, user: systemUser }, request);
    const stop = prepared.start({ onNotice: (notice) => void told.push(textOf(notice)), onEnd: () => undefined });
    return { told, stop };
  };
  const create = (name: string) => parts.client.create(widgets, { metadata: { name } }, { namespace });
  const createElsewhere = (name: string) => {
    const value = Buffer.from(JSON.stringify({ apiVersion: 'test.kontiki/v1', kind: 'Widget', metadata: { name, namespace } }));
    const key = `/registry/test.kontiki/widgets/${namespace}/${name}`;
    parts.store.writeElsewhere({ conditions: [], operations: [{ type: 'put', key, value }] });
  };
  return { ...parts, watch, create, createElsewhere };
}

const textOf = (notice: ObjectNotice | BookmarkNotice) =>
  notice.type === 'BOOKMARK'
    ? `BOOKMARK ${notice.revision}`
    : `${notice.type} ${(JSON.parse(Buffer.from(notice.record.value).toString()) as Widget).metadata.name}`;

test('a watch that is resumed after a partition on a peer that is behind is told nothing again, and misses nothing', async () => {
  const { store, watch, create, createElsewhere } = await cluster();
  await create('a');
  store.cutOff();
  createElsewhere('b');
  createElsewhere('c');
  // Its client has had b and c from another peer before that was lost.
  const resuming = watch({ resourceVersion: String(store.revision + 2) });
  await settle();
  createElsewhere('d');
  store.heal();
  const { told, stop } = await resuming;
  await create('e');
  assert.equal(told, ['ADDED d', 'ADDED e']);
  stop();
});

test('a bookmark comes after every event up to its revision, also those of the last moment before it', async () => {
  const { clock, store, watch, create } = await cluster();
  await create('a');
  const start = store.revision;
  await create('b');
  await create('c');
  const resumed = await watch({ resourceVersion: String(start), allowWatchBookmarks: true });
  assert.equal(resumed.told.splice(0), ['ADDED b', 'ADDED c']);
  const anew = await watch({ sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan', allowWatchBookmarks: true });
  assert.equal(anew.told.splice(0), ['ADDED a', 'ADDED b', 'ADDED c', `BOOKMARK ${store.revision}`]);
  for (let minute = 1; minute <= 3; minute++) {
    await clock.advance(bookmarkIntervalMs - 1);
    await create(`late-${minute}`);
    await clock.advance(1);
    for (const { told } of [resumed, anew]) {
      assert.equal(told.splice(0), [`ADDED late-${minute}`, `BOOKMARK ${store.revision}`]);
    }
  }
  for (const { stop } of [resumed, anew]) stop();
});

test.run();
