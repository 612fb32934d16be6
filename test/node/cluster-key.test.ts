/** The cluster key: made once, told to members alone, kept in a file that only root reads. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { openClusterKey, readClusterKey, writeClusterKey } from '../../src/node/cluster-key.ts';
import { encodeRecord, type MemberRecord, memberKey } from '../../src/node/cluster-records.ts';
import { JoinService } from '../../src/node/join.ts';
import { encodeQuestion, MemberAsks } from '../../src/node/member-asks.ts';
import { Sealing } from '../../src/node/sealing.ts';
import { storeOfOne } from './store-of-one.ts';

const test = suite('cluster key');
const { signal } = new AbortController();
let folder = '';

test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'ck-'));
});
test.after.each(() => rmSync(folder, { recursive: true }));

const record = (id: string, more: Partial<MemberRecord> = {}): MemberRecord => ({
  ...{ id, nodeName: id, addresses: [`/at/${id}`], apiAddress: '10.0.0.1', apiPort: 6443 },
  ...more,
});

async function cluster() {
  const { store, put } = await storeOfOne();
  for (const id of ['one', 'two']) await put(memberKey(id), encodeRecord(record(id)));
  const asked: string[] = [];
  const files = { one: join(folder, 'one.key'), two: join(folder, 'two.key') };
  const asks = new MemberAsks({
    id: 'one',
    store,
    joinService: new JoinService(store, systemClock),
    status: async () => Promise.reject(new Error('not asked here')),
    clusterKey: () => readClusterKey(files.one),
  });
  const open = (ownId: 'one' | 'two', claims: string = ownId) =>
    openClusterKey({
      ...{ file: files[ownId], store, ownId, clock: systemClock, logger: silentLogger, signal },
      ask: async (address, request) => {
        asked.push(address);
        return { from: address.slice('/at/'.length), answer: await asks.answer(claims, request) };
      },
    });
  return { store, put, asks, asked, files, open };
}

test('the first machine makes it, in a file of its own; the next is told it, once', async () => {
  const { asked, files, open } = await cluster();
  const key = await open('one');
  assert.is(statSync(files.one).mode & 0o777, 0o600);
  assert.ok(readClusterKey(files.one)?.equals(key));
  assert.equal(asked, []);
  assert.ok((await open('two')).equals(key));
  assert.equal(asked, ['/at/one']);
  assert.ok((await open('two')).equals(key));
  assert.is(asked.length, 1);
});

test('a key of another cluster in the file gives way to the right one', async () => {
  const { files, open } = await cluster();
  const key = await open('one');
  writeClusterKey(files.two, randomBytes(32));
  assert.ok((await open('two')).equals(key));
  assert.ok(readClusterKey(files.two)?.equals(key));
});

test('strangers and machines that are being removed are not told', async () => {
  const { put, asks, open } = await cluster();
  await open('one');
  await put(memberKey('leaving'), encodeRecord(record('leaving', { wanted: 'gone' })));
  for (const asker of ['stranger', 'leaving']) {
    const answer = await asks.answer(asker, encodeQuestion({ type: 'cluster-key' }));
    assert.equal(JSON.parse(Buffer.from(answer).toString()), { type: 'cluster-key' });
  }
});

test('alone and without the key, a machine says what is missing', async () => {
  const { store, open, files } = await cluster();
  await open('one');
  await store.write({ conditions: [], operations: [{ type: 'delete', key: memberKey('one') }] });
  assert.not.ok(existsSync(files.two));
  const error = await open('two').then(
    () => undefined,
    (thrown: { code: string; message: string }) => thrown,
  );
  assert.is(error?.code, 'ClusterKeyMissing');
  assert.match(error?.message ?? '', 'docs/RECOVERY.md');
});

test('what is configured is sealed, and the keys of service account tokens always', async () => {
  const { store, open } = await cluster();
  const clusterKey = await open('one');
  const sealing = new Sealing({ store, clusterKey, resources: ['secrets', 'widgets.example.com'], logger: silentLogger });
  const seals = (key: string) => sealing.store.seals(key);
  assert.ok(seals('/registry/core/secrets/default/a'));
  assert.ok(seals('/registry/example.com/widgets/default/a'));
  assert.ok(seals('/kontiki/service-account-keys'));
  assert.not.ok(seals('/registry/core/secretsandmore/default/a'));
  assert.not.ok(seals('/kontiki/members/one'));
  const { newest } = sealing.keys();
  const rotated = await sealing.rotate(signal);
  assert.not.equal(rotated, newest);
  assert.equal(sealing.keys(), { newest: rotated, older: 1 });
  sealing.close();
});

test.run();
