/** Restoring and recovering with data folders made without daemons: what is chosen, what is kept, what is shut out. */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LevelLogStorage } from '../../src/consensus/index.ts';
import { readClusterKey, writeClusterKey } from '../../src/node/cluster-key.ts';
import type { Identity } from '../../src/node/identity.ts';
import type { Inspected } from '../../src/node/recovery/inspection.ts';
import { recover } from '../../src/node/recovery/recover.ts';
import type { RecoveryPlan } from '../../src/node/recovery/recovery-plan.ts';
import { revisionMargin } from '../../src/node/recovery/refounding.ts';
import { restoreSnapshot } from '../../src/node/recovery/restore.ts';
import { encodeKeys, firstKeys, Store, sealingKeysKey } from '../../src/store/index.ts';
import { newSealingKey, seal, unseal } from '../../src/store/sealing/envelope.ts';
import type { StoreRecord } from '../../src/store/types.ts';
import { damageRecord } from '../store/damage.ts';
import {
  clusterRecords,
  codeOf,
  configOf,
  empty,
  type PeerFiles,
  put,
  snapshotPieces,
  withFolder,
  write,
  writePeer,
} from './cluster-files.ts';

const members = ['one', 'two', 'three'];
const configMap = (name: string) => put(`/registry/core/configmaps/default/${name}`, { metadata: { name } });

/** Entries 1 to `last`: the cluster's records, the beginning of term 2, then one ConfigMap each. */
const history = (last: number, clusterId = 'old') =>
  [write(1, 1, clusterRecords(clusterId, members)), empty(2, 2)]
    .concat(Array.from({ length: Math.max(0, last - 2) }, (_, n) => write(n + 3, 2, [configMap(`c${n + 3}`)])))
    .slice(0, last);

function peer(nodeName: string, last: number, more: Partial<PeerFiles> = {}): PeerFiles {
  return { nodeName, members, term: 2, entries: history(last), committed: last, applied: last, ...more };
}

async function recoverIn(dir: string, from: string[] = [], nodeName = 'one') {
  let plan: RecoveryPlan | undefined;
  let inspected: readonly Inspected[] = [];
  const outcome = await recover({
    config: configOf(dir, nodeName),
    from,
    onInspected: (seen) => {
      inspected = seen;
    },
    confirm: async (asked) => {
      plan = asked;
      return true;
    },
  });
  assert.ok(outcome && plan);
  return { outcome, plan, inspected };
}

const identityOf = (dir: string) => JSON.parse(readFileSync(join(dir, 'identity.json'), 'utf8')) as Identity;

async function readStore<T>(dir: string, read: (store: Store) => T): Promise<T> {
  const store = await Store.open({ dir: join(dir, 'store') });
  try {
    return read(store);
  } finally {
    await store.close();
  }
}

async function readLog(dir: string) {
  const log = await LevelLogStorage.open(join(dir, 'raft'));
  try {
    return await log.load();
  } finally {
    await log.close();
  }
}

test('recover: this machine goes on alone with all of its log, above every term and revision seen', async () => {
  await withFolder(async (dir) => {
    await writePeer(dir, peer('one', 6, { committed: 4, applied: 3, term: 5 }));
    const { outcome, plan } = await recoverIn(dir);
    assert.is(plan.committed, 4);
    assert.equal(plan.uncertain, [
      { index: 5, term: 2, kind: 'normal', keys: ['/registry/core/configmaps/default/c5'] },
      { index: 6, term: 2, kind: 'normal', keys: ['/registry/core/configmaps/default/c6'] },
    ]);
    assert.equal([plan.present, plan.complete], [['id-one'], false]);
    assert.is(outcome.peer, 'id-one');
    assert.is(identityOf(dir).incarnation, 4);
    const log = await readLog(dir);
    assert.equal(log?.hardState, { term: 6, vote: undefined, commit: 6 });
    assert.equal(log?.base, { index: 6, term: 2, membership: { voters: ['id-one'], votersOutgoing: [], learners: [] } });
    assert.equal(log?.entries, []);
    await readStore(dir, (store) => {
      assert.equal(store.applied, { index: 6, term: 2 });
      assert.is(store.revision, 5 + revisionMargin);
      const keys = store.list('').records.map(({ key }) => key);
      assert.equal(
        keys.filter((key) => key.startsWith('/kontiki/')),
        ['/kontiki/authority', '/kontiki/members/id-one', '/kontiki/node-names/one', '/kontiki/settings'],
      );
      assert.equal(
        keys.filter((key) => key.startsWith('/registry/')),
        [
          ...['c3', 'c4', 'c5', 'c6', 'first'].map((name) => `/registry/core/configmaps/default/${name}`),
          '/registry/core/nodes/one',
        ],
      );
      assert.ok(store.list('').records.every(({ modRevision }) => modRevision === store.revision));
      assert.is(store.get('/registry/core/configmaps/default/first')?.createRevision, 1);
    });
    assert.equal(outcome.fenced.map(({ nodeName }) => nodeName).sort(), ['three', 'two']);
    assert.equal(readdirSync(outcome.replaced as string).sort(), ['identity.json', 'members.json', 'raft', 'store']);
    assert.equal((await readLog(outcome.replaced as string))?.entries.length, 6);
  });
});

test("recover: among several disks the best log by Raft's rule is chosen, and what it proves is known", async () => {
  await withFolder(async (dir) => {
    const [own, two, three] = [join(dir, '1'), join(dir, '2'), join(dir, '3')];
    await writePeer(own, peer('one', 9, { committed: 3, applied: 3 }));
    await writePeer(two, peer('two', 5, { entries: [...history(4), empty(5, 4)], committed: 3, applied: 3, term: 4 }));
    await writePeer(three, peer('three', 4, { committed: 4, applied: 4, term: 7 }));
    const { outcome, plan } = await recoverIn(own, [two, three]);
    assert.is(plan.best.nodeName, 'two');
    assert.equal([plan.committed, plan.term, plan.complete], [4, 8, true]);
    assert.equal(plan.uncertain, [{ index: 5, term: 4, kind: 'empty', keys: [] }]);
    assert.is(outcome.peer, 'id-one');
    await readStore(own, (store) => {
      assert.equal(store.applied, { index: 5, term: 4 });
      assert.is(store.get('/registry/core/configmaps/default/c5'), undefined);
      assert.ok(store.get('/registry/core/configmaps/default/c4'));
      assert.ok(store.get('/kontiki/members/id-one'));
    });
    assert.equal((await readLog(two))?.hardState.term, 4);
  });
});

test('recover: a machine without data of its own goes on from another disk under a new identity', async () => {
  await withFolder(async (dir) => {
    const [own, two] = [join(dir, '1'), join(dir, '2')];
    await writePeer(two, peer('two', 4));
    writeFileSync(join(dir, 'unrelated'), '');
    const { outcome, inspected } = await recoverIn(own, [two, dir], 'new');
    assert.equal(
      inspected.map(({ problem }) => problem !== undefined),
      [false, true],
    );
    assert.equal(outcome.fenced.length, 3);
    assert.equal(outcome.nodes.sort(), ['one', 'three', 'two']);
    assert.is(outcome.replaced, undefined);
    assert.equal([identityOf(own).nodeName, identityOf(own).member], ['new', true]);
  });
});

test('recover: refuses what cannot be gone on from, and then nothing is changed', async () => {
  await withFolder(async (dir) => {
    const [own, two, three] = [join(dir, '1'), join(dir, '2'), join(dir, '3')];
    await writePeer(own, peer('one', 4));
    await writePeer(two, peer('two', 4, { entries: history(4, 'another') }));
    await writePeer(three, peer('three', 4, { entries: [...history(3), empty(4, 3)], committed: 3, applied: 3, term: 3 }));
    assert.is(await codeOf(recoverIn(own, [two])), 'Contradiction');
    await writePeer(join(dir, '4'), peer('two', 5));
    assert.is(await codeOf(recoverIn(own, [three, join(dir, '4')])), 'Contradiction');
    assert.is(await codeOf(recoverIn(join(dir, '5'))), 'NothingToRecover');
    const confirm = async () => false;
    assert.is(await recover({ config: configOf(own, 'one'), from: [], onInspected: () => undefined, confirm }), undefined);
    assert.equal(readdirSync(own).sort(), ['identity.json', 'members.json', 'raft', 'run', 'store']);
    assert.is(identityOf(own).incarnation, 3);
    const file = join(own, 'raft', readdirSync(join(own, 'raft')).find((name) => name.endsWith('.log')) as string);
    const bytes = readFileSync(file);
    bytes[20] = bytes[20]! ^ 1;
    writeFileSync(file, bytes);
    assert.is(await codeOf(recoverIn(own)), 'NothingToRecover');
  });
});

test('recover: a log that was cut below its state is not trusted', async () => {
  await withFolder(async (dir) => {
    await writePeer(dir, peer('one', 4));
    const log = await LevelLogStorage.open(join(dir, 'raft'));
    await log.load();
    await log.write({ entries: [write(3, 2, [configMap('other')])], hardState: { term: 2, vote: undefined, commit: 3 } });
    await log.close();
    let inspected: readonly Inspected[] = [];
    const onInspected = (seen: readonly Inspected[]) => {
      inspected = seen;
    };
    const confirm = async () => true;
    assert.is(await codeOf(recover({ config: configOf(dir, 'one'), from: [], onInspected, confirm })), 'NothingToRecover');
    assert.match(inspected[0]?.problem ?? '', /the log beside it does not have that entry/);
  });
});

test('recover: a damaged state is not taken while a sound one is at hand that the best log goes on from', async () => {
  await withFolder(async (dir) => {
    const [own, two, alone] = [join(dir, '1'), join(dir, '2'), join(dir, '3')];
    await writePeer(own, peer('one', 6));
    await writePeer(two, peer('two', 5, { applied: 4 }));
    await damageRecord(join(own, 'store'), '"c4"', '"XX"');
    await writePeer(alone, peer('one', 6));
    await damageRecord(join(alone, 'store'), '"c4"', '"XX"');
    const { plan } = await recoverIn(own, [two]);
    assert.equal([plan.best.nodeName, plan.state.nodeName], ['one', 'two']);
    await readStore(own, (store) => {
      assert.equal(store.applied, { index: 6, term: 2 });
      assert.match(Buffer.from(store.get('/registry/core/configmaps/default/c4')!.value).toString(), '"c4"');
      assert.ok(store.get('/registry/core/configmaps/default/c6'));
    });
    const without = await recoverIn(alone);
    assert.match(without.plan.state.found.damage ?? '', 'does not have the hash');
  });
});

test('restore: a new cluster of this machine alone, with all objects and none of the old members', async () => {
  await withFolder(async (dir) => {
    const file = join(dir, 'snapshot');
    writeFileSync(file, Buffer.concat(await snapshotPieces(history(6))));
    const own = join(dir, 'data');
    const outcome = await restoreSnapshot(configOf(own, 'fresh'), file);
    assert.is(outcome.revision, 5 + revisionMargin);
    assert.not.equal(outcome.clusterId, 'old');
    assert.equal([identityOf(own).id, identityOf(own).founder], [outcome.peer, false]);
    assert.equal((await readLog(own))?.base.membership.voters, [outcome.peer]);
    await readStore(own, (store) => {
      assert.equal(
        store.list('/kontiki/members/').records.map(({ key }) => key),
        [`/kontiki/members/${outcome.peer}`],
      );
      assert.is(store.list('/kontiki/tokens/').records.length, 0);
      assert.is(store.list('/registry/core/nodes/').records.length, 0);
      assert.is(store.list('/registry/core/configmaps/').records.length, 5);
      const settings = JSON.parse(Buffer.from(store.get('/kontiki/settings')?.value ?? []).toString());
      assert.equal([settings.clusterId, settings.podCidr], [outcome.clusterId, '10.42.0.0/16']);
    });
    assert.is(await codeOf(restoreSnapshot(configOf(own, 'fresh'), file)), 'AlreadyMember');
  });
});

test('restore: a damaged file changes nothing, and a node of the same name stays', async () => {
  await withFolder(async (dir) => {
    const file = join(dir, 'snapshot');
    const whole = Buffer.concat(await snapshotPieces(history(6)));
    const own = join(dir, 'data');
    for (const bad of [whole.subarray(0, -1), Buffer.concat([whole.subarray(0, -1), Buffer.from([whole.at(-1)! ^ 1])])]) {
      writeFileSync(file, bad);
      assert.match(await codeOf(restoreSnapshot(configOf(own, 'two'), file)), /^Snapshot(Truncated|Damaged)$/);
      assert.equal(readdirSync(own), ['run']);
    }
    writeFileSync(file, whole);
    const outcome = await restoreSnapshot(configOf(own, 'two'), file);
    assert.equal(outcome.nodes.sort(), ['one', 'three']);
    await readStore(own, (store) => assert.ok(store.get('/registry/core/nodes/two')));
    assert.not.ok(existsSync(join(own, 'recovery.ready')));
  });
});

test('restore: what a machine has that never became a member is moved aside', async () => {
  await withFolder(async (dir) => {
    const file = join(dir, 'snapshot');
    writeFileSync(file, Buffer.concat(await snapshotPieces(history(3))));
    const own = join(dir, 'data');
    await writePeer(own, peer('one', 4));
    writeFileSync(join(own, 'identity.json'), JSON.stringify({ ...identityOf(own), member: false }));
    const outcome = await restoreSnapshot(configOf(own, 'one'), file);
    assert.not.equal(outcome.peer, 'id-one');
    assert.is(identityOf(outcome.replaced as string).id, 'id-one');
    assert.equal((await readLog(own))?.entries, []);
  });
});

test("restore: encrypted secrets need the cluster key, which is then the new machine's, or are given up", async () => {
  await withFolder(async (dir) => {
    const clusterKey = randomBytes(32);
    const sealingKey = newSealingKey();
    const authority = Buffer.from(JSON.stringify({ cert: 'cert', key: 'key' }));
    const sealed = seal(sealingKey, '/registry/core/secrets/default/s', Buffer.from('{}'));
    const entry = write(7, 2, [
      { type: 'put', key: sealingKeysKey, value: encodeKeys(firstKeys(clusterKey)) },
      { type: 'put', key: '/registry/core/secrets/default/s', value: sealed },
      { type: 'put', key: '/kontiki/authority', value: seal(sealingKey, '/kontiki/authority', authority) },
    ]);
    const file = join(dir, 'snapshot');
    writeFileSync(file, Buffer.concat(await snapshotPieces([...history(6), entry])));
    const [kept, wrong, own, other] = ['kept.key', 'wrong.key', 'own', 'other'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
      string,
    ];
    writeClusterKey(kept, clusterKey);
    writeClusterKey(wrong, randomBytes(32));
    for (const keyFiles of [[], [wrong], [join(dir, 'absent')]]) {
      const restoring = restoreSnapshot(configOf(own, 'fresh'), file, { keyFiles, discard: false });
      assert.is(await codeOf(restoring), 'ClusterKeyMissing');
      assert.equal(readdirSync(own), ['run']);
    }
    await restoreSnapshot(configOf(own, 'fresh'), file, { keyFiles: [kept], discard: false });
    assert.ok(readClusterKey(join(own, 'cluster.key'))?.equals(clusterKey));
    await readStore(own, (store) => {
      assert.ok(store.get('/registry/core/secrets/default/s'));
      const { value } = store.get('/kontiki/authority') as StoreRecord;
      assert.equal(unseal(sealingKey, '/kontiki/authority', value), authority);
    });
    await restoreSnapshot(configOf(other, 'fresh'), file, { keyFiles: [], discard: true });
    await readStore(other, (store) => {
      assert.is(store.list('/registry/core/secrets/').records.length, 0);
      assert.is(store.get(sealingKeysKey), undefined);
      const made = JSON.parse(Buffer.from(store.get('/kontiki/authority')?.value ?? []).toString());
      assert.match(made.key, /PRIVATE KEY/, 'nobody knows the former authority any more: there is a new one');
      assert.is(store.list('/registry/core/configmaps/').records.length, 5);
    });
  });
});

test.run();
