import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConsensusStatus } from '../../src/consensus/types.ts';
import { nextMembershipChange, votersMax } from '../../src/node/membership-keeper.ts';

function leader(voters: string[], learners: string[] = [], match = 1000): ConsensusStatus {
  const others = [...voters, ...learners].filter((peer) => peer !== 'a');
  return {
    id: 'a',
    role: 'leader',
    term: 3,
    leader: 'a',
    committed: 1000,
    applied: 1000,
    firstIndex: 1,
    lastIndex: 1000,
    membership: { voters, votersOutgoing: [], learners },
    progress: Object.fromEntries(others.map((peer) => [peer, { match, active: true }])),
  };
}

test('a recorded machine first becomes a learner', () => {
  assert.equal(nextMembershipChange(leader(['a']), new Set(['a', 'b'])), { type: 'addLearner', peer: 'b' });
});

test('a learner is promoted only when it is active and has caught up', () => {
  const recorded = new Set(['a', 'b']);
  assert.equal(nextMembershipChange(leader(['a'], ['b'], 950), recorded), { type: 'promote', peer: 'b' });
  assert.is(nextMembershipChange(leader(['a'], ['b'], 500), recorded), undefined);
  const silent = leader(['a'], ['b']);
  silent.progress.b = { match: 1000, active: false };
  assert.is(nextMembershipChange(silent, recorded), undefined);
});

test('a learner that has nothing yet is not promoted, however short the log', () => {
  const status = { ...leader(['a'], ['b'], 0), lastIndex: 5 };
  assert.is(nextMembershipChange(status, new Set(['a', 'b'])), undefined);
});

test('there are at most five voters; further machines stay learners', () => {
  const voters = ['a', 'b', 'c', 'd', 'e'];
  assert.is(voters.length, votersMax);
  assert.is(nextMembershipChange(leader(voters, ['f']), new Set([...voters, 'f'])), undefined);
});

test('a member whose record is gone is removed', () => {
  assert.equal(nextMembershipChange(leader(['a', 'b', 'c']), new Set(['a', 'b'])), { type: 'remove', peer: 'c' });
  assert.equal(nextMembershipChange(leader(['a'], ['b']), new Set(['a'])), { type: 'remove', peer: 'b' });
});

test('the founder stays although its record is not written yet', () => {
  assert.is(nextMembershipChange(leader(['a']), new Set()), undefined);
});

test('nothing is done by a follower or during a joint change', () => {
  const status = leader(['a']);
  assert.is(nextMembershipChange({ ...status, role: 'follower' }, new Set(['a', 'b'])), undefined);
  const joint = { ...status, membership: { voters: ['a'], votersOutgoing: ['a', 'c'], learners: [] } };
  assert.is(nextMembershipChange(joint, new Set(['a', 'b'])), undefined);
});

test.run();
