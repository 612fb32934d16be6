/** When images that nobody needs are removed, and what is said of it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AgentError } from '../../src/agent/errors.ts';
import { bytesToFree, type GarbagePolicy, usedPercent } from '../../src/agent/images/garbage.ts';
import { ImageCollector } from '../../src/agent/images/image-collector.ts';
import type { ImageUse } from '../../src/agent/types.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { ManualClock } from '../client/manual-clock.ts';

const minuteMs = 60_000;
const never = new AbortController().signal;
const policy: GarbagePolicy = { highPercent: 85, lowPercent: 80, minimumAgeMs: 2 * minuteMs, maximumAgeMs: 0 };

/** Images on a disk of 100,000 bytes, some of which are others'. An image in `guarded` refuses to go when it comes to it. */
function machine(change: Partial<GarbagePolicy> = {}) {
  const clock = new ManualClock();
  const state = {
    clock,
    capacityBytes: 100_000,
    otherBytes: 0,
    images: [] as ImageUse[],
    guarded: '',
    seen: [] as string[],
    saved: 0,
    add(id: string, sizeBytes: number, more: Partial<ImageUse> = {}) {
      const nowMs = clock.wallMs();
      state.images.push({
        id,
        references: [],
        digests: [],
        sizeBytes,
        usedBy: [],
        pinned: false,
        usedAtMs: 0,
        addedAtMs: nowMs,
        ...more,
      });
    },
    ids: () => state.images.map(({ id }) => id).join(' '),
  };
  const collector = new ImageCollector({
    images: {
      uses: () => state.images.map((use) => ({ ...use })),
      async remove(id) {
        if (id === state.guarded) throw new AgentError('ImageInUse', 'somebody came');
        const gone = state.images.find((use) => use.id === id)!;
        state.images = state.images.filter((use) => use !== gone);
        return { untagged: [], deleted: [id], freedBytes: gone.sizeBytes };
      },
      async saveUses() {
        state.saved++;
      },
    },
    policy: { ...policy, ...change },
    disk: async () => {
      const usedBytes = state.images.reduce((sum, { sizeBytes }) => sum + sizeBytes, state.otherBytes);
      return { capacityBytes: state.capacityBytes, availableBytes: state.capacityBytes - usedBytes };
    },
    warn: (reason, message) => state.seen.push(`${reason}: ${message}`),
    onRemoved: () => state.seen.push('removed'),
    clock,
    logger: silentLogger,
  });
  return Object.assign(state, { collector, round: () => collector.collect(never) });
}

async function fails(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.is((error as AgentError | undefined)?.code, 'ImageCollection');
  return (error as AgentError).message;
}

test('what is not wholly free counts as used; between the thresholds nothing goes', () => {
  const disk = (availableBytes: number) => ({ capacityBytes: 1_000, availableBytes });
  assert.equal(
    [1_000, 999, 151, 150, 149, 0, 2_000].map((free) => usedPercent(disk(free))),
    [0, 1, 85, 85, 86, 100, 0],
  );
  assert.equal(
    [161, 160, 159, 150, 0].map((free) => bytesToFree(disk(free), policy)),
    [0, 0, 41, 50, 200],
  );
  assert.is(bytesToFree(disk(0), { ...policy, highPercent: 100 }), 0);
});

test('above the high threshold images go until the low one, least recently used first', async () => {
  const here = machine();
  const nowMs = here.clock.wallMs();
  here.add('used-late', 20_000, { usedAtMs: nowMs + 2 });
  here.add('came-late', 20_000, { addedAtMs: nowMs });
  here.add('used-early', 20_000, { usedAtMs: nowMs + 1 });
  here.add('came-early', 20_000, { addedAtMs: nowMs - 1 });
  await here.clock.advance(3 * minuteMs);
  await here.round();
  assert.is(here.ids(), 'used-late came-late used-early came-early');
  here.otherBytes = 5_000;
  await here.round();
  assert.is(here.ids(), 'used-late came-late used-early');
  here.otherBytes = 50_000;
  await here.round();
  assert.is(here.ids(), 'used-late');
  assert.equal(here.seen, ['removed', 'removed', 'removed']);
});

test('images in use, pinned, or young stay, and that this is not enough is told in the words of Kubernetes', async () => {
  const here = machine();
  here.add('in-use', 10_000, { usedBy: ['pod a/b'] });
  here.add('pinned', 10_000, { pinned: true });
  here.add('free', 10_000);
  here.add('taken-meanwhile', 10_000);
  here.guarded = 'taken-meanwhile';
  await here.clock.advance(2 * minuteMs);
  here.add('came-now', 10_000);
  here.add('used-now', 10_000, { addedAtMs: 0, usedAtMs: here.clock.wallMs() - 2 * minuteMs + 1 });
  here.otherBytes = 40_000;
  const message =
    'Failed to garbage collect required amount of images. Attempted to free 20000 bytes, but only found 10000 bytes eligible to free.';
  assert.is(await fails(here.round()), message);
  assert.is(here.ids(), 'in-use pinned taken-meanwhile came-now used-now');
  assert.equal(here.seen, ['removed', `FreeDiskSpaceFailed: ${message}`]);
});

test('an agent that has just started takes nothing of what it found before the minimum age is over', async () => {
  const here = machine();
  here.add('found', 90_000, { addedAtMs: 0 });
  await fails(here.round());
  await here.clock.advance(2 * minuteMs - 1);
  await fails(here.round());
  assert.is(here.ids(), 'found');
  await here.clock.advance(1);
  await here.round();
  assert.is(here.ids(), '');
});

test('an image that nobody has used for the maximum age goes whatever the disk says, also with the thresholds off', async () => {
  const here = machine({ maximumAgeMs: 10 * minuteMs, highPercent: 100 });
  const nowMs = here.clock.wallMs();
  here.add('a', 1);
  here.add('b', 1, { usedAtMs: nowMs + minuteMs });
  here.add('c', 1, { pinned: true });
  here.add('d', 1, { addedAtMs: 0 });
  here.otherBytes = 99_000;
  await here.clock.advance(10 * minuteMs);
  await here.round();
  assert.is(here.ids(), 'a b c d');
  await here.clock.advance(1);
  await here.round();
  assert.is(here.ids(), 'b c');
  await here.clock.advance(minuteMs);
  await here.round();
  assert.is(here.ids(), 'c');
});

test('it looks every five minutes, says ImageGCFailed from the second failure in a row on, and writes uses down', async () => {
  const here = machine();
  here.capacityBytes = 0;
  here.collector.start();
  const invalid = 'InvalidDiskCapacity: invalid capacity 0 on image filesystem';
  await here.clock.advance(minuteMs);
  assert.equal(here.seen, [invalid]);
  await here.clock.advance(5 * minuteMs);
  assert.equal(here.seen, [invalid, invalid, 'ImageGCFailed: invalid capacity 0 on image filesystem']);
  here.capacityBytes = 100_000;
  await here.clock.advance(5 * minuteMs);
  here.capacityBytes = 0;
  await here.clock.advance(5 * minuteMs);
  assert.is(here.seen.length, 4, 'after a good round it counts anew');
  assert.is(here.saved, 4);
  await here.collector.stop();
  assert.is(here.saved, 5);
});

test.run();
