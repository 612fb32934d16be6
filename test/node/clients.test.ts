/** What a machine without a log lives by: whom it asks, what it is told, and what its record says. */
import { Duplex, PassThrough, Readable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { seededRandom } from '../../src/lib/random.ts';
import {
  decodeRecord,
  encodeRecord,
  type LogPlace,
  type MemberRecord,
  memberKey,
  type Wanted,
} from '../../src/node/cluster-records.ts';
import { clusterRoutes, type MemberNews } from '../../src/node/cluster-routes.ts';
import { placeOfNewcomer } from '../../src/node/join.ts';
import { holdersWanted } from '../../src/node/log-holders.ts';
import type { MemberAsks } from '../../src/node/member-asks.ts';
import { MemberFeed } from '../../src/node/member-feed.ts';
import { putOwnFacts, setLogPlace } from '../../src/node/member-record.ts';
import { chooseVoter, type HeardVoter, VoterDoor } from '../../src/node/voter-door.ts';
import { storeOfOne } from './store-of-one.ts';

const random = seededRandom(1);
const heard = (peer: string, more: Partial<HeardVoter> = {}): HeardVoter => ({ peer, verdict: 'alive', leaseMs: 3_000, ...more });

test('the voter that serves is kept as long as it is as good as any', () => {
  const voters = [heard('a'), heard('b'), heard('c', { leaseMs: 0 }), heard('d', { verdict: 'suspect' })];
  const linked = ['a', 'b', 'c', 'd', 'learner'];
  for (const present of ['a', 'b']) assert.is(chooseVoter(linked, voters, present, random), present);
  for (const present of ['c', 'd', 'learner', 'gone', undefined]) {
    assert.ok(['a', 'b'].includes(chooseVoter(linked, voters, present, random) ?? ''), `from ${present}`);
  }
  assert.is(chooseVoter(['b', 'c'], voters, 'a', random), 'b', 'it is linked no more');
});

test('without a quorum the voter that is there stays, and a machine of which nothing was heard is better than none', () => {
  const cut = [heard('a', { leaseMs: 0 }), heard('b', { leaseMs: 0 })];
  assert.is(chooseVoter(['a', 'b'], cut, 'b', random), 'b');
  assert.is(chooseVoter(['unheard'], [], undefined, random), 'unheard');
  assert.is(chooseVoter(['unheard', 'a'], cut, undefined, random), 'a');
  assert.is(chooseVoter([], cut, 'a', random), undefined);
});

/** A stream of which the test has both ends. */
function streamPair(): { near: Duplex; far: Duplex } {
  const [there, back] = [new PassThrough(), new PassThrough()];
  return { near: Duplex.from({ readable: back, writable: there }), far: Duplex.from({ readable: there, writable: back }) };
}

function door(peers: Record<string, 'takes' | 'refuses' | 'is busy'>, voters: HeardVoter[]) {
  const asked: string[] = [];
  const made = new VoterDoor({
    linked: () => Object.keys(peers),
    voters: () => voters,
    openStream: async (peer) => {
      asked.push(peer);
      if (peers[peer] === 'refuses') throw new Error(`${peer} refuses`);
      const { near, far } = streamPair();
      for (const end of [near, far]) end.on('error', () => undefined);
      if (peers[peer] === 'takes') far.write(`\n${peer}`);
      else far.end();
      return near;
    },
    clock: systemClock,
    random,
    logger: silentLogger,
  });
  return { made, asked };
}

test('a stream that one does not take is opened to another, and its bytes are those of the other side', async () => {
  const { made, asked } = door({ a: 'refuses', b: 'is busy', c: 'takes' }, [heard('a'), heard('b'), heard('c')]);
  const stream = await made.open('door-api', AbortSignal.timeout(60_000));
  assert.is(asked.at(-1), 'c');
  assert.is(made.present, 'c');
  assert.is(String(await new Promise((resolve) => stream.once('data', resolve))), 'c');
  const other = await door({ a: 'takes', b: 'takes' }, [heard('a')]).made.open('door-control', AbortSignal.timeout(60_000), 'a');
  assert.is(
    String(await new Promise((resolve) => other.once('data', resolve))),
    'b',
    'the machine that is excepted is not asked',
  );
});

test('what is open to a machine ends when it is cut off, and not before', async () => {
  const voters = [heard('a')];
  const peers: Record<string, 'takes'> = { a: 'takes' };
  const { made } = door(peers, voters);
  const stream = await made.open('door-api', AbortSignal.timeout(60_000));
  const closed = new Promise((resolve) => stream.once('close', resolve));
  made.review();
  assert.is(stream.destroyed, false);
  peers.b = 'takes';
  voters.splice(0, 1, heard('a', { leaseMs: 0 }), heard('b'));
  made.review();
  assert.is(made.present, 'b');
  await closed;
  const gone = new AbortController();
  const waiting = door({}, []).made.open('door-api', gone.signal);
  gone.abort(new Error('the asker has gone'));
  await waiting.then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.message, 'the asker has gone'),
  );
});

const record = (id: string, more: Partial<MemberRecord> = {}): MemberRecord => ({
  ...{ id, nodeName: `node-${id}`, addresses: ['/ip4/10.0.0.1/tcp/7420'], apiAddress: '10.0.0.1', apiPort: 6443 },
  ...more,
});

test('so many hold the log as can vote, and of few machines all', () => {
  assert.equal([1, 2, 3, 4, 5, 6, 7, 300].map(holdersWanted), [1, 2, 3, 3, 5, 5, 5, 5]);
});

test('a newcomer holds the log from the start when it will be needed', () => {
  const others = (text: string) =>
    [...text].map((mark, n) => {
      const log: LogPlace | undefined = { h: 'held', c: 'called', n: 'none', d: 'dismissed' }[mark] as LogPlace | undefined;
      const wanted: Wanted = mark === 'w' ? 'client' : mark === 'g' ? 'gone' : 'auto';
      return record(String(n), { wanted, ...(log ? { log } : {}) });
    });
  const table: [string, string][] = [
    ['h', 'held'],
    ['hh', 'held'],
    ['hhh', 'none'],
    ['hhhn', 'held'],
    ['hhhc', 'held'],
    ['hhhhh', 'none'],
    ['hhd', 'held'],
    ['hhhw', 'none'],
    ['hhg', 'held'],
    ['oo', 'held'],
    ['ooo', 'none'],
  ];
  for (const [before, place] of table) assert.is(placeOfNewcomer(others(before)), place, before);
});

test('a place is only left for the next one, and what others wrote into a record stays', async () => {
  const { store, put } = await storeOfOne();
  const log = () => decodeRecord<MemberRecord>(store.get(memberKey('b'))?.value ?? Buffer.from('{}')).log;
  assert.is(await setLogPlace(store, 'b', ['none'], 'called'), false, 'no record');
  await put(memberKey('b'), encodeRecord(record('b', { wanted: 'voter', log: 'none' })));
  assert.is(await setLogPlace(store, 'b', ['held'], 'dismissed'), false);
  assert.is(log(), 'none');
  assert.is(await setLogPlace(store, 'b', ['none'], 'called'), true);
  assert.is(log(), 'called');
  assert.is(await putOwnFacts(store, record('b', { apiPort: 7, log: 'held' })), true);
  const now = decodeRecord<MemberRecord>(store.get(memberKey('b'))?.value ?? Buffer.from('{}'));
  assert.equal([now.apiPort, now.wanted, now.log], [7, 'voter', 'called']);
  assert.is(await putOwnFacts(store, record('c')), false, 'who was removed does not come back');
  await put(memberKey('old'), encodeRecord(record('old')));
  await putOwnFacts(store, record('old'));
  assert.is(decodeRecord<MemberRecord>(store.get(memberKey('old'))?.value ?? Buffer.from('{}')).log, 'held');
});

test('members are followed line by line, from a read that is up to date, and again after a loss', async () => {
  const { store, put } = await storeOfOne();
  await put(memberKey('b'), encodeRecord(record('b', { log: 'none' })));
  let index = 5;
  const routes = clusterRoutes({ store, applied: () => index, asks: {} as MemberAsks, clock: systemClock });
  const seen: MemberNews[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const reached = (count: number) => new Promise<void>((resolve) => waiting.push({ count, resolve }));
  let answer: Readable | undefined;
  const feed = new MemberFeed({
    door: {
      stream: async (_method, _path, _body, signal) => {
        const bytes = await routes['GET /cluster/members']?.(undefined, signal);
        answer = Readable.from(bytes as AsyncIterable<Uint8Array>, { objectMode: false });
        return answer as never;
      },
    },
    onNews: async (news) => {
      seen.push(news);
      for (const { count, resolve } of waiting) if (seen.length >= count) resolve();
      if (seen.length === 2) throw new Error('the connection breaks');
    },
    clock: systemClock,
    logger: silentLogger,
  });
  const first = reached(1);
  feed.start();
  await first;
  assert.equal(seen[0], { index: 5, members: [{ ...plain(record('b')), log: 'none' }] });
  index = 9;
  const third = reached(3);
  await setLogPlace(store, 'b', ['none'], 'called');
  await third;
  assert.is(seen[1]?.index, 9);
  assert.is(seen[2]?.members[0]?.log, 'called', 'told again after the loss');
  await feed.stop();
});

const plain = ({ id, nodeName, addresses }: MemberRecord) => ({ id, addresses, nodeName });

test.run();
