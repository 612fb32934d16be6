import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/lib/clock.ts';
import { deferred } from '../../src/lib/deferred.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { authorityKey, encodeRecord, type MemberRecord, memberKey, tokenPrefix } from '../../src/node/cluster-records.ts';
import { ReplicatedStore } from '../../src/node/cluster-store.ts';
import { authorityOf, JoinService, joinCluster } from '../../src/node/join.ts';
import { Sealing } from '../../src/node/sealing.ts';
import { listTokens } from '../../src/node/tokens.ts';
import { encodeKeys, firstKeys, Store, sealedBy, sealingKeysKey } from '../../src/store/index.ts';
import type { ClusterStore } from '../../src/store/types.ts';

const member = (id: string, nodeName: string): MemberRecord => ({
  id,
  nodeName,
  addresses: [`/ip4/10.0.0.1/tcp/7420`],
  apiAddress: '10.0.0.1',
  apiPort: 6443,
});

/** A cluster of one whose log is an array. */
async function cluster() {
  const store = await Store.open();
  let index = 0;
  const replicated: ReplicatedStore = new ReplicatedStore({
    store,
    consensus: {
      propose: async (data) => {
        index += 1;
        replicated.apply([{ index, term: 1, kind: 'normal', data }]);
        return { index };
      },
      readIndex: async () => index,
    },
    requestPrefix: 'test',
    clock: systemClock,
    random: systemRandom,
  });
  const put = (key: string, value: Uint8Array) => replicated.write({ conditions: [], operations: [{ type: 'put', key, value }] });
  await put(authorityKey, encodeRecord({ cert: 'the certificate', key: 'the key' }));
  await put(memberKey('founder'), encodeRecord(member('founder', 'machine-1')));
  return { store: replicated, service: new JoinService(replicated, systemClock) };
}

const join = (service: JoinService, token: string, newcomer: MemberRecord, answeredBy = 'founder') =>
  joinCluster({
    address: '10.0.0.1:7420',
    token,
    self: newcomer,
    ask: async (_address, request) => ({ from: answeredBy, answer: await service.answer('founder', newcomer.id, request) }),
  });

async function refusal(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('it was not refused');
}

test('a machine with a good token learns the members and is recorded', async () => {
  const { store, service } = await cluster();
  const members = await join(service, await service.issueToken(60_000), member('newcomer', 'machine-2'));
  assert.equal(members.map((one) => one.id).sort(), ['founder', 'newcomer']);
  assert.ok(store.get(memberKey('newcomer')));
});

test('what lets a machine in, and the key of the authority, are sealed, also where they were in the clear before', async () => {
  const { store, service } = await cluster();
  const before = await service.issueToken(60_000);
  const clusterKey = randomBytes(32);
  const keys = encodeKeys(firstKeys(clusterKey));
  await store.write({ conditions: [], operations: [{ type: 'put', key: sealingKeysKey, value: keys }] });
  const sealing = new Sealing({ store, clusterKey, resources: [], logger: silentLogger });
  const opening = deferred<ClusterStore>();
  const sealed = new JoinService(opening.promise, systemClock);
  const waiting = join(sealed, before, member('newcomer', 'machine-2'));
  opening.resolve(sealing.store);
  assert.is((await waiting).length, 2, 'a newcomer that asks early is answered when the store is open');
  await sealed.issueToken(60_000);
  const raw = () => store.list('/kontiki/').records.filter(({ key }) => key === authorityKey || key.startsWith(tokenPrefix));
  assert.is(raw().filter(({ value }) => sealedBy(value) !== undefined).length, 1, 'the token that was made since');

  const stop = new AbortController();
  const rewriting = sealing.keepRewriting(stop.signal).catch(() => undefined);
  while (raw().some(({ value }) => sealedBy(value) === undefined)) await setImmediate();
  stop.abort();
  await rewriting;
  assert.is(authorityOf(sealing.store).key, 'the key');
  assert.is(listTokens(sealing.store, 0).length, 2);
  assert.is((await join(sealed, before, member('third', 'machine-3'))).length, 3, 'a token from before is still good');
  sealing.close();
});

test('joining again with the same identity is harmless', async () => {
  const { service } = await cluster();
  const token = await service.issueToken(60_000);
  await join(service, token, member('newcomer', 'machine-2'));
  assert.is((await join(service, token, member('newcomer', 'machine-2'))).length, 2);
});

test('a wrong secret, an expired token and a malformed one are refused and say what to do', async () => {
  const { store, service } = await cluster();
  const token = await service.issueToken(60_000);
  const wrong = token.slice(0, -4) + (token.endsWith('0000') ? '1111' : '0000');
  assert.match(await refusal(join(service, wrong, member('newcomer', 'machine-2'))), /token is wrong.*kontiki token create/);
  assert.match(
    await refusal(join(service, await service.issueToken(-1), member('n', 'machine-2'))),
    /expired.*kontiki token create/,
  );
  assert.match(await refusal(join(service, 'secret', member('n', 'machine-2'))), /not a join token/);
  assert.is(store.get(memberKey('newcomer')), undefined);
});

test('a name that is taken is refused', async () => {
  const { service } = await cluster();
  const message = await refusal(join(service, await service.issueToken(60_000), member('newcomer', 'machine-1')));
  assert.match(message, /machine named machine-1 is already a member/);
});

test('a proof made for one member is worthless to another', async () => {
  const { service } = await cluster();
  const message = await refusal(join(service, await service.issueToken(60_000), member('newcomer', 'machine-2'), 'impostor'));
  assert.match(message, /token is wrong/);
});

test('a member of another cluster is found out by the newcomer', async () => {
  const { service } = await cluster();
  const token = (await service.issueToken(60_000)).replace(/^kontiki\.[0-9a-f]{32}/, `kontiki.${'0'.repeat(32)}`);
  assert.match(
    await refusal(join(service, token, member('newcomer', 'machine-2'))),
    /not a member of the cluster that made this token/,
  );
});

test('requests that are no requests are refused', async () => {
  const { service } = await cluster();
  for (const text of ['', '{', '{"type":"join"}', '{"type":"join","member":{"nodeName":"A B"}}']) {
    const answer = JSON.parse(Buffer.from(await service.answer('founder', 'x', Buffer.from(text))).toString());
    assert.is(answer.type, 'refused');
  }
});

test.run();
