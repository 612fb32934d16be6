/** Bugs that others found in their systems, as tests that our consensus would fail if it had them: see docs/KNOWN-BUGS.md. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { emptyState, type LogState, RaftCore } from '../../src/consensus/core.ts';
import { encodeMembership } from '../../src/consensus/membership.ts';
import { ReadRounds } from '../../src/consensus/read-rounds.ts';
import type { Entry } from '../../src/consensus/types.ts';
import { Scenario } from '../consensus/scenario.ts';

/** Runs the commands; the output of the last one. */
function run(scenario: Scenario, ...lines: string[]): string[] {
  let output: string[] = [];
  for (const line of lines) output = scenario.run(line);
  return output;
}
const has = (output: readonly string[], part: string) => output.some((line) => line.includes(part));
const elected = (...peers: string[]) => {
  const scenario = new Scenario();
  run(scenario, `found ${peers.join(' ')}`, 'tick a 11', 'settle');
  return scenario;
};

const membership = { voters: ['a', 'b', 'c'], votersOutgoing: [], learners: [] };
const entry = (index: number, term: number): Entry => ({ index, term, kind: 'normal', data: Buffer.from(`${index}/${term}`) });

function follower(state: LogState = emptyState()): RaftCore {
  return new RaftCore({
    id: 'b',
    state,
    applied: state.base.index,
    random: { int: () => 0, float: () => 0 },
    electionTicks: 10,
    heartbeatTicks: 2,
    maxInflight: 4,
    appendBytesMax: 1000,
    unappliedBytesMax: 1 << 20,
    committedBytesMax: 1 << 20,
    fullBytes: 1 << 20,
  });
}

const founded = (): LogState => ({
  ...emptyState(),
  hardState: { term: 1, vote: undefined, commit: 1 },
  entries: [{ index: 1, term: 1, kind: 'membership', data: encodeMembership(membership) }],
});

test('term and vote are saved together: a crash does not free the vote', () => {
  const scenario = run.bind(undefined, new Scenario());
  assert.ok(has(scenario('found a b c', 'vote b>a 5 1/1'), 'a>b voteResponse term 5 granted'));
  assert.ok(has(scenario('crash a', 'restart a', 'vote c>a 5 1/1'), 'a>c voteResponse term 5 refused'));
});

test('stepping down within a term keeps the vote', () => {
  const scenario = elected('a', 'b', 'c');
  run(scenario, 'cut a', 'tick a 12', 'heal a');
  assert.ok(has(run(scenario, 'status'), 'a follower term 2'));
  assert.ok(has(run(scenario, 'vote c>a 2 9/2'), 'a>c voteResponse term 2 refused'));
});

test('what a leader appended is never sent under a term that it learned meanwhile', () => {
  const core = follower(founded());
  for (let n = 0; n < 11; n++) core.tick();
  core.step({ type: 'preVoteResponse', from: 'a', to: 'b', term: 2, granted: true });
  core.persisted(core.takeReady().sequence!);
  core.step({ type: 'voteResponse', from: 'a', to: 'b', term: 2, granted: true });
  assert.is(core.role, 'leader');
  // Another follows closely, so that an append to it could leave at once.
  core.persisted(core.takeReady().sequence!);
  core.step({ type: 'appendResponse', from: 'a', to: 'b', term: 2, rejected: false, index: 2, hintIndex: 0, hintTerm: 0 });
  core.takeReady();
  core.propose(Buffer.from('x'));
  core.step({ type: 'heartbeat', from: 'c', to: 'b', term: 9, commit: 0, round: 0 });
  const { messages, messagesAfterPersist, entries } = core.takeReady();
  assert.not.ok([...messages, ...messagesAfterPersist].some(({ type }) => type === 'append'));
  assert.equal(
    entries.map(({ term }) => term),
    [2],
  );
  assert.is(core.role, 'follower');
  assert.throws(() => core.propose(Buffer.from('y')), /does not lead/);
});

test('pre-vote: a longer log of a lower term and a higher term with a shorter log do not block each other', () => {
  const scenario = elected('a', 'b', 'c');
  // Only c gets the entry; b learns a higher term; a is gone.
  run(scenario, 'propose a x', 'drop a>b', 'deliver a>c', 'crash a', 'tick b 11', 'drop *>*', 'vote a>b 5 0/0', 'drop *>*');
  run(scenario, 'tick c 11', 'settle', 'tick b 10', 'tick c 25', 'settle');
  assert.ok(has(run(scenario, 'status'), 'c leader'));
});

test('a read waits until the leader has committed an entry of its own term', () => {
  const scenario = new Scenario();
  run(scenario, 'found a b c', 'tick a 11', 'deliver a>*', 'deliver *>a', 'deliver a>*', 'deliver *>a');
  assert.ok(has(run(scenario, 'status'), 'a leader term 2 log 1..2/2 commit 1'));
  assert.not.ok(has(run(scenario, 'read a'), 'read 1'));
  assert.ok(has(run(scenario, 'settle'), 'a read 1 at 2'));
});

test('a delayed answer to an earlier round confirms no later read', () => {
  const reads = new ReadRounds();
  reads.add(1);
  reads.open(5);
  reads.answered('b', 1);
  assert.equal(reads.takeConfirmed(membership, 'a'), [{ id: 1, index: 5 }]);
  reads.add(2);
  reads.open(7);
  reads.answered('c', 1);
  assert.equal(reads.takeConfirmed(membership, 'a'), []);
  reads.answered('c', 2);
  assert.equal(reads.takeConfirmed(membership, 'a'), [{ id: 2, index: 7 }]);
});

test('a single peer commits and applies nothing before its disk holds it', () => {
  const scenario = new Scenario();
  run(scenario, 'found a', 'tick a', 'settle', 'hold a');
  assert.not.ok(has(run(scenario, 'propose a x'), 'applies'));
  assert.ok(has(run(scenario, 'status'), 'log 1..3/2 commit 2 stable 2'));
  assert.ok(has(run(scenario, 'release a', 'tick a', 'status'), 'items x'));
});

test('a leader does not count its own entries before its disk holds them', () => {
  const scenario = elected('a', 'b', 'c');
  run(scenario, 'hold a', 'propose a x', 'deliver a>b', 'deliver b>a');
  assert.ok(has(run(scenario, 'status'), 'a leader term 2 log 1..3/2 commit 2 stable 2'));
  assert.ok(has(run(scenario, 'release a', 'status'), 'a leader term 2 log 1..3/2 commit 3 stable 3'));
});

test('nothing is applied before the own disk holds it, though all others do', () => {
  const scenario = elected('a', 'b', 'c');
  const output = run(scenario, 'hold a', 'propose a x', 'deliver a>*', 'deliver *>a');
  assert.not.ok(has(output, 'applies'), output.join('\n'));
  const held = run(scenario, 'status').find((line) => line.includes('a leader')) ?? '';
  assert.match(held, /commit 3 stable 2/);
  assert.not.match(held, /items x/);
  assert.match(run(scenario, 'release a', 'status').find((line) => line.includes('a leader')) ?? '', /items x/);
});

test('asynchronous appends: the write of entries that were overwritten confirms nothing', () => {
  const core = follower(founded());
  core.takeReady();
  core.step({
    type: 'append',
    from: 'a',
    to: 'b',
    term: 2,
    prevIndex: 1,
    prevTerm: 1,
    commit: 1,
    entries: [entry(2, 2), entry(3, 2)],
  });
  const first = core.takeReady();
  core.step({ type: 'append', from: 'c', to: 'b', term: 3, prevIndex: 1, prevTerm: 1, commit: 1, entries: [entry(2, 3)] });
  const second = core.takeReady();
  // The old leader's entries once more, in a newer term: the same places, written three times.
  core.step({
    type: 'append',
    from: 'a',
    to: 'b',
    term: 4,
    prevIndex: 1,
    prevTerm: 1,
    commit: 1,
    entries: [entry(2, 4), entry(3, 4)],
  });
  const third = core.takeReady();
  core.persisted(first.sequence!);
  assert.is(core.log.stable, 1);
  core.persisted(second.sequence!);
  assert.is(core.log.stable, 1);
  core.persisted(third.sequence!);
  assert.is(core.log.stable, 3);
});

test('a peer with an empty log survives a leader that remembers it with a long one', () => {
  const core = follower();
  core.step({ type: 'heartbeat', from: 'a', to: 'b', term: 7, commit: 100, round: 1 });
  assert.is(core.log.commit, 0);
  core.step({ type: 'append', from: 'a', to: 'b', term: 7, prevIndex: 100, prevTerm: 7, commit: 100, entries: [entry(101, 7)] });
  const { messages } = core.takeReady();
  assert.ok(messages.some((message) => message.type === 'appendResponse' && message.rejected && message.hintIndex === 0));
});

test('a second snapshot during the restore of a first one changes nothing of it', () => {
  const core = follower();
  const offer = (index: number) =>
    core.step({ type: 'snapshot', from: 'a', to: 'b', term: 3, meta: { index, term: 3, membership } });
  offer(10);
  assert.is(core.takeReady().restore?.meta.index, 10);
  offer(20);
  assert.is(core.takeReady().restore, undefined);
  core.restored();
  assert.is(core.log.commit, 10);
  core.takeReady();
  offer(20);
  assert.is(core.takeReady().restore?.meta.index, 20);
});

test('two peers: the leader removes itself and is gone before the other hears of the commit', () => {
  const scenario = elected('a', 'b');
  run(scenario, 'change a remove a', 'deliver a>b', 'deliver b>a', 'drop a>b', 'crash a', 'tick b 22', 'settle');
  assert.ok(has(run(scenario, 'status'), 'b leader'));
});

test('a and b do not see each other, both see c: one leader stays', () => {
  const scenario = elected('a', 'b', 'c');
  for (let n = 0; n < 80; n++) {
    run(scenario, 'tick a', 'tick b', 'tick c');
    for (let step = 0; step < 4; step++) run(scenario, 'drop a>b', 'drop b>a', 'deliver *>*');
  }
  assert.ok(has(run(scenario, 'status'), 'a leader term 2'));
});

test('a removed leader whose last entry is only its own starts again and can still lead', () => {
  const scenario = elected('a', 'b');
  run(
    scenario,
    'change a remove a',
    'drop a>b',
    'crash a',
    'restart a',
    'tick b 11',
    'tick a 11',
    'settle',
    'tick a 22',
    'settle',
  );
  const status = run(scenario, 'status');
  assert.ok(has(status, 'a leader') || has(status, 'b leader'), status.join('\n'));
});

test('a snapshot that a former leader still has to send is of the term in which it led', () => {
  const state = emptyState();
  const base = { index: 5, term: 3, membership };
  const core = follower({ ...state, hardState: { term: 3, vote: undefined, commit: 5 }, base, entries: [entry(6, 3)] });
  /** Does what a ready asks for, with a disk that never fails. */
  const ready = () => {
    const taken = core.takeReady();
    if (taken.sequence !== undefined) core.persisted(taken.sequence);
    return taken;
  };
  for (let ticks = 0; ticks < 25 && core.role === 'follower'; ticks++) core.tick();
  core.step({ type: 'preVoteResponse', from: 'c', to: 'b', term: 4, granted: true });
  ready();
  core.step({ type: 'voteResponse', from: 'c', to: 'b', term: 4, granted: true });
  ready();
  assert.is(core.role, 'leader');
  const answer = { type: 'appendResponse', to: 'b', term: 4, hintIndex: 0, hintTerm: 0 } as const;
  core.step({ ...answer, from: 'c', rejected: false, index: 7 });
  ready();
  core.proposeMembership({ type: 'addLearner', peer: 'd' });
  ready();
  // In one go: a is found to need a snapshot, the change is committed, and c turns out to lead.
  core.step({ ...answer, from: 'a', rejected: true, index: 6 });
  core.step({ ...answer, from: 'c', rejected: false, index: 8 });
  core.step({ type: 'append', from: 'c', to: 'b', term: 5, prevIndex: 8, prevTerm: 4, commit: 8, entries: [] });
  assert.equal(ready().snapshotsToSend, [{ to: 'a', term: 4 }]);
  assert.is(core.term, 5);
});

test.run();
