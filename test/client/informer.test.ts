import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../src/lib/logger.ts';
import { seededRandom } from '../../src/lib/random.ts';
import { Informer } from '../../src/machinery/informer.ts';
import { configMaps } from '../../src/machinery/resources.ts';
import { serviceUnavailable } from '../../src/machinery/status.ts';
import type { ConfigMap } from '../../src/machinery/types.ts';
import { ManualClock, settle } from './manual-clock.ts';
import { MemoryClient } from './memory-client.ts';

function setUp() {
  const clock = new ManualClock();
  const random = seededRandom(1);
  const client = new MemoryClient({ clock, random });
  const abort = new AbortController();
  const informer = new Informer({ client, resource: configMaps, clock, random, logger: silentLogger });
  const changes: string[] = [];
  informer.onChange(({ type, object }) => changes.push(`${type} ${object.metadata.name}`));
  const create = (name: string, data: Record<string, string> = {}) =>
    client.create(configMaps, { metadata: { name, namespace: 'n' }, data }) as Promise<ConfigMap>;
  const stop = async () => {
    abort.abort(new Error('end of test'));
    await ended;
  };
  let ended: Promise<void> = Promise.resolve();
  const start = () => {
    ended = informer.start(abort.signal);
  };
  return { clock, client, informer, changes, create, start, stop };
}

test('it shows what was there and every change after it', async () => {
  const { client, informer, changes, create, start, stop } = setUp();
  await create('a');
  start();
  await informer.synced();
  const b = await create('b');
  await client.update(configMaps, { ...b, data: { k: 'v' } });
  await client.delete(configMaps, 'a', { namespace: 'n' });
  await settle();
  assert.equal(changes, ['added a', 'added b', 'updated b', 'deleted a']);
  assert.is(informer.get('n', 'b')?.data?.k, 'v');
  assert.equal(
    informer.list('n').map(({ metadata }) => metadata.name),
    ['b'],
  );
  assert.is(informer.list('other').length, 0);
  await stop();
});

test('after a watch that fell behind it lists again and finds what it missed', async () => {
  const { clock, client, informer, changes, create, start, stop } = setUp();
  await create('gone');
  await create('stays');
  start();
  await informer.synced();
  await settle();
  client.hold(configMaps);
  await client.delete(configMaps, 'gone', { namespace: 'n' });
  await create('new');
  client.compact();
  client.release(configMaps);
  await clock.until(() => changes.includes('deleted gone'), 'the list after 410');
  assert.equal(changes, ['added gone', 'added stays', 'added new', 'deleted gone']);
  await stop();
});

test('an object that was replaced under its name while nobody watched is deleted and added', async () => {
  const { clock, client, informer, changes, create, start, stop } = setUp();
  await create('a');
  start();
  await informer.synced();
  await settle();
  client.hold(configMaps);
  await client.delete(configMaps, 'a', { namespace: 'n' });
  await create('a', { second: 'yes' });
  client.compact();
  client.release(configMaps);
  await clock.until(() => changes.length === 3, 'the list after 410');
  assert.equal(changes, ['added a', 'deleted a', 'added a']);
  await stop();
});

test('it keeps trying while the server is away', async () => {
  const { clock, client, informer, create, start, stop } = setUp();
  await create('a');
  let refused = 0;
  client.intercept = ({ verb }) => {
    if (verb === 'list' && refused++ < 5) throw serviceUnavailable('not now');
  };
  start();
  await clock.until(() => informer.isSynced, 'the first list');
  assert.is(refused, 6);
  assert.ok(informer.get('n', 'a'));
  await stop();
});

test('an index follows changes of its values', async () => {
  const { client, informer, create, start, stop } = setUp();
  informer.addIndex('color', ({ data }) => (data?.color ? [data.color] : []));
  const a = await create('a', { color: 'red' });
  await create('b', { color: 'red' });
  start();
  await informer.synced();
  const names = (color: string) => informer.byIndex('color', color).map(({ metadata }) => metadata.name);
  assert.equal(names('red'), ['a', 'b']);
  await client.update(configMaps, { ...a, data: { color: 'blue' } });
  await client.delete(configMaps, 'b', { namespace: 'n' });
  await settle();
  assert.equal(names('red'), []);
  assert.equal(names('blue'), ['a']);
  await stop();
});

test.run();
