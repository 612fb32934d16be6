/** The daemon's side of a save: linearizable, bounded, and noticed by the other side when it breaks off. */
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { streamFromDaemon } from '../../src/cli/control-client.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { ControlServer } from '../../src/node/control-server.ts';
import { SnapshotSource, saveSnapshotFile } from '../../src/node/recovery/backup.ts';
import { answering } from '../../src/node/recovery/reachable.ts';
import { Store } from '../../src/store/index.ts';
import { clusterRecords, codeOf, put, withFolder, write } from './cluster-files.ts';

async function source(barrier: (store: Store) => Promise<void> = async () => undefined) {
  const store = await Store.open();
  store.apply([write(1, 1, clusterRecords('one-cluster', ['one']))]);
  const cluster = { barrier: () => barrier(store) };
  return { store, snapshots: new SnapshotSource({ store, cluster, nodeName: 'one', peer: 'id-one', clock: systemClock }) };
}

test('a snapshot holds what was written before the barrier, and nothing that came later', async () => {
  await withFolder(async (folder) => {
    const { store, snapshots } = await source(async (own) => {
      own.apply([write(2, 1, [put('/registry/core/configmaps/default/before')])]);
    });
    const bytes = await snapshots.open();
    store.apply([write(3, 1, [put('/registry/core/configmaps/default/after')])]);
    const { header, objects } = await saveSnapshotFile(join(folder, 'file'), bytes);
    assert.equal([header.clusterId, header.revision, header.index, header.term], ['one-cluster', 2, 2, 1]);
    assert.equal(
      header.members.map(({ nodeName }) => nodeName),
      ['one'],
    );
    assert.is(objects.configmaps, 2);
  });
});

test('two saves at a time; a place is free again when one ended, failed or was given up', async () => {
  let refuse = false;
  const { snapshots } = await source(async () => {
    if (refuse) throw new Error('no quorum');
  });
  const open = async () => (await snapshots.open())[Symbol.asyncIterator]();
  const [first, second] = [await open(), await open()];
  assert.is(await codeOf(snapshots.open()), 'Busy');
  await first.return?.();
  await first.return?.();
  const third = await open();
  assert.is(await codeOf(snapshots.open()), 'Busy');
  for (let next = await second.next(); !next.done; ) next = await second.next();
  refuse = true;
  assert.match(await codeOf(snapshots.open()), /no quorum/);
  refuse = false;
  await open();
  await third.next();
  assert.is(await codeOf(snapshots.open()), 'Busy');
});

test('over the control socket bytes come as they are made, and a break is an error, not an end', async () => {
  await withFolder(async (folder) => {
    const { snapshots } = await source();
    async function* broken() {
      yield Buffer.from('kontiki snapshot\n');
      throw new Error('something went wrong');
    }
    const control = new ControlServer(
      {
        'POST /snapshot': () => snapshots.open(),
        'POST /broken': async () => broken(),
        'POST /refused': async () => {
          throw new Error('not now');
        },
      },
      silentLogger,
    );
    const socket = join(folder, 's');
    await control.listen(socket);
    try {
      const saved = await saveSnapshotFile(join(folder, 'file'), await streamFromDaemon(socket, 'POST', '/snapshot'));
      assert.is(saved.records, 7);
      const breaks = streamFromDaemon(socket, 'POST', '/broken').then((bytes) => saveSnapshotFile(join(folder, 'other'), bytes));
      assert.is(await codeOf(breaks), 'CommandFailed');
      assert.is(await codeOf(streamFromDaemon(socket, 'POST', '/refused')), 'CommandFailed');
      assert.is(await codeOf(streamFromDaemon(join(folder, 'none'), 'POST', '/snapshot')), 'DaemonNotRunning');
      const given = request({ socketPath: socket, method: 'POST', path: '/snapshot' });
      given.on('error', () => undefined);
      given.on('response', (response) => response.destroy());
      given.end();
      await new Promise((resolve) => given.on('close', resolve));
    } finally {
      await control.close();
    }
  });
});

test('a machine that still answers is named', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  try {
    const members = [
      { id: 'a', nodeName: 'alive', addresses: [`/ip4/127.0.0.1/tcp/${port}`] },
      { id: 'b', nodeName: 'gone', addresses: ['/ip4/127.0.0.1/tcp/1/p2p/b'] },
      { id: 'c', nodeName: 'strange', addresses: ['/unix/x'] },
    ];
    assert.equal(await answering(members), [{ nodeName: 'alive', address: `127.0.0.1:${port}` }]);
  } finally {
    server.close();
  }
});

test.run();
