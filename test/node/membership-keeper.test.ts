/** Who becomes a voter, who stops being one, and that no step ever endangers the quorum. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConsensusStatus } from '../../src/consensus/types.ts';
import type { LogPlace, Wanted } from '../../src/node/cluster-records.ts';
import {
  deadVoterGraceMs,
  type MembershipStep,
  type MembershipView,
  nextMembershipStep,
  outlookWith,
  outlookWithout,
  type RecordedMember,
} from '../../src/node/membership-keeper.ts';

/** 'a' leads. A machine is written as its letter and what is special about it: see `machine`. */
interface Machine {
  peer: string;
  place: 'voter' | 'learner' | 'none';
  match: number;
  active: boolean;
  recorded: boolean;
  wanted: Wanted;
  deadForMs: number | undefined;
  log: LogPlace | undefined;
}

const lastIndex = 1000;

/**
 * `a` a voter, `(b)` a learner, `[c]` only recorded, `{d}` a client, `{d+}` called, `{d*}` dismissed; then `!` dead for long, `~` dead for a moment, `?` not recorded, `-` far behind,
 * `0` nothing of the log yet, `x` silent, `V` `C` `G` wanted as voter, as client, gone, `o` of an earlier version.
 */
function machine(text: string): Machine {
  const peer = /[a-np-w]/.exec(text)?.[0] ?? '';
  const has = (mark: string) => text.includes(mark);
  return {
    peer,
    place: has('(') ? 'learner' : has('[') || has('{') ? 'none' : 'voter',
    match: has('0') ? 0 : has('-') ? 500 : lastIndex,
    active: !has('!') && !has('x') && !has('~'),
    recorded: !has('?'),
    wanted: has('V') ? 'voter' : has('C') ? 'client' : has('G') ? 'gone' : 'auto',
    deadForMs: has('!') ? deadVoterGraceMs : has('~') ? 100 : undefined,
    log: has('o') ? undefined : has('+') ? 'called' : has('*') ? 'dismissed' : has('{') ? 'none' : 'held',
  };
}

function viewOf(machines: Machine[], more: Partial<ConsensusStatus> = {}): MembershipView {
  const at = (place: Machine['place']) => machines.filter((one) => one.place === place).map((one) => one.peer);
  const others = machines.filter(({ peer, place }) => peer !== 'a' && place !== 'none');
  const status: ConsensusStatus = {
    ...{ id: 'a', role: 'leader', term: 3, leader: 'a', committed: lastIndex, applied: lastIndex, firstIndex: 1, lastIndex },
    membership: { voters: at('voter'), votersOutgoing: [], learners: at('learner') },
    progress: Object.fromEntries(others.map(({ peer, match, active }) => [peer, { match, active }])),
    ...more,
  };
  const records = machines.filter((one) => one.recorded);
  return {
    status,
    recorded: new Map(
      records.map(({ peer, wanted, deadForMs, log }): [string, RecordedMember] => [peer, { wanted, deadForMs, log }]),
    ),
  };
}

const cluster = (text: string, more?: Partial<ConsensusStatus>) => viewOf(text.split(' ').map(machine), more);
function said(step: MembershipStep | undefined): string {
  if (!step) return 'nothing';
  if (step.type === 'exchange') return `+${step.enter.join(' +')}${step.leave.map((peer) => ` -${peer}`).join('')}`;
  return `${step.type === 'log' ? step.to : step.type} ${step.peer}`;
}

const table: [string, string, string][] = [
  ['a recorded machine first becomes a learner', 'a [b]', 'addLearner b'],
  ['one that is needed no more drops its log', 'a b c [d!]', 'dismissed d'],
  ['one of an earlier version cannot', 'a b c [do]', 'addLearner d'],
  ['one that is to go is not taken in', 'a [bG]', 'nothing'],
  ['the founder stays although its record is not written yet', 'a?', 'nothing'],

  ['two machines have one voter: two would stop with either', 'a (b)', 'nothing'],
  ['three machines have three voters, in one step', 'a (b) (c)', '+b +c'],
  ['two that vote take in a third', 'a b (c)', 'promote c'],
  ['five make three of one', 'a (b) (c) (d) (e)', '+b +c'],
  ['four machines have three voters', 'a b c (d)', 'remove d'],
  ['and a client', 'a b c {d}', 'nothing'],
  ['a learner of an earlier version stays one', 'a b c (do)', 'nothing'],
  ['five machines have five', 'a b c (d) (e)', 'promote d'],
  ['a fifth one makes a client needed', 'a b c {d} (e)', 'called d'],
  ['and no more', 'a b c d e (f)', 'remove f'],
  ['however many clients there are', 'a b c d e {f} {g} {h}', 'nothing'],
  ['an even number is made odd by a further machine', 'a b c d (e)', 'promote e'],
  ['and else left as it is: no healthy voter is demoted for it', 'a b c d', 'nothing'],

  ['who is behind waits', 'a (b-) (c)', 'nothing'],
  ['who has nothing yet waits', 'a (b0) (c)', 'nothing'],
  ['who is silent waits', 'a (bx) (c)', 'nothing'],
  ['who is called dead goes', 'a (b!) (c)', 'remove b'],
  ['and stays for a while', 'a (b~) (c)', 'nothing'],
  ['who is the farthest behind is not needed', 'a (b-) (c) (d)', 'remove b'],
  ['those ready are enough', 'a (bo-) (c) (d)', '+c +d'],

  ['a dead voter keeps its place during the grace time', 'a b c~ (d)', 'nothing'],
  ['then a learner takes it', 'a b c! (d)', '+d -c'],
  ['nothing hangs on the newcomer when two of five are dead', 'a b c d! e! (f) (g)', '+f -d'],
  ['nor then', 'a b c f e! (g)', '+g -e'],
  ['the newcomer died', 'a b c f! e! (g)', 'remove f'],
  ['a newcomer waits while the quorum would hang on it', 'a b~ c d~ e (f)', 'nothing'],
  ['also when somebody wanted it', 'a b c~ (dV)', 'nothing'],
  ['a dead voter is replaced before one that is to go', 'a b c! d eG (f) (g)', '+f -c'],
  ['a dead one beyond three is removed', 'a b c! d', 'remove c'],
  ['it has to drop its log', 'a b d [c!]', 'dismissed c'],
  ['when it is back', 'a b d {c*}', 'nothing'],
  ['a client is called when the grace time is over', 'a b c! {d}', 'called d'],
  ['and not before', 'a b c~ {d}', 'nothing'],
  ['it comes by itself', 'a b c! {d+}', 'nothing'],
  ['and is taken in', 'a b c! [d]', 'addLearner d'],
  ['nobody else is called meanwhile', 'a b c! {d+} {e}', 'nothing'],
  ['unless it dies too', 'a b c! {d+!} {e}', 'none d'],
  ['then the next one is', 'a b c! {d!} {e}', 'called e'],
  ['who was called for nothing goes back', 'a b c {d+}', 'none d'],
  ['a client that is called is not taken in before it says so', 'a {b+}', 'nothing'],
  ['the second machine is no client', 'a {b}', 'called b'],
  ['without a replacement it stays', 'a b c!', 'nothing'],
  ['also of five', 'a b c d e!', 'nothing'],
  ['two dead of five are two too many: three survive as much', 'a b c d! e!', 'remove d'],
  ['and the second follows', 'a b c e!', 'remove e'],
  ['a replacement that is behind is none', 'a b c! (d-)', 'nothing'],

  ['a voter without a record is removed', 'a b c?', 'remove c'],
  ['a learner without a record too', 'a (b?)', 'remove b'],
  ['a machine that is to go is replaced', 'a b cG (d)', '+d -c'],
  ['or removed', 'a b cG d', 'remove c'],
  ['but not while the quorum would hang on the newcomer', 'a b~ cG (d)', 'nothing'],
  ['a leader that is to go takes in its successor', 'aG b c (d)', 'promote d'],
  ['without a replacement it goes all the same', 'a b cG', 'remove c'],
  ['but not when the rest were no quorum', 'a b~ cG', 'nothing'],
  ['a dead one goes while a quorum lives', 'a b c!G', 'remove c'],
  ['a leader that is to go hands over first', 'aG b c', 'transfer b'],
  ['to one that lives', 'aG b~ c d e', 'transfer c'],
  ['and stays when the rest were no quorum', 'aG b c~', 'nothing'],
  ['the last voter stays', 'aC', 'nothing'],

  ['a machine that is to go waits for a client', 'a b cG {d}', 'called d'],
  ['until it votes', 'a b cG (d-)', 'nothing'],
  ['also while it begins anew', 'a b cG (d0x)', 'nothing'],
  ['but not when it is dead', 'a b cG (d0!)', 'remove d'],
  ['who is wanted as client stops voting', 'a b cC', 'remove c'],
  ['and drops its log', 'a b [cC]', 'dismissed c'],
  ['so does a learner', 'a b (cC) (d)', 'remove c'],
  ['and stays a client', 'a b {cC} (d)', 'promote d'],
  ['who is wanted as voter comes first', 'a (b) (cV)', '+c +b'],
  ['also among clients', 'a b {c} {dV}', 'called d'],
  ['and whatever the number', 'a b c {dV}', 'called d'],
  ['and whatever the number', 'a b c (dV)', 'promote d'],
  ['but for a sixth', 'a b c d e (fV)', 'remove f'],
];

for (const [what, before, step] of table) {
  test(`${what}: ${before}`, () => assert.is(said(nextMembershipStep(cluster(before))), step));
}

test('nothing is done by a follower or during a joint change', () => {
  assert.is(nextMembershipStep(cluster('a [b]', { role: 'follower' })), undefined);
  const membership = { voters: ['a'], votersOutgoing: ['a', 'c'], learners: [] };
  assert.is(nextMembershipStep(cluster('a [b]', { membership })), undefined);
});

const outlooks: [string, string, string][] = [
  ['a b c', 'c', 'fragile: 2 of 2 reachable, 2 needed'],
  ['a b c (d)', 'c', 'safe: 3 of 3 reachable, 2 needed'],
  ['a b c!', 'c', 'safe: 2 of 2 reachable, 2 needed'],
  ['a b c!', 'b', 'fatal: 1 of 2 reachable, 2 needed'],
  ['a b c d e', 'e', 'safe: 4 of 4 reachable, 3 needed'],
  ['a b c d! e!', 'c', 'fatal: 2 of 4 reachable, 3 needed'],
  ['a b', 'b', 'safe: 1 of 1 reachable, 1 needed'],
  ['a (b)', 'a', 'safe: 1 of 1 reachable, 1 needed'],
  ['a', 'a', 'fatal: 0 of 0 reachable, 1 needed'],
  ['a b c (d)', 'd', 'safe: 3 of 3 reachable, 2 needed'],
  ['a b c {d}', 'c', 'safe: 3 of 3 reachable, 2 needed'],
  ['a b c {d!}', 'c', 'fragile: 2 of 2 reachable, 2 needed'],
  ['a b c {dC}', 'c', 'fragile: 2 of 2 reachable, 2 needed'],
];

for (const [before, peer, expected] of outlooks) {
  test(`what becomes of the quorum of ${before} without ${peer}`, () => {
    const { verdict, voters, reachable, needed } = outlookWithout(cluster(before), peer);
    assert.is(`${verdict}: ${reachable} of ${voters} reachable, ${needed} needed`, expected);
  });
}

test('what becomes of the quorum with one more', () => {
  assert.equal(outlookWith(cluster('a (b!)'), 'b'), { verdict: 'fatal', voters: 2, reachable: 1, needed: 2 });
  assert.is(outlookWith(cluster('a b c (d)'), 'd').verdict, 'safe');
});

/** The machines after a step, as consensus would make it; one that is promoted or removed keeps its log. */
function after(machines: Machine[], step: MembershipStep): Machine[] {
  const place = { addLearner: 'learner', promote: 'voter', remove: 'none', transfer: 'voter' } as const;
  if (step.type === 'exchange') {
    const { enter, leave } = step;
    return machines.map((one) =>
      enter.includes(one.peer) ? { ...one, place: 'voter' } : leave.includes(one.peer) ? { ...one, place: 'none' } : one,
    );
  }
  const change = step.type === 'log' ? { log: step.to } : { place: place[step.type] };
  return machines.map((one) => (one.peer === step.peer ? { ...one, ...change } : one));
}

/** What machines do by themselves: who is called begins a log, who is dismissed drops it. */
const followed = (machines: Machine[]) =>
  machines.map((one): Machine => {
    if (one.deadForMs !== undefined) return one;
    if (one.log === 'called') return { ...one, log: 'held', match: lastIndex };
    return one.log === 'dismissed' ? { ...one, log: 'none' } : one;
  });

const live = ({ peer, active, deadForMs }: Machine) => peer === 'a' || (active && deadForMs === undefined);
const isQuorum = (machines: Machine[]) => {
  const voters = machines.filter((one) => one.place === 'voter');
  return voters.length > 0 && voters.filter(live).length * 2 > voters.length;
};

const anyMachine = (peer: string): fc.Arbitrary<Machine> =>
  fc.record({
    peer: fc.constant(peer),
    place: fc.constantFrom('voter', 'learner', 'none'),
    match: fc.constantFrom(0, 500, 950, lastIndex),
    active: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    recorded: fc.oneof({ weight: 7, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    wanted: fc.oneof(
      { weight: 6, arbitrary: fc.constant<Wanted>('auto') },
      { weight: 3, arbitrary: fc.constantFrom<Wanted>('voter', 'client', 'gone') },
    ),
    log: fc.oneof(
      { weight: 4, arbitrary: fc.constant<LogPlace>('held') },
      { weight: 3, arbitrary: fc.constantFrom<LogPlace>('none', 'called', 'dismissed') },
      { weight: 1, arbitrary: fc.constant(undefined) },
    ),
    deadForMs: fc.oneof(
      { weight: 3, arbitrary: fc.constant(undefined) },
      { weight: 2, arbitrary: fc.constantFrom(100, deadVoterGraceMs) },
    ),
  });

/** A cluster whose leader has a quorum behind it. Verdicts are known of recorded machines only. */
const anyCluster = fc
  .integer({ min: 0, max: 7 })
  .chain((others) => fc.tuple(...[...'bcdefgh'].slice(0, others).map(anyMachine)))
  .map((others) => others.map((one) => (one.recorded ? one : { ...one, deadForMs: undefined })))
  // Who says that it holds nothing has left the membership before.
  .map((others) => others.map((one): Machine => (one.log && one.log !== 'held' ? { ...one, place: 'none' } : one)))
  .map((others): Machine[] => [{ ...machine('a'), wanted: 'auto' }, ...others])
  .filter(isQuorum);

test('whatever happens: the quorum lives through every step, healthy voters stay, and there is an end', () => {
  fc.assert(
    fc.property(anyCluster, (start) => {
      let machines = start;
      for (let round = 0; ; round++) {
        assert.ok(round < 60, 'it comes to rest');
        const step = nextMembershipStep(viewOf(machines));
        if (!step && followed(machines).every((one, index) => one.log === machines[index]?.log)) break;
        const before = machines;
        machines = followed(step ? after(machines, step) : machines);
        if (!step) continue;
        assert.ok(isQuorum(machines), `${said(step)} keeps a quorum`);
        const named = (peer: string) => before.find((candidate) => candidate.peer === peer) as Machine;
        const entering = step.type === 'exchange' ? step.enter : step.type === 'promote' ? [step.peer] : [];
        for (const peer of entering) {
          assert.ok(live(named(peer)) && named(peer).match >= 900, `${said(step)} is of one that can vote at once`);
          const died = machines.map((one) => (one.peer === peer ? { ...one, active: false } : one));
          const pair = machines.filter(({ place }) => place === 'voter').length === 2;
          assert.ok(pair || isQuorum(died), `${said(step)} does not hang on ${peer}`);
        }
        for (const peer of step.type === 'exchange' ? step.leave : step.type === 'remove' ? [step.peer] : []) {
          const { place, recorded, wanted, deadForMs } = named(peer);
          const unwanted = !recorded || wanted === 'gone' || wanted === 'client';
          if (place !== 'voter') continue;
          assert.ok(unwanted || (deadForMs ?? 0) >= deadVoterGraceMs, `${said(step)} has a reason`);
        }
        if (step.type === 'exchange') continue;
        const one = named(step.peer);
        if (step.type === 'log' || step.type === 'addLearner') {
          assert.is(one.place, 'none', `${said(step)} is of one outside`);
          assert.ok(step.type === 'log' || one.log === 'held' || one.log === undefined, `${said(step)} is of one with a log`);
        }
      }
      // At rest there is no healthy machine left that would make the number of living voters a better one.
      const voting = machines.filter(({ place }) => place === 'voter');
      const idle = machines.filter(
        (one) => one.place === 'learner' && live(one) && one.match >= 900 && one.recorded && one.wanted === 'auto',
      );
      const healthy = voting.filter(live).length;
      const holding = machines.filter((one) => one.place !== 'none').length;
      const clients = machines.filter((one) => one.log === 'none' && live(one) && one.recorded && one.wanted === 'auto');
      if (clients.length > 0) assert.ok(holding >= 3, 'nobody is a client of fewer than three');
      // A voter that is to leave stays while a machine that lives is on its way to take the place.
      const leaving = voting.some((one) => !one.recorded || one.wanted === 'gone' || one.wanted === 'client');
      if (voting.every(live) && !leaving && healthy < 5)
        assert.ok(idle.length < (healthy % 2 === 0 ? 1 : 2), 'nobody idles who is needed');
    }),
    { numRuns: 2_000 },
  );
});

test.run();
