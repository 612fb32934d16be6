import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LeaseWatch } from '../../src/agent/lease-watch.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { ManualClock } from '../client/manual-clock.ts';

function watch(answer: () => number | undefined | Promise<number | undefined>) {
  const clock = new ManualClock();
  const seen: string[] = [];
  const first: string[] = [];
  const lease = new LeaseWatch({
    ask: async () => answer(),
    events: { record: (_about, type, reason) => void seen.push(`${type} ${reason}`) },
    node: () => ({ metadata: { name: 'one', uid: 'u' } }) as never,
    clock,
    logger: silentLogger,
    onLeaseLost: () => void seen.push('lost'),
    onLeaseRegained: () => void seen.push('regained'),
    onFirstLease: () => void first.push('first'),
  });
  lease.start();
  return { clock, seen, first, lease };
}

test('a lease that is renewed is held, and nothing is said', async () => {
  const { clock, seen, first, lease } = watch(() => 3_800);
  await clock.advance(60_000);
  assert.equal(first, ['first'], 'only the first lease is one');
  assert.ok(lease.held);
  assert.equal(seen, []);
  await lease.stop();
});

test('without answers it is lost when it runs out, and regained with the next grant', async () => {
  let answer: number | undefined = 3_800;
  const { clock, seen, lease } = watch(() => answer);
  await clock.advance(1_000);
  answer = undefined;
  await clock.advance(3_700);
  assert.ok(lease.held);
  await clock.advance(200);
  assert.not(lease.held);
  assert.equal(seen, ['Warning NodeLeaseLost', 'lost']);
  answer = 3_800;
  await clock.advance(600);
  assert.ok(lease.held);
  assert.equal(seen.slice(2), ['Normal NodeLeaseRegained', 'regained']);
  await lease.stop();
});

test('it is lost in time although the daemon takes a question and never answers', async () => {
  let answered = 0;
  const { clock, seen, lease } = watch(() => (answered++ === 0 ? 2_000 : new Promise(() => {})));
  await clock.advance(2_001);
  assert.equal(seen, ['Warning NodeLeaseLost', 'lost']);
  assert.not(lease.held);
});

test('a late answer extends from the asking, not from the answering', async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const { clock, lease } = watch(() => promise);
  await clock.advance(900);
  resolve(1_000);
  await clock.advance(50);
  assert.ok(lease.held);
  await clock.advance(51);
  assert.not(lease.held);
  await lease.stop();
});

test('a machine that never had a lease has lost none', async () => {
  const { clock, seen, lease } = watch(() => 0);
  await clock.advance(20_000);
  assert.not(lease.held);
  assert.equal(seen, []);
  await lease.stop();
});

test.run();
