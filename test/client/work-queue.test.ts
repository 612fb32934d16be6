import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deferred } from '../../src/lib/deferred.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { WorkQueue } from '../../src/machinery/work-queue.ts';
import { ManualClock, settle } from './manual-clock.ts';

function setUp() {
  const clock = new ManualClock();
  return { clock, queue: new WorkQueue({ clock, logger: silentLogger }), abort: new AbortController() };
}

test('a key added many times before it is handled is handled once', async () => {
  const { queue, abort } = setUp();
  const handled: string[] = [];
  for (const key of ['a', 'a', 'b', 'a']) queue.add(key);
  const ended = queue.run(2, async (key) => void handled.push(key), abort.signal);
  await settle();
  assert.equal(handled, ['a', 'b']);
  abort.abort();
  await ended;
});

test('one key is never handled twice at a time, and once more when it came while it was handled', async () => {
  const { queue, abort } = setUp();
  const gates = [deferred<void>(), deferred<void>()];
  let running = 0;
  let most = 0;
  let runs = 0;
  const handler = async () => {
    running += 1;
    most = Math.max(most, running);
    await gates[runs++]?.promise;
    running -= 1;
  };
  const ended = queue.run(4, handler, abort.signal);
  queue.add('a');
  await settle();
  queue.add('a');
  queue.add('a');
  await settle();
  assert.is(runs, 1);
  gates[0]?.resolve();
  await settle();
  assert.is(runs, 2);
  gates[1]?.resolve();
  await settle();
  assert.is(runs, 2);
  assert.is(most, 1);
  assert.ok(queue.idle);
  abort.abort();
  await ended;
});

test('a handler that fails gets its key again, later each time, until it succeeds', async () => {
  const { clock, queue, abort } = setUp();
  const times: number[] = [];
  const ended = queue.run(
    1,
    async () => {
      times.push(clock.monotonicMs());
      if (times.length < 5) throw new Error('not yet');
    },
    abort.signal,
  );
  queue.add('a');
  await clock.advance(10_000);
  assert.equal(times, [0, 10, 30, 70, 150]);
  queue.retry('a');
  await clock.advance(10);
  assert.is(times.length, 6, 'success has reset the back-off');
  abort.abort();
  await ended;
});

test('of several delays for one key the earliest counts', async () => {
  const { clock, queue, abort } = setUp();
  const times: number[] = [];
  const ended = queue.run(1, async () => void times.push(clock.monotonicMs()), abort.signal);
  queue.addAfter('a', 500);
  queue.addAfter('a', 100);
  queue.addAfter('a', 900);
  await clock.advance(2_000);
  assert.equal(times, [100]);
  abort.abort();
  await ended;
});

test('run ends with its signal, after the handlers under way, and leaves no timer', async () => {
  const { clock, queue, abort } = setUp();
  const gate = deferred<void>();
  let finished = false;
  const ended = queue.run(
    1,
    async () => {
      await gate.promise;
      finished = true;
    },
    abort.signal,
  );
  queue.add('a');
  queue.addAfter('b', 1_000);
  await settle();
  abort.abort();
  gate.resolve();
  await ended;
  assert.ok(finished);
  assert.is(clock.timers, 0);
});

test.run();
