/** Three real peer threads under one main thread, which then stalls as badly as a main thread can. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConsensusStatus, Entry } from '../../src/consensus/types.ts';
import { delay, systemClock } from '../../src/lib/clock.ts';
import { PeerThread } from '../../src/node/peer-thread-handle.ts';
import { encodeTransaction, Store } from '../../src/store/index.ts';
import { generateIdentity } from '../../src/transport/index.ts';

const stall = suite('a stall of the main thread');
const dir = mkdtempSync(join(tmpdir(), 'ktk-stall-'));
const stallMs = 10_000;
/** Reports come twice a second. A longer gap means that the machine itself kept the peer threads from running. */
const gapMsMax = 800;
const roundsMax = 3;

interface Peer {
  id: string;
  thread: PeerThread;
  store: Store;
  /** While it is set, entries are not taken. */
  held: Promise<void> | undefined;
  fatal: string[];
  /** When the peer thread reported the health of all, on the wall. */
  reportsMs: number[];
}

let peers: Peer[] = [];
let writes = 0;

async function startPeer(number: number): Promise<Peer> {
  const { id, privateKey } = await generateIdentity();
  const folder = join(dir, String(number));
  const store = await Store.open();
  const peer: Peer = { id, store, held: undefined, fatal: [], reportsMs: [] } as unknown as Peer;
  peer.thread = new PeerThread(
    {
      id,
      privateKey: Buffer.from(privateKey).toString('base64'),
      incarnation: 1,
      nodeName: `peer-${number}`,
      nodeIp: '127.0.0.1',
      peerPort: 0,
      raftDir: `${folder}-raft`,
      agentSocket: `${folder}-agent`,
      streamsSocket: `${folder}-streams`,
      leaseSocket: `${folder}-lease`,
      durable: store.durable(),
      logLevel: 'error',
    },
    store,
    {
      onEntries: async (entries: Entry[]) => {
        await peer.held;
        store.apply(entries);
      },
      beforeRestore: async () => undefined,
      onRestored: () => undefined,
      distrusted: () => undefined,
      onStateJudged: () => undefined,
      onChanged: () => undefined,
      onHealth: (views) => void peer.reportsMs.push(views[0]!.lastHeartbeatMs),
      onFatal: (message) => void peer.fatal.push(message),
      onAsk: async () => new Uint8Array(),
    },
  );
  return peer;
}

const statuses = (): Promise<ConsensusStatus[]> => Promise.all(peers.map(({ thread }) => thread.call('status', null)));

async function until<T>(what: string, probe: () => Promise<T | undefined>): Promise<T> {
  const patience = AbortSignal.timeout(20_000);
  while (!patience.aborted) {
    const value = await probe().catch(() => undefined);
    if (value !== undefined) return value;
    await delay(systemClock, 50);
  }
  throw new Error(`${what}: not in time`);
}

const agreed = () =>
  until('one leader of three voters', async () => {
    const all = await statuses();
    const [first] = all;
    const same = all.every(
      ({ leader, term, membership }) => leader === first?.leader && term === first?.term && membership.voters.length === 3,
    );
    return same && first?.leader !== undefined ? { leader: first.leader, term: first.term } : undefined;
  });

stall.before(async () => {
  peers = await Promise.all([1, 2, 3].map(startPeer));
  const members = await Promise.all(
    peers.map(async ({ id, thread }, i) => ({ id, nodeName: `peer-${i + 1}`, addresses: await thread.call('addresses', null) })),
  );
  await Promise.all(peers.map(({ thread }, i) => thread.call('start', { members, bootstrap: i === 0, expectsLog: false })));
  const [first, ...others] = peers;
  for (const { id } of others) {
    for (const type of ['addLearner', 'promote'] as const) {
      await until(type, async () => {
        await first!.thread.changeMembership({ type, peer: id });
        return true;
      });
    }
  }
  await agreed();
});

stall.after(async () => {
  await Promise.all(peers.map(({ thread }) => thread.stop()));
  rmSync(dir, { recursive: true, force: true });
});

/** Whether every peer thread could run all the time: what happens to starved threads says nothing about the main thread. */
function ranThroughout(fromMs: number, toMs: number): boolean {
  return peers.every(({ reportsMs }) => {
    const within = [fromMs, ...reportsMs.filter((atMs) => atMs > fromMs && atMs < toMs), toMs];
    return within.every((atMs, i) => i === 0 || atMs - within[i - 1]! <= gapMsMax);
  });
}

/** Leader and term are the same before and after `run`; again when the machine starved the threads, as shown by their reports. */
async function keepsItsPlace(run: () => Promise<void>): Promise<void> {
  for (let round = 1; ; round++) {
    const before = await agreed();
    const fromMs = Date.now();
    await run();
    const toMs = Date.now();
    const after = await agreed();
    if (after.leader === before.leader && after.term === before.term && ranThroughout(fromMs, toMs)) return;
    if (ranThroughout(fromMs, toMs) || round === roundsMax) assert.equal(after, before);
    if (round === roundsMax) return;
  }
}

const write = (key: string) =>
  encodeTransaction({
    requestId: key,
    conditions: [],
    operations: [{ type: 'put', key, value: Buffer.from('v') }],
  });

stall('ten seconds without any main thread cost the leader nothing: the same leader, the same term', async () => {
  await keepsItsPlace(async () => {
    const underWay = peers.map(({ thread }) => thread.propose(write(`/stalled/${++writes}`)));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs);
    await Promise.all(underWay);
  });
  for (const { fatal } of peers) assert.equal(fatal, []);
});

stall('a store that takes no entries holds up neither heartbeats nor commits, and takes them all afterwards', async () => {
  await keepsItsPlace(async () => {
    const released = Promise.withResolvers<void>();
    for (const peer of peers) peer.held = released.promise;
    const started = performance.now();
    // Longer than any election timeout: a leader whose applying held up its heartbeats would be gone.
    while (performance.now() - started < 3_000) await peers[writes % 3]!.thread.propose(write(`/held/${++writes}`));
    released.resolve();
    for (const peer of peers) peer.held = undefined;
    await until('all entries', async () =>
      peers.every(({ store }) => store.get(`/held/${writes}`) !== undefined) ? true : undefined,
    );
  });
  assert.is(new Set(peers.map(({ store }) => store.list('/held/').records.length)).size, 1);
});

stall.run();
