/** How a peer whose log is damaged gets a new identity in its place, and what it does when nobody can give it one. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { encodeRecord, type MemberRecord, memberKey, nodeNameKey } from '../../src/node/cluster-records.ts';
import type { ReplicatedStore } from '../../src/node/cluster-store.ts';
import { pathsOf } from '../../src/node/config.ts';
import { type Identity, openIdentity, readIdentity, saveIdentity } from '../../src/node/identity.ts';
import type { JoinService } from '../../src/node/join.ts';
import { MemberAsks } from '../../src/node/member-asks.ts';
import { askForReplacement, finishReplacement, logDamage, openState } from '../../src/node/replacement.ts';
import { encodeTransaction, Store } from '../../src/store/index.ts';
import { storeOfOne } from './store-of-one.ts';

const logger = createLogger('test', 'error');
const folders: string[] = [];
test.after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

const record = (id: string, nodeName: string, more: Partial<MemberRecord> = {}): MemberRecord => {
  return { id, nodeName, addresses: [`/ip4/10.0.0.1/tcp/${id.length}`], apiAddress: '10.0.0.1', apiPort: 6443, ...more };
};

/** A machine 'one' with the identity 'old' and a log and state on disk, beside the member 'other'. */
async function machine(more: Partial<Identity> = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), 'kontiki-replaced-'));
  folders.push(dataDir);
  const paths = pathsOf(dataDir);
  const identity: Identity = {
    id: 'old',
    privateKey: 'k',
    incarnation: 4,
    nodeName: 'one',
    member: true,
    founder: true,
    ...more,
  };
  saveIdentity(paths, identity);
  for (const folder of [paths.raft, paths.store]) {
    mkdirSync(folder);
    writeFileSync(join(folder, 'content'), folder);
  }
  const { store, put } = await storeOfOne();
  await put(memberKey('old'), encodeRecord(record('old', 'one', { wanted: 'voter' })));
  await put(memberKey('other'), encodeRecord(record('other', 'two')));
  await put(nodeNameKey('one'), Buffer.from('"old"'));
  const asks = new MemberAsks({
    id: 'other',
    clusterKey: () => undefined,
    store,
    joinService: undefined as unknown as JoinService,
    status: () => undefined as never,
  });
  const replace = (patienceMs?: number, answered = (bytes: Uint8Array) => asks.answer('old', bytes)) =>
    askForReplacement({
      paths,
      identity,
      self: record('old', 'one', { incarnation: 4 }),
      members: [record('old', 'one'), record('other', 'two')],
      reason: 'rot',
      ask: async (_address, request) => ({ from: 'other', answer: await answered(request) }),
      clock: systemClock,
      logger,
      ...(patienceMs !== undefined && { patienceMs }),
    });
  return { dataDir, paths, identity, store, replace };
}

const recordIn = (store: ReplicatedStore, id: string) => {
  const found = store.get(memberKey(id));
  return found && (JSON.parse(Buffer.from(found.value).toString()) as MemberRecord);
};

async function refusal(attempt: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await attempt;
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('it was not refused');
}

test('the new identity gets the name and the place, the old one is to leave, and the files are kept', async () => {
  const { dataDir, paths, identity, store, replace } = await machine();
  await replace();
  const { id, folder } = identity.replacement!;
  assert.equal(recordIn(store, 'old')?.wanted, 'gone');
  assert.is.not(recordIn(store, 'old')?.nodeName, 'one', 'the machine has one record under its name');
  assert.equal(recordIn(store, id), {
    ...record(id, 'one', { wanted: 'voter', incarnation: 4, log: 'held' }),
    addresses: record('old', 'one').addresses,
  });
  assert.is(Buffer.from(store.get(nodeNameKey('one'))!.value).toString(), JSON.stringify(id));
  finishReplacement(dataDir, paths, identity);
  assert.equal([existsSync(paths.raft), existsSync(paths.store)], [false, false]);
  assert.equal(readdirSync(join(dataDir, folder)).sort(), ['damage.json', 'raft', 'store']);
  const next = readIdentity(paths)!;
  assert.equal([next.id, next.member, next.founder, next.logged, next.replacement], [id, true, false, undefined, undefined]);
});

test('a crash at any point leaves the old identity spent, and the rest is done at the next start', async () => {
  const { dataDir, paths, identity, store, replace } = await machine();
  await refusal(replace(0, async () => Buffer.from('{"type":"replace","outcome":"not now"}')));
  const again = await openIdentity(dataDir, paths, 'one');
  assert.is(again.replacement?.id, identity.replacement?.id, 'decided before anybody was asked');
  await replace();
  // Asked again after the old record is gone for good.
  await store.write({ conditions: [], operations: [{ type: 'delete', key: memberKey('old') }] });
  await replace();
  assert.is(recordIn(store, again.replacement!.id)?.nodeName, 'one');
  finishReplacement(dataDir, paths, again);
  // The crash came before the new identity was on disk, and the next start has opened an empty state meanwhile.
  saveIdentity(paths, again);
  mkdirSync(paths.store);
  finishReplacement(dataDir, paths, again);
  assert.is(readFileSync(join(dataDir, again.replacement!.folder, 'store', 'content'), 'utf8'), paths.store);
  assert.is(existsSync(paths.store), false);
  assert.is(readIdentity(paths)?.id, again.replacement!.id);
});

test('without a quorum it gives up, keeps everything where it is, and says what to do', async () => {
  const { paths, replace } = await machine();
  const { code, message } = await refusal(replace(0, async () => Buffer.from('{"type":"replace","outcome":"no quorum"}')));
  assert.is(code, 'LogDamaged');
  assert.match(message, /^rot; no member could take this machine in anew \(two: no quorum\).*kontiki recover/);
  assert.ok(existsSync(join(paths.raft, 'content')));
});

test('a machine alone says that only a snapshot helps', async () => {
  const { paths, identity } = await machine();
  const alone = { paths, identity, self: record('old', 'one'), members: [record('old', 'one')], reason: 'rot' };
  const ask = async () => assert.unreachable() as never;
  const { code, message } = await refusal(askForReplacement({ ...alone, ask, clock: systemClock, logger }));
  assert.is(code, 'LogDamaged');
  assert.match(message, 'kontiki snapshot restore');
  assert.is(readIdentity(paths)?.replacement, undefined);
});

test('an identity that was removed is not replaced', async () => {
  const { paths, store, replace } = await machine();
  await store.write({ conditions: [], operations: [{ type: 'delete', key: memberKey('old') }] });
  assert.is((await refusal(replace())).code, 'Removed');
  assert.is(readIdentity(paths)?.removed, true);
});

test('nobody can give away the place of another, nor with a record that is none', async () => {
  const { store } = await machine();
  const asks = new MemberAsks({
    id: 'other',
    clusterKey: () => undefined,
    store,
    joinService: undefined as unknown as JoinService,
    status: () => undefined as never,
  });
  const outcome = async (from: string, member: unknown) => {
    const answer = await asks.answer(from, Buffer.from(JSON.stringify({ type: 'replace', member })));
    return (JSON.parse(Buffer.from(answer).toString()) as { outcome: string }).outcome;
  };
  assert.is(await outcome('stranger', record('new', 'one')), 'unknown');
  for (const bad of [undefined, {}, record('old', 'one'), { ...record('n/w', 'one') }]) {
    assert.is(await outcome('old', bad), 'the request cannot be read');
  }
  assert.is(recordIn(store, 'old')?.wanted, 'voter');
  // Whatever name it asks for, it gets its own.
  assert.is(await outcome('old', record('new', 'two')), 'replaced');
  assert.is(recordIn(store, 'new')?.nodeName, 'one');
});

test('only damage counts as damage', () => {
  for (const code of ['LogCorrupt', 'LogMissing', 'StateMismatch']) {
    assert.is(logDamage(Object.assign(new Error('what'), { code })), 'what');
  }
  assert.is(logDamage(Object.assign(new Error('what'), { code: 'StorageFailed' })), undefined);
});

test('a state that cannot be read is set aside; at most three such folders are kept', async () => {
  const { dataDir, paths } = await machine();
  rmSync(paths.store, { recursive: true });
  const store = await Store.open({ dir: paths.store });
  store.apply([
    { index: 1, term: 1, kind: 'normal', data: encodeTransaction({ requestId: 'r', conditions: [], operations: [] }) },
  ]);
  await store.close();
  for (const name of readdirSync(paths.store).filter((file) => file.startsWith('MANIFEST'))) rmSync(join(paths.store, name));
  const opened = await openState(paths, dataDir, {}, systemClock, logger);
  assert.is(opened.applied.index, 0);
  await opened.close();
  const aside = () => readdirSync(dataDir).filter((name) => name.startsWith('damaged-'));
  assert.is(aside().length, 1);
  for (const year of ['1999', '2000', '2001']) mkdirSync(join(dataDir, `damaged-${year}`));
  const identity = readIdentity(paths)!;
  identity.replacement = { id: 'new', privateKey: 'k', folder: 'damaged-2002', reason: 'rot' };
  finishReplacement(dataDir, paths, identity);
  assert.equal(aside().length, 3);
  assert.ok(aside().includes('damaged-2002') && !aside().includes('damaged-1999'));
});

test.run();
