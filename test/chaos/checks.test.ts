/** The checks of a history must find what is wrong with it: each test takes a history that is right and breaks one thing. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkHistory } from './checks.ts';
import type { Call, Found, Notice, WatchSession } from './history.ts';
import { faultKinds, partitionOf, planFaults } from './plan.ts';

const test = suite('checks');

const answers = (call: Partial<Call>): Call => ({
  kind: 'get',
  group: 0,
  client: 1,
  peer: 1,
  key: 'key-0',
  calledAt: 0,
  answeredAt: 0,
  calledMs: 0,
  answeredMs: 0,
  outcome: 'done',
  answer: '200',
  ...call,
});

const found = (value: string, revision: number, key = 'key-0') => new Map<string, Found>([[key, { value, revision }]]);
const expected = (value: string, revision: number) => ({ value, revision });

const notice = (type: Notice['type'], revision: number, value = '', key = type === 'BOOKMARK' ? '' : 'key-0'): Notice => ({
  ...{ type, key, value, revision },
});

/** One key is created, changed twice and deleted; a client reads and lists, a watch sees it all. */
function rightHistory() {
  const calls = [
    answers({ kind: 'create', value: 'a', found: found('a', 10), calledAt: 1, answeredAt: 2 }),
    answers({ kind: 'update', value: 'b', expected: expected('a', 10), found: found('b', 12), calledAt: 3, answeredAt: 6 }),
    answers({ client: 2, found: found('b', 12), calledAt: 4, answeredAt: 5 }),
    answers({ kind: 'update', value: 'x', expected: expected('a', 10), outcome: 'refused', calledAt: 7, answeredAt: 8 }),
    answers({ kind: 'list', key: '', client: 2, revision: 13, found: found('b', 12), calledAt: 9, answeredAt: 10 }),
    answers({ kind: 'update', value: 'c', expected: expected('b', 12), outcome: 'unknown', calledAt: 11, answeredAt: Infinity }),
    answers({ kind: 'delete', client: 2, expected: expected('c', 14), calledAt: 12, answeredAt: 15 }),
    answers({ client: 3, found: new Map(), calledAt: 16, answeredAt: 17 }),
  ];
  const notices = [
    notice('ADDED', 10, 'a'),
    notice('MODIFIED', 12, 'b'),
    notice('BOOKMARK', 13),
    notice('MODIFIED', 14, 'c'),
    notice('DELETED', 15, 'c'),
  ];
  const session: WatchSession = {
    ...{ group: 0, watcher: 'w', peer: 1, after: 9, notices, openedMs: 0, endedMs: 1, end: 'closed' },
  };
  return { calls, session, notices };
}

type Broken = ReturnType<typeof rightHistory>;

function problemsOf(broken: (history: Broken) => void = () => undefined): string {
  const history = rightHistory();
  broken(history);
  return checkHistory({ calls: history.calls, sessions: [history.session] }).join('\n');
}

test('a history that is right is accepted, also with writes whose fate is unknown', () => {
  assert.is(problemsOf(), '');
  const never = answers({ kind: 'create', value: 'z', client: 9, outcome: 'unknown', calledAt: 4, answeredAt: Infinity });
  assert.is(
    problemsOf(({ calls }) => void calls.push(never)),
    '',
  );
});

/** The watch ends with 'c', whose deletion nobody was told of; then a create finds nothing there. */
function unseenDeletion({ calls, notices }: Broken): void {
  Object.assign(calls[6]!, { outcome: 'unknown', answeredAt: Infinity });
  calls.push(answers({ kind: 'create', client: 5, value: 'd', found: found('d', 18), calledAt: 18, answeredAt: 19 }));
  notices.pop();
}

test('a deletion of unknown fate that took effect unseen is understood from what came later', () => {
  assert.is(problemsOf(unseenDeletion), '');
  const listed = (of: Map<string, Found>, revision: number) =>
    answers({ kind: 'list', key: '', client: 6, revision, found: of, calledAt: 20, answeredAt: 21 });
  const ofEmpty = (history: Broken) => {
    unseenDeletion(history);
    Object.assign(history.calls.at(-1)!, { outcome: 'refused' });
    history.calls.splice(-1, 1, listed(new Map(), 16));
  };
  assert.is(problemsOf(ofEmpty), '');
});

const finds = (what: string, words: RegExp, broken: (history: Broken) => void) =>
  test(`finds ${what}`, () => assert.match(problemsOf(broken), words));

finds('an event that a watch left out', /left out 12/, ({ notices }) => void notices.splice(1, 1));
finds('an event that came again', /went from revision 12 back to 10/, ({ notices }) => {
  notices.splice(2, 0, notice('MODIFIED', 10, 'a'));
});
finds('an event that came twice in a row', /went from revision 12 back to 12/, ({ notices }) => {
  notices.splice(2, 0, notice('MODIFIED', 12, 'b'));
});
finds('a bookmark ahead of its events', /left out 12 .* before BOOKMARK 13/, ({ notices }) => {
  [notices[1], notices[2]] = [notices[2]!, notices[1]!];
});
finds('a resumed watch that has a gap', /left out 10/, ({ notices }) => void notices.shift());
finds('an event that is called by a wrong name', /said ADDED key-0 = b/, ({ notices }) => {
  notices[1] = notice('ADDED', 12, 'b');
});
finds('initial events that are not the state', /began with .* as the state of revision 12/, ({ session }) => {
  session.after = undefined;
  session.notices = [notice('ADDED', 10, 'a'), { ...notice('BOOKMARK', 12), type: 'INITIAL_END' }];
});
finds('one revision with two contents', /revision 12 is key-0 = b to one and key-0 = y/, ({ calls }) => {
  calls[2]!.found = found('y', 12);
});
finds('an acknowledged write that is lost', /demanded was 12/, ({ calls, notices }) => {
  calls[1]!.found = undefined;
  calls.splice(2, 3);
  notices.splice(1, 2);
});
finds('a refused write that took effect', /was refused to its writer/, ({ calls }) => {
  calls[1]!.outcome = 'refused';
});
finds('a write that took effect twice', /took effect twice/, ({ notices }) => {
  notices.splice(3, 0, notice('MODIFIED', 13, 'b'));
});
finds('what nobody wrote', /was written by nobody/, ({ notices }) => {
  notices[1] = notice('MODIFIED', 11, 'q');
});
finds('a creation of what was there', /came after revision 14, demanded was undefined/, (history) => {
  unseenDeletion(history);
  history.calls.splice(6, 1);
});
finds('a deletion of unknown fate that a watch left out', /left out [0-9.]+ \(the end of key-0\)/, (history) => {
  unseenDeletion(history);
  history.notices.push(notice('ADDED', 18, 'd'));
});
finds('a deletion that nobody asked for', /nobody asked for/, ({ calls }) => void calls.splice(6, 1));
finds('a stale read', /key-0 .* is not linearizable/, ({ calls }) => {
  calls.push(answers({ client: 4, found: found('b', 12), calledAt: 18, answeredAt: 19 }));
});
finds('a stale list', /is of revision 10, but 12 was answered before/, ({ calls }) => {
  Object.assign(calls[4]!, { revision: 10, found: found('a', 10) });
});
finds('a list that mixes revisions', /shows {2}as revision 13, which has key-0@12/, ({ calls }) => {
  calls[4]!.found = new Map();
});

test('the plan is the seed’s, has every kind before one comes again, and keeps its distances', () => {
  for (const seed of [1, 2, 3]) {
    const plan = planFaults(seed, 5, 600_000);
    assert.equal(plan, planFaults(seed, 5, 600_000));
    assert.not.equal(plan, planFaults(seed + 1, 5, 600_000));
    assert.is(new Set(plan.slice(0, faultKinds.length).map(({ kind }) => kind)).size, faultKinds.length);
    for (const [index, { atMs }] of plan.entries()) {
      const sinceMs = atMs - (plan[index - 1]?.atMs ?? atMs - 5_000);
      assert.ok(sinceMs >= 5_000 && sinceMs <= 15_000);
    }
  }
});

test('who is cut off from whom', () => {
  const pairs = (kind: (typeof faultKinds)[number], peers: number, mirrored = false) =>
    partitionOf({ kind, atMs: 0, peer: 2, aimed: false, holdMs: 1, mirrored }, 2, peers)?.pairs.join(' ');
  assert.is(pairs('cut one', 3), '2,1 2,3');
  assert.is(pairs('one-way', 3), '2,1 2,3');
  assert.is(pairs('one-way', 3, true), '1,2 3,2');
  assert.is(pairs('bridge', 3), '1,3');
  assert.is(pairs('bridge', 5), '1,4 1,5 3,4 3,5');
  assert.is(pairs('halves', 5), '1,2 1,4 1,5 3,2 3,4 3,5');
  assert.is(pairs('halves', 5, true), '2,3 2,4 2,5 1,3 1,4 1,5');
  assert.is(pairs('kill', 3), undefined);
});

test.run();
