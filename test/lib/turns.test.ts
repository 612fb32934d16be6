/** Lines of waiting tasks: order, leaving, ending. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Turns } from '../../src/lib/turns.ts';

const test = suite('turns');

test('first come, first served, and one at a time', async () => {
  const turns = new Turns();
  const order: number[] = [];
  let inside = 0;
  const work = async (number: number) => {
    const end = await turns.take('key');
    assert.is(++inside, 1);
    order.push(number);
    await Promise.resolve();
    inside--;
    end();
    end();
  };
  await Promise.all([0, 1, 2, 3, 4].map(work));
  assert.equal(order, [0, 1, 2, 3, 4]);
  assert.not(turns.isTaken('key'));
});

test('keys do not wait for each other', async () => {
  const turns = new Turns();
  await turns.take('a');
  (await turns.take('b'))();
  assert.ok(turns.isTaken('a'));
  assert.not(turns.isTaken('b'));
});

test('who gives up leaves the line, also in the moment when the turn comes', async () => {
  const turns = new Turns();
  const end = await turns.take('key');
  const abort = new AbortController();
  const impatient = turns.take('key', abort.signal).catch((error: Error) => error.message);
  const late = new AbortController();
  const tooLate = turns.take('key', late.signal).catch((error: Error) => error.message);
  const last = turns.take('key');
  abort.abort(new Error('gone'));
  assert.is(await impatient, 'gone');
  end();
  late.abort(new Error('late'));
  const outcome = await tooLate;
  if (typeof outcome === 'function') outcome();
  (await last)();
  assert.not(turns.isTaken('key'));
  const error = await turns.take('key', abort.signal).catch((reason: Error) => reason.message);
  assert.is(error, 'gone');
});

test.run();
