import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConsensusError, Entry } from '../../src/consensus/index.ts';
import { LogView } from '../../src/consensus/log-view.ts';
import { ProposalWaiters } from '../../src/consensus/requests.ts';

/** A log whose entries, from the first on, have these terms. */
function log(terms: number[], commit: number): LogView {
  const entries = terms.map((term, at): Entry => ({ index: at + 1, term, kind: 'normal', data: new Uint8Array(0) }));
  return new LogView({ index: 0, term: 0 }, entries, commit, 0);
}

async function outcome(promise: Promise<number>): Promise<number | string> {
  const later = new Promise<string>((resolve) => setImmediate(() => resolve('waits')));
  return Promise.race([promise.catch((error: ConsensusError) => error.code), later]);
}

test('a proposal is done when the entry at its place has its term', async () => {
  const waiters = new ProposalWaiters();
  const [first, second] = [waiters.add({ index: 2, term: 1 }, 100), waiters.add({ index: 3, term: 1 }, 100)];
  waiters.committed(log([1, 1, 1], 2));
  assert.is(await outcome(first), 2);
  assert.is(await outcome(second), 'waits');
  waiters.rejectAll(new Error('over') as ConsensusError);
  await outcome(second);
});

test('a proposal whose place another leader took is dropped', async () => {
  const waiters = new ProposalWaiters();
  const waiting = waiters.add({ index: 2, term: 1 }, 100);
  waiters.committed(log([1, 2], 2));
  assert.is(await outcome(waiting), 'ProposalDropped');
});

test('a newer term committed before its place means that it is dropped', async () => {
  const waiters = new ProposalWaiters();
  const waiting = waiters.add({ index: 5, term: 1 }, 100);
  waiters.committed(log([1, 2], 2));
  assert.is(await outcome(waiting), 'ProposalDropped');
});

test('an overwritten place that is not committed decides nothing; the deadline ends the wait without knowledge', async () => {
  const waiters = new ProposalWaiters();
  const waiting = waiters.add({ index: 2, term: 1 }, 100);
  waiters.committed(log([1, 2], 1));
  waiters.expire(99);
  assert.is(await outcome(waiting), 'waits');
  waiters.expire(100);
  assert.is(await outcome(waiting), 'ProposalUnknown');
});

test.run();
