/** What is told before a person says yes: exactly what may be lost. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { aliveLines, inspectionText, planText } from '../../src/cli/recovery-text.ts';
import type { Inspected } from '../../src/node/recovery/inspection.ts';
import type { RecoveryPlan, UncertainEntry } from '../../src/node/recovery/recovery-plan.ts';

const voters = ['a', 'b', 'c'];
const membership = { voters, votersOutgoing: [], learners: [] };
const found = {
  log: { term: 3, committed: 7, base: { index: 0, term: 0 }, entries: [], last: { index: 9, term: 3 }, membership },
  applied: { index: 7, term: 3 },
  revision: 5,
  clusterId: 'x',
  members: [],
  damage: undefined as string | undefined,
  storeDir: '',
};
const best = { folder: '/data', peer: 'a', nodeName: 'one', incarnation: 1, problem: undefined, found };
const entry = (index: number, more: Partial<UncertainEntry> = {}): UncertainEntry => ({
  index,
  term: 3,
  kind: 'normal',
  keys: [`/k${index}`],
  ...more,
});
const plan = (more: Partial<RecoveryPlan>): RecoveryPlan => ({
  best,
  state: best,
  term: 4,
  committed: 7,
  uncertain: [],
  voters,
  present: ['a'],
  complete: false,
  ...more,
});

test('without a quorum of logs it says that acknowledged writes may be missing', () => {
  const text = planText(plan({ uncertain: [entry(8), entry(9, { kind: 'membership', keys: [] })] }), 'one');
  assert.match(text, /Logs of 1 of the 3 voters are at hand/);
  assert.match(text, /acknowledged after entry 9 are missing, if there were any/);
  assert.match(text, /Entries up to 7 are known to be committed. Entries 8 to 9 will count as committed too/);
  assert.match(text, /8 of term 3: write of \/k8\n +9 of term 3: change of the members/);
});

test('with a quorum of logs nothing acknowledged can be missing, and recovery may not be needed', () => {
  const text = planText(plan({ present: ['a', 'b'], complete: true, committed: 9 }), 'one');
  assert.match(text, /no acknowledged write is missing/);
  assert.match(text, /start their daemons instead/);
  assert.match(text, /none is taken on trust/);
});

test('it says whose state is taken when that of the best log is damaged, and warns when there is no sound one', () => {
  assert.not.match(planText(plan({}), 'one'), /state beside it/);
  const other = { ...best, folder: '/other', nodeName: 'two' };
  assert.match(planText(plan({ state: other }), 'one'), /The state beside it is damaged; that of two in \/other is taken/);
  const damaged = { ...best, found: { ...found, damage: 'rot' } };
  assert.match(planText(plan({ best: damaged, state: damaged }), 'one'), /WARNING: the state beside it is damaged \(rot\)/);
});

test('a long list is cut, and its length told', () => {
  const uncertain = Array.from({ length: 30 }, (_, n) => entry(n + 8));
  assert.match(planText(plan({ uncertain }), 'one'), /27 of term 3: write of \/k27\n +… and 10 more/);
});

test('folders that cannot be used are listed with the reason, and members that answer with their address', () => {
  const bad: Inspected = { ...best, folder: '/other', found: undefined, problem: 'its log is empty' };
  assert.match(
    inspectionText([best, bad]),
    /\/data +one +9 of term 3 +7 +7 +5 +a\n\/other +one +- [\s\S]*\/other: its log is empty/,
  );
  assert.equal(aliveLines([]), []);
  assert.match(aliveLines([{ nodeName: 'two', address: '10.0.0.2:7420' }]).join('\n'), /WARNING[\s\S]*two at 10.0.0.2:7420/);
});

test.run();
