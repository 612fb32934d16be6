/** Long work gives way, slice by slice. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Turns } from '../../src/lib/turns.ts';

/** Time moves by `stepMs` with every look at it. */
function turnsWith(stepMs: number): Turns {
  let nowMs = 0;
  const monotonicMs = () => {
    nowMs += stepMs;
    return nowMs;
  };
  return new Turns({ wallMs: () => 0, monotonicMs, setTimer: () => ({ cancel: () => undefined }) });
}

/** What each has done in which round of the event loop. */
async function worked(turns: Turns, names: string[]): Promise<string[]> {
  const log: string[] = [];
  let round = 0;
  let counting = true;
  const count = () => {
    round++;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  await Promise.all(
    names.map(async (name) => {
      await turns.next();
      log.push(`${name}${round}`);
    }),
  );
  counting = false;
  return log;
}

test('while there is time all go on at once', async () => {
  assert.equal(await worked(turnsWith(0), ['a', 'b', 'c']), ['a0', 'b0', 'c0']);
});

test('after a slice the others wait for the next rounds, first come, first served', async () => {
  const log = await worked(turnsWith(10), ['a', 'b', 'c', 'd']);
  assert.equal(
    log.map((entry) => entry[0]),
    ['a', 'b', 'c', 'd'],
  );
  const rounds = log.map((entry) => Number(entry.slice(1)));
  assert.equal(new Set(rounds).size, rounds.length, log.join());
});

test('several that are quick share a slice', async () => {
  const log = await worked(turnsWith(2), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
  const rounds = new Set(log.map((entry) => entry.slice(1)));
  assert.is(log.length, 8);
  assert.ok(rounds.size > 1 && rounds.size < 8, log.join());
});

test('a slice ends with the round of the event loop', async () => {
  const turns = turnsWith(3);
  assert.not(turns.over());
  assert.not(turns.over());
  assert.ok(turns.over());
  await new Promise((resolve) => setImmediate(resolve));
  assert.not(turns.over());
});

test.run();
