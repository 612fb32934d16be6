import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { judgeState } from '../../src/node/state-exchange.ts';

const at = (...pairs: [number, string][]) => pairs.map(([index, hash]) => ({ index, hash }));
const heard = (others: Record<string, ReturnType<typeof at>>) => new Map(Object.entries(others));

test('equal hashes at a common index are equal, wherever else each peer is', () => {
  const own = at([1000, 'a'], [2000, 'b']);
  assert.equal(judgeState(own, heard({ two: at([2000, 'b'], [3000, 'c']), three: at([1000, 'a']) }), 3), { kind: 'equal' });
});

test('a peer that two of three contradict is odd', () => {
  const judgement = judgeState(at([1000, 'x']), heard({ two: at([1000, 'a']), three: at([1000, 'a']) }), 3);
  assert.equal(judgement, { kind: 'odd', index: 1000, own: 'x', majority: 'a', agreeing: ['two', 'three'] });
});

test('a peer that agrees with one of three is not odd, the third is', () => {
  assert.is(judgeState(at([1000, 'a']), heard({ two: at([1000, 'a']), three: at([1000, 'x']) }), 3).kind, 'equal');
});

test('one against one decides nothing, whether there are two members or three', () => {
  for (const members of [2, 3]) {
    assert.equal(judgeState(at([1000, 'x']), heard({ two: at([1000, 'a']) }), members), {
      kind: 'split',
      index: 1000,
      own: 'x',
      others: { two: 'a' },
    });
  }
});

test('two of five that agree against this peer are no majority', () => {
  assert.is(judgeState(at([1000, 'x']), heard({ two: at([1000, 'a']), three: at([1000, 'a']) }), 5).kind, 'split');
});

test('an older index decides where the newest was heard of too few', () => {
  const own = at([1000, 'x'], [2000, 'y']);
  const others = heard({ two: at([1000, 'a'], [2000, 'b']), three: at([1000, 'a']) });
  assert.is(judgeState(own, others, 3).kind, 'odd');
});

test('nothing in common is no difference', () => {
  assert.equal(judgeState(at([1000, 'x']), heard({ two: at([2000, 'a']), three: [] }), 3), { kind: 'equal' });
  assert.equal(judgeState([], heard({ two: at([2000, 'a']) }), 3), { kind: 'equal' });
});

test.run();
