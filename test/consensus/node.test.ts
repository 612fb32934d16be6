import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ConsensusError } from '../../src/consensus/index.ts';
import { Cluster, ListMachine, MemoryLogStorage, statusOf, text, until } from './cluster.ts';

const open = new Set<Cluster>();
function cluster(options = {}): Cluster {
  const made = new Cluster(options);
  open.add(made);
  return made;
}
test.after.each(async () => {
  for (const each of open) await each.stop();
  open.clear();
});

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'none';
  } catch (error) {
    if (error instanceof ConsensusError) return error.code;
    throw error;
  }
}

test('a single bootstrapped node elects itself and applies what is proposed', async () => {
  const { node, machine } = await cluster().start('a', true);
  const { index } = await node.propose(text('one'));
  await until(() => machine.index >= index);
  assert.equal(machine.items, ['one']);
  assert.is(node.status().role, 'leader');
  assert.ok((await node.readIndex()) >= index);
});

test('three nodes replicate; a follower passes proposals and reads to the leader', async () => {
  const [a, b, c] = await cluster().startVoters('a', 'b', 'c');
  const { index } = await b!.node.propose(text('through b'));
  const read = await c!.node.readIndex();
  assert.ok(read >= index);
  for (const { machine } of [a!, b!, c!]) {
    await until(() => machine.index >= index);
    assert.equal(machine.items, ['through b']);
  }
});

test('proposals of one turn share one write', async () => {
  const { node, storage, machine } = await cluster().start('a', true);
  await node.propose(text('warm'));
  const before = storage.writes;
  await Promise.all(Array.from({ length: 100 }, (_, n) => node.propose(text(`${n}`))));
  assert.is(storage.writes, before + 1);
  await until(() => machine.items.length === 101);
});

test('when the leader dies the others elect one and lose nothing; it comes back and catches up', async () => {
  const group = cluster();
  const [a] = await group.startVoters('a', 'b', 'c');
  await a!.node.propose(text('before'));
  await group.kill('a');
  const leader = await group.leader('a');
  const { index } = await leader.node.propose(text('after'));
  const again = await group.start('a');
  await until(() => again.machine.index >= index);
  assert.equal(again.machine.items, ['before', 'after']);
});

test('all nodes at once are killed and started again: what was acknowledged is there', async () => {
  const group = cluster();
  const [a] = await group.startVoters('a', 'b', 'c');
  await Promise.all(Array.from({ length: 20 }, (_, n) => a!.node.propose(text(`${n}`))));
  for (const id of ['a', 'b', 'c']) await group.kill(id);
  for (const id of ['a', 'b', 'c']) await group.start(id);
  const leader = await group.leader();
  const { index } = await leader.node.propose(text('last'));
  for (const { machine } of group.members.values()) {
    await until(() => machine.index >= index);
    assert.is(machine.items.length, 21);
  }
});

test('a node that is behind the compacted log gets a snapshot', async () => {
  const group = cluster({ logEntriesMax: 50 });
  const [a, b, c] = await group.startVoters('a', 'b', 'c');
  await group.kill('c');
  const large = 'x'.repeat(20_000);
  for (let round = 0; round < 20; round++)
    await Promise.all(Array.from({ length: 10 }, (_, n) => a!.node.propose(text(`${round} ${n} ${large}`))));
  const leader = await group.leader('c');
  await until(() => statusOf(leader).firstIndex > 100 && b!.machine.index === a!.machine.index);
  const again = await group.start('c');
  const { index } = await leader.node.propose(text('end'));
  await until(() => again.machine.index >= index);
  assert.ok(again.machine.restores >= 1);
  assert.equal(again.machine.items, leader.machine.items);
  assert.equal(statusOf(again).membership, statusOf(leader).membership);
  await group.kill('c');
  const third = await group.start('c');
  assert.ok(statusOf(third).firstIndex > 100);
  assert.is(c!.machine, third.machine);
});

test('a transfer that meets a lossy network still arrives', async () => {
  let sent = 0;
  const group = cluster({ logEntriesMax: 50 });
  const [a] = await group.startVoters('a', 'b');
  await group.kill('b');
  assert.is(await codeOf(a!.node.changeMembership({ type: 'remove', peer: 'b' })), 'none');
  for (let n = 0; n < 200; n++) await a!.node.propose(text(`${n} ${'y'.repeat(10_000)}`));
  await until(() => statusOf(a!).firstIndex > 100);
  const network = group.lose(() => sent++ % 5 === 4);
  const c = await group.start('c');
  await a!.node.changeMembership({ type: 'addLearner', peer: 'c' });
  await until(() => c.machine.items.length === 200);
  network.restore();
});

test('a learner follows but does not vote; promoted it counts; removed it is out', async () => {
  const group = cluster();
  const a = await group.start('a', true);
  const b = await group.start('b');
  await a.node.changeMembership({ type: 'addLearner', peer: 'b' });
  const { index } = await a.node.propose(text('seen by the learner'));
  await until(() => b.machine.index >= index);
  assert.is(statusOf(b).role, 'learner');
  assert.equal(statusOf(a).membership, { voters: ['a'], votersOutgoing: [], learners: ['b'] });
  await until(() => statusOf(a).progress.b!.match >= index);
  await a.node.changeMembership({ type: 'promote', peer: 'b' });
  await a.node.changeMembership({ type: 'promote', peer: 'b' });
  assert.equal(statusOf(a).membership, { voters: ['a', 'b'], votersOutgoing: [], learners: [] });
  await until(() => statusOf(b).role === 'follower');
  await a.node.changeMembership({ type: 'remove', peer: 'b' });
  assert.equal(statusOf(a).membership, { voters: ['a'], votersOutgoing: [], learners: [] });
  await until(() => statusOf(b).role === 'learner' && statusOf(b).membership.voters.length === 1);
});

test('a leader that removes itself hands over', async () => {
  const group = cluster();
  const [a] = await group.startVoters('a', 'b', 'c');
  await a!.node.changeMembership({ type: 'remove', peer: 'a' });
  const leader = await group.leader('a');
  const { index } = await leader.node.propose(text('without a'));
  assert.ok(index > 0);
  assert.equal(statusOf(leader).membership.voters, ['b', 'c']);
});

test('leadership goes to the voter that is asked for', async () => {
  const group = cluster();
  const [a, b, c] = await group.startVoters('a', 'b', 'c');
  await c!.node.transferLeadership('b');
  await until(() => statusOf(b!).role === 'leader' && statusOf(a!).leader === 'b');
  await a!.node.propose(text('to b'));
  assert.is(await codeOf(a!.node.transferLeadership('nobody')), 'InvalidChange');
});

test('a leader cut off from the rest steps down and cannot commit', async () => {
  const group = cluster({ requestTimeoutMs: 600 });
  const [a] = await group.startVoters('a', 'b', 'c');
  group.cut.add('a');
  const lost = codeOf(a!.node.propose(text('lost')));
  const leader = await group.leader('a');
  await leader.node.propose(text('kept'));
  await until(() => statusOf(a!).role !== 'leader');
  assert.is(await codeOf(a!.node.propose(text('no leader here'))), 'NoLeader');
  assert.ok(['ProposalUnknown', 'ProposalDropped'].includes(await lost));
  group.cut.clear();
  await until(() => a!.machine.items.includes('kept'));
  assert.equal(a!.machine.items, ['kept']);
});

test('several members change at once, asked for on a follower; a voter is demoted', async () => {
  const group = cluster();
  const [a, b] = await group.startVoters('a', 'b', 'c');
  const added = [await group.start('d'), await group.start('e')];
  for (const { id } of added) await a!.node.changeMembership({ type: 'addLearner', peer: id });
  await b!.node.changeMembership({ type: 'set', voters: ['a', 'd', 'e'], learners: ['b'] });
  const [d] = added;
  // What is committed now comes after the entry that leaves the joint membership.
  await d!.node.propose(text('settled'));
  assert.equal(statusOf(d!).membership, { voters: ['a', 'd', 'e'], votersOutgoing: [], learners: ['b'] });
  await d!.node.changeMembership({ type: 'demote', peer: 'e' });
  await until(() => statusOf(d!).membership.learners.length === 2);
  const { index } = await d!.node.propose(text('with the new members'));
  await until(() => b!.machine.index >= index);
});

test('changes that would endanger the cluster are refused', async () => {
  const group = cluster();
  const a = await group.start('a', true);
  assert.is(await codeOf(a.node.changeMembership({ type: 'remove', peer: 'a' })), 'InvalidChange');
  assert.is(await codeOf(a.node.changeMembership({ type: 'promote', peer: 'x' })), 'InvalidChange');
  await a.node.changeMembership({ type: 'addLearner', peer: 'silent' });
  await until(() => statusOf(a).progress.silent!.active === false);
  assert.is(await codeOf(a.node.changeMembership({ type: 'promote', peer: 'silent' })), 'QuorumAtRisk');
  assert.is(await codeOf(a.node.propose(Buffer.alloc((2 << 20) + 1))), 'ProposalTooLarge');
});

test('a failed write stops the node and is told once, even if the disk would take the next one', async () => {
  const { node, storage, fatal } = await cluster().start('a', true);
  await node.propose(text('fine'));
  const { writes } = storage;
  const failure = new Error('disk on fire');
  storage.failure = failure;
  assert.is(await codeOf(node.propose(text('not written'))), 'Stopped');
  assert.equal(fatal, [failure]);
  assert.is(await codeOf(node.readIndex()), 'Stopped');
  await node.stop();
  assert.is(storage.writes, writes);
});

test('what followers promise leaves them only when their disks hold it', async () => {
  // No election comes in between, however slow the machine is.
  const group = cluster({ electionTicks: 6_000, requestTimeoutMs: 60_000 });
  const [a, ...followers] = await group.startVoters('a', 'b', 'c');
  const release = Promise.withResolvers<void>();
  for (const { storage } of followers) storage.held = release.promise;
  const proposal = a!.node.propose(text('promised'));
  try {
    await until(() => statusOf(a!).committed < statusOf(a!).lastIndex);
    const { lastIndex } = statusOf(a!);
    await until(() => followers.every((follower) => statusOf(follower).lastIndex === lastIndex));
    // Promises on their way would have come before the answers to these.
    for (let round = 0; round < 3; round++) assert.is(await a!.node.readIndex(), lastIndex - 1);
    assert.is(statusOf(a!).committed, lastIndex - 1);
  } finally {
    release.resolve();
  }
  assert.is((await proposal).index, statusOf(a!).lastIndex);
});

test('a peer that has begun a log before does not start without one', async () => {
  assert.is(await codeOf(cluster({ expectsLog: true }).start('a', true)), 'LogMissing');
});

test('a state machine that does not fit its log is refused', async () => {
  const group = cluster();
  await group.start('a', true);
  await group.kill('a');
  const { storage, machine } = group.members.get('a')!;
  assert.instance(storage, MemoryLogStorage);
  assert.instance(machine, ListMachine);
  machine.index += 100;
  assert.is(await codeOf(group.start('a')), 'StateMismatch');
});

test('a caller that gives up gets its own reason', async () => {
  const { node } = await cluster().start('b');
  const abort = new AbortController();
  const waiting = node.readIndex(abort.signal);
  abort.abort(new Error('enough'));
  try {
    await waiting;
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, 'enough');
  }
});

test.run();
