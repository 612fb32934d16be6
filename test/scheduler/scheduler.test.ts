/** The running scheduler against a cluster in memory: binding, refusal, waking up, and what goes wrong in between. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../src/lib/logger.ts';
import { seededRandom } from '../../src/lib/random.ts';
import * as r from '../../src/machinery/resources.ts';
import { serviceUnavailable } from '../../src/machinery/status.ts';
import type { Node, Pod } from '../../src/machinery/types.ts';
import { Decisions, startScheduler } from '../../src/scheduler/index.ts';
import { ManualClock, settle } from '../client/manual-clock.ts';
import { MemoryClient } from '../client/memory-client.ts';
import { nodeNamed } from '../controllers/cluster.ts';

interface World {
  clock: ManualClock;
  client: MemoryClient;
  decisions: Decisions;
  addPod(name: string, cpu?: string, change?: (spec: NonNullable<Pod['spec']>) => void): Promise<void>;
  nodeOf(name: string): string | undefined;
  condition(name: string): string | undefined;
}

async function withScheduler(run: (world: World) => Promise<void>): Promise<void> {
  const clock = new ManualClock();
  const random = seededRandom(5);
  const client = new MemoryClient({ clock, random });
  const decisions = new Decisions();
  const abort = new AbortController();
  const ended = startScheduler({ client, clock, random, logger: silentLogger, decisions }, abort.signal);
  const pod = (name: string) => client.find(r.pods, name, 'default');
  try {
    await run({
      clock,
      client,
      decisions,
      async addPod(name, cpu = '100m', change = () => {}) {
        const spec = { containers: [{ name: 'c', resources: { requests: { cpu } } }] } as NonNullable<Pod['spec']>;
        change(spec);
        await client.create(r.pods, { metadata: { name, namespace: 'default' }, spec, status: { phase: 'Pending' } });
      },
      nodeOf: (name) => pod(name)?.spec?.nodeName,
      condition: (name) => pod(name)?.status?.conditions?.find(({ type }) => type === 'PodScheduled')?.message,
    });
  } finally {
    abort.abort(new Error('end of test'));
    await ended;
  }
}

test('a pod that fits nowhere says so, waits without asking again and again, and is placed when a node comes', () =>
  withScheduler(async ({ clock, client, decisions, addPod, nodeOf, condition }) => {
    await addPod('early');
    await settle();
    assert.is(condition('early'), 'no nodes available to schedule pods');
    await client.create(r.nodes, nodeNamed('small'));
    await clock.until(() => nodeOf('early') === 'small', 'placed');
    await addPod('big', '6');
    await settle();
    const message = '0/1 nodes are available: 1 Insufficient cpu.';
    assert.is(condition('big'), message);
    const events = client.all(r.events).filter(({ reason }) => reason === 'FailedScheduling');
    assert.is(events.at(-1)?.message, message);
    await clock.advance(60_000);
    assert.is(decisions.get('default', 'big')?.attempt, 1, 'nothing changed, so nothing was tried');
    const large = nodeNamed('large');
    if (large.status?.allocatable) large.status.allocatable.cpu = '8';
    await client.create(r.nodes, large);
    await settle();
    assert.is(nodeOf('big'), 'large');
    assert.is(decisions.get('default', 'big')?.node, 'large');
    const scheduled = client.all(r.events).filter(({ reason }) => reason === 'Scheduled');
    assert.is(scheduled.at(-1)?.message, 'Successfully assigned default/big to large');
  }));

test('pods decided on quickly one after another count each other', () =>
  withScheduler(async ({ clock, client, addPod, nodeOf }) => {
    await client.create(r.nodes, nodeNamed('a'));
    await client.create(r.nodes, nodeNamed('b'));
    client.hold(r.pods);
    const names = Array.from({ length: 5 }, (_, index) => `p${index}`);
    for (const name of names) await addPod(name, '2');
    client.release(r.pods);
    await clock.advance(1_000);
    const placed = names.map(nodeOf);
    assert.is(placed.filter((node) => node === 'a').length, 2);
    assert.is(placed.filter((node) => node === 'b').length, 2);
    assert.is(placed.filter((node) => node === undefined).length, 1);
  }));

test('a pod that leaves makes room for one that waits; a change that does not help wakes nobody', () =>
  withScheduler(async ({ clock, client, decisions, addPod, nodeOf }) => {
    await client.create(r.nodes, nodeNamed('a'));
    await addPod('first', '4');
    await clock.until(() => nodeOf('first') === 'a', 'the first');
    await addPod('second', '4');
    await settle();
    const node = structuredClone(client.find(r.nodes, 'a') as Node);
    node.metadata.annotations = { seen: 'now' };
    await client.update(r.nodes, node);
    await clock.advance(30_000);
    assert.is(decisions.get('default', 'second')?.attempt, 1);
    await client.delete(r.pods, 'first', { namespace: 'default', gracePeriodSeconds: 0 });
    await clock.until(() => nodeOf('second') === 'a', 'the second');
  }));

test('a finished pod holds nothing any more', () =>
  withScheduler(async ({ clock, client, addPod, nodeOf }) => {
    await client.create(r.nodes, nodeNamed('a'));
    await addPod('first', '4');
    await clock.until(() => nodeOf('first') === 'a', 'the first');
    await addPod('second', '4');
    await settle();
    const options = { namespace: 'default', subresource: 'status' };
    await client.patch(r.pods, 'first', 'merge', { status: { phase: 'Succeeded' } }, options);
    await clock.until(() => nodeOf('second') === 'a', 'the second');
  }));

test('a binding that fails gives the room back and is tried again after a second', () =>
  withScheduler(async ({ clock, client, decisions, addPod, nodeOf }) => {
    await client.create(r.nodes, nodeNamed('a'));
    let refusals = 1;
    client.intercept = ({ subresource }) => {
      if (subresource === 'binding' && refusals-- > 0) throw serviceUnavailable('not now');
    };
    await addPod('p', '4');
    await clock.advance(900);
    assert.is(nodeOf('p'), undefined);
    assert.match(decisions.get('default', 'p')?.bindError ?? '', 'not now');
    await clock.advance(200);
    assert.is(nodeOf('p'), 'a');
  }));

test('higher priority goes first', () =>
  withScheduler(async ({ clock, client, addPod, nodeOf }) => {
    client.hold(r.nodes);
    await addPod('low', '4', (spec) => {
      spec.priority = 1;
    });
    await addPod('high', '4', (spec) => {
      spec.priority = 10;
    });
    await clock.advance(20_000);
    await client.create(r.nodes, nodeNamed('a'));
    client.release(r.nodes);
    await clock.advance(20_000);
    assert.is(nodeOf('high'), 'a');
    assert.is(nodeOf('low'), undefined);
  }));

test('pods of other schedulers, with gates, or on their way out are left alone', () =>
  withScheduler(async ({ clock, client, addPod, nodeOf, condition }) => {
    await client.create(r.nodes, nodeNamed('a'));
    await addPod('other', '1', (spec) => {
      spec.schedulerName = 'my-scheduler';
    });
    await addPod('gated', '1', (spec) => {
      spec.schedulingGates = [{ name: 'example.com/wait' }];
    });
    await clock.advance(5_000);
    assert.equal([nodeOf('other'), nodeOf('gated')], [undefined, undefined]);
    assert.equal([condition('other'), condition('gated')], [undefined, undefined]);
    const gated = structuredClone(client.find(r.pods, 'gated', 'default') as Pod);
    if (gated.spec) gated.spec.schedulingGates = [];
    await client.update(r.pods, gated);
    await clock.until(() => nodeOf('gated') === 'a', 'placed when its gates are open');
  }));

test('a thousand pods on a hundred nodes are all placed, none too many on any node', () =>
  withScheduler(async ({ clock, client, addPod }) => {
    client.hold(r.pods);
    for (let index = 0; index < 100; index++) await client.create(r.nodes, nodeNamed(`node-${index}`));
    for (let index = 0; index < 1_000; index++) await addPod(`p-${index}`, '400m');
    client.release(r.pods);
    await clock.until(() => client.all(r.pods).every(({ spec }) => spec?.nodeName), 'all are placed');
    const counts = new Map<string, number>();
    for (const { spec } of client.all(r.pods)) counts.set(spec?.nodeName ?? '', (counts.get(spec?.nodeName ?? '') ?? 0) + 1);
    assert.is(Math.max(...counts.values()), 10);
    assert.is(counts.size, 100);
  }));

test.run();
