import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BoundedQueue } from '../../src/lib/bounded-queue.ts';
import { type Clock, delay, type Timer } from '../../src/lib/clock.ts';
import { abortable } from '../../src/lib/deferred.ts';
import { seededRandom } from '../../src/lib/random.ts';
import { RepeatingTask } from '../../src/lib/repeating-task.ts';

/** Time that moves only when told. */
class ManualClock implements Clock {
  #nowMs = 0;
  #timers: { atMs: number; callback: () => void }[] = [];
  wallMs = () => this.#nowMs;
  monotonicMs = () => this.#nowMs;
  get timers(): number {
    return this.#timers.length;
  }
  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    const cancel = () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
    return { cancel };
  }
  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter((timer) => timer.atMs <= this.#nowMs);
    this.#timers = this.#timers.filter((timer) => timer.atMs > this.#nowMs);
    for (const timer of due) timer.callback();
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a bounded queue refuses when it is full and keeps the order', () => {
  const queue = new BoundedQueue<number>(2);
  assert.ok(queue.push(1));
  assert.ok(queue.push(2));
  assert.not(queue.push(3));
  assert.is(queue.shift(), 1);
  assert.ok(queue.push(3));
  assert.equal(queue.drain(), [2, 3]);
  assert.is(queue.shift(), undefined);
});

test('a bounded queue stays right over many turns', () => {
  const queue = new BoundedQueue<number>(5000);
  let next = 0;
  for (let n = 0; n < 20_000; n++) {
    queue.push(n);
    if (n % 3 !== 0) assert.is(queue.shift(), next++);
  }
  assert.equal(queue.drain()[0], next);
});

test('the seeded source repeats itself and differs by seed', () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    return Array.from({ length: 50 }, () => random.int(1000));
  };
  assert.equal(draw(7), draw(7));
  assert.not.equal(draw(7), draw(8));
  assert.ok(draw(3).every((value) => value >= 0 && value < 1000));
});

test('a delay ends with its time, or with the reason of its signal', async () => {
  const clock = new ManualClock();
  const done = delay(clock, 100);
  clock.advance(100);
  await done;
  const abort = new AbortController();
  const aborted = delay(clock, 100, abort.signal);
  abort.abort(new Error('no more'));
  assert.is(await aborted.catch((error: Error) => error.message), 'no more');
  assert.is(clock.timers, 0);
});

test('abortable stops waiting, whatever the promise does', async () => {
  const abort = new AbortController();
  const never = abortable(new Promise(() => undefined), abort.signal);
  abort.abort(new Error('enough'));
  assert.is(await never.catch((error: Error) => error.message), 'enough');
  assert.is(await abortable(Promise.resolve(5), new AbortController().signal), 5);
});

test('abortable after the end leaves no rejection that nobody hears', async () => {
  const unheard: unknown[] = [];
  const note = (reason: unknown) => unheard.push(reason);
  process.on('unhandledRejection', note);
  try {
    const signal = AbortSignal.abort(new Error('over'));
    assert.is(await abortable(Promise.reject(new Error('inner')), signal).catch((error: Error) => error.message), 'over');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(unheard, []);
  } finally {
    process.off('unhandledRejection', note);
  }
});

test('a repeating task goes on after an error and never overlaps with itself', async () => {
  const clock = new ManualClock();
  const errors: unknown[] = [];
  let [runs, running] = [0, 0];
  const task = new RepeatingTask({
    clock,
    intervalMs: 10,
    run: async () => {
      assert.is(++running, 1);
      await turn();
      running -= 1;
      if (++runs === 1) throw new Error('first');
    },
    onError: (error) => errors.push(error),
  });
  task.start();
  for (let step = 0; step < 12; step++) {
    await turn();
    clock.advance(10);
  }
  await task.stop();
  assert.ok(runs > 2);
  assert.is(errors.length, 1);
  const after = runs;
  clock.advance(1000);
  await turn();
  assert.is(runs, after);
});

test.run();
