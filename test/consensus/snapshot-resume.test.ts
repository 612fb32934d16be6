/** Snapshots that stop on their way go on where they stopped, whoever sends the rest. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { WireMessage } from '../../src/consensus/frames.ts';
import { SnapshotTransfers } from '../../src/consensus/snapshots.ts';
import type { SnapshotMeta } from '../../src/consensus/types.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { seededRandom } from '../../src/lib/random.ts';
import { ManualClock, settle } from '../client/manual-clock.ts';

const membership = { voters: ['a', 'b', 'c'], votersOutgoing: [], learners: [] };
const logger = createLogger('test', 'error');
logger.warn = () => undefined;
const chunkBytes = 1000;
const chunkCount = 12;

const image = (salt: number) => Array.from({ length: chunkCount }, (_, n) => new Uint8Array(chunkBytes).fill(n * 7 + salt));
type Snapshotted = Extract<WireMessage, { kind: 'snapshotItem' | 'snapshotAck' | 'snapshotAbort' | 'snapshotResume' }>;

/** Peers whose messages arrive at once, unless their link is cut. What each has sent of snapshots is counted. */
function world() {
  const clock = new ManualClock();
  const peers = new Map<string, ReturnType<typeof peer>>();
  const cut = new Set<string>();
  const sentBytes: Record<string, number> = {};
  /** The link from this peer breaks after so many chunks. */
  const breaksAfter: Record<string, number> = {};

  function peer(id: string, { index, chunks }: { index: number; chunks: Uint8Array[] }) {
    const outcome = { restored: [] as number[][], sent: [] as (number | undefined)[], failures: 0 };
    let stored = index;
    const transfers: SnapshotTransfers = new SnapshotTransfers({
      clock,
      random: seededRandom(id.charCodeAt(0)),
      logger,
      stateMachine: {
        apply: async () => undefined,
        durable: () => ({ index: stored, term: 1 }),
        snapshot: async () => ({
          index,
          term: 1,
          chunks: (async function* () {
            for (const chunk of chunks) yield chunk;
          })(),
        }),
        restore: async (meta, received) => {
          const got: number[] = [];
          for await (const chunk of received) {
            for (const byte of chunk) got.push(byte);
            await settle();
          }
          outcome.restored.push(got);
          stored = meta.index;
        },
      },
      send: (to, message) => {
        if (message.kind === 'snapshotItem' && message.item.type === 'chunk' && !cut.has(id)) {
          sentBytes[id] = (sentBytes[id] ?? 0) + message.item.data.byteLength;
          if (sentBytes[id] > (breaksAfter[id] ?? Number.POSITIVE_INFINITY) * chunkBytes) cut.add(id);
        }
        setImmediate(() => {
          if (!cut.has(id) && !cut.has(to)) peers.get(to)!.transfers.receive(id, message as Snapshotted);
        });
      },
      baseIndex: () => 0,
      membershipAt: () => membership,
      snapshotSent: (_to, sentIndex) => outcome.sent.push(sentIndex),
      offer: (_from, _term, meta: SnapshotMeta) => {
        if (meta.index > stored) transfers.restore(meta);
      },
      prepareRestore: async () => undefined,
      restored: () => undefined,
      restoreFailed: () => {
        outcome.failures++;
      },
    });
    return { transfers, outcome };
  }

  return {
    clock,
    cut,
    sentBytes,
    breaksAfter,
    add(id: string, has: { index: number; chunks: Uint8Array[] }) {
      const made = peer(id, has);
      peers.set(id, made);
      return made;
    },
    /** Time passes, in ticks of 100 ms. */
    async pass(ms: number) {
      for (let at = 0; at < ms; at += 100) {
        await clock.advance(100);
        for (const { transfers } of peers.values()) transfers.tick();
        await settle();
      }
    },
    async stop() {
      await Promise.all([...peers.values()].map(({ transfers }) => transfers.stop()));
    },
  };
}

const flat = (chunks: Uint8Array[]) => chunks.flatMap((chunk) => [...chunk]);
const nothing = { index: 0, chunks: [] };

test('a connection that is lost for twenty seconds costs no more than what was under way', async () => {
  const { add, pass, cut, sentBytes, breaksAfter, stop } = world();
  const a = add('a', { index: 9, chunks: image(1) });
  const c = add('c', nothing);
  breaksAfter.a = 5;
  a.transfers.start('c', 1);
  await pass(20_000);
  assert.equal(c.outcome.restored, []);
  breaksAfter.a = Number.POSITIVE_INFINITY;
  cut.clear();
  await pass(5_000);
  assert.equal(c.outcome.restored, [flat(image(1))]);
  assert.equal([a.outcome.sent, c.outcome.failures], [[9], 0]);
  assert.ok(sentBytes.a! <= (chunkCount + 2 * 4) * chunkBytes, `${sentBytes.a} bytes were sent`);
  await stop();
});

test('a new leader with the same snapshot sends only what is missing', async () => {
  const { add, pass, sentBytes, breaksAfter, stop } = world();
  const a = add('a', { index: 9, chunks: image(1) });
  const b = add('b', { index: 9, chunks: image(1) });
  const c = add('c', nothing);
  breaksAfter.a = 6;
  a.transfers.start('c', 1);
  await pass(1_000);
  b.transfers.start('c', 1);
  await pass(5_000);
  assert.equal(c.outcome.restored, [flat(image(1))]);
  assert.equal([b.outcome.sent, c.outcome.failures], [[9], 0]);
  assert.ok(sentBytes.b! <= (chunkCount - 4) * chunkBytes, `${sentBytes.b} bytes were sent`);
  await stop();
});

test('a snapshot of the same index with other bytes is not mixed in: it begins anew', async () => {
  const { add, pass, breaksAfter, stop } = world();
  const a = add('a', { index: 9, chunks: image(1) });
  const b = add('b', { index: 9, chunks: image(2) });
  const c = add('c', nothing);
  breaksAfter.a = 6;
  a.transfers.start('c', 1);
  await pass(1_000);
  b.transfers.start('c', 1);
  await pass(3_000);
  assert.equal(c.outcome.restored, []);
  assert.equal([b.outcome.sent, c.outcome.failures], [[undefined], 1]);
  b.transfers.start('c', 1);
  await pass(3_000);
  assert.equal(c.outcome.restored, [flat(image(2))]);
  await stop();
});

test('what a former leader still sends is not broken off by the new one, whose other snapshot waits', async () => {
  const { add, pass, stop } = world();
  const a = add('a', { index: 9, chunks: image(1) });
  const b = add('b', { index: 10, chunks: image(2) });
  const c = add('c', nothing);
  a.transfers.start('c', 1);
  await settle();
  b.transfers.start('c', 1);
  await pass(3_000);
  assert.equal(c.outcome.restored, [flat(image(1))]);
  assert.equal([a.outcome.sent, b.outcome.sent], [[9], [undefined]]);
  b.transfers.start('c', 1);
  await pass(3_000);
  assert.equal(c.outcome.restored, [flat(image(1)), flat(image(2))]);
  await stop();
});

test.run();
