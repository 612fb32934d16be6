/** A state machine that does not get durable must not let the log grow without bound. */
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ConsensusError } from '../../src/consensus/index.ts';
import { Cluster, text, until } from './cluster.ts';

const open: Cluster[] = [];
test.after.each(async () => {
  for (const group of open.splice(0)) await group.stop();
});
function cluster(options: object): Cluster {
  const group = new Cluster(options);
  open.push(group);
  return group;
}

const bytes = 1000;
const options = { logFullBytes: 20 * bytes, logBytesMax: 5 * bytes, logEntriesMax: 5 };

test('a leader whose state machine is stuck refuses proposals, and stops when that lasts', async () => {
  const group = cluster({ ...options, stuckMsMax: 200 });
  const { node, machine, fatal } = await group.start('a', true);
  machine.durable = () => ({ index: 0, term: 0 });
  let refused: unknown;
  while (!refused) await node.propose(text('x'.repeat(bytes))).catch((error: unknown) => (refused = error));
  assert.instance(refused, ConsensusError);
  assert.is((refused as ConsensusError).code, 'Busy');
  assert.ok(machine.items.length <= 20);
  await until(() => fatal.length > 0);
  assert.is((fatal[0] as ConsensusError).code, 'StateMachineStuck');
});

test('a follower whose state machine is stuck holds a bounded log, the others go on; freed, it catches up', async () => {
  const group = cluster(options);
  const [a, , c] = await group.startVoters('a', 'b', 'c');
  const standing = c!.machine.durable();
  c!.machine.durable = () => standing;
  let accepted = 0;
  while (accepted < 60) {
    // The others are compacted once per tick only, so that the leader may refuse now and then.
    const took = await a!.node.propose(text('x'.repeat(bytes))).then(
      () => true,
      (error: unknown) => {
        assert.is((error as ConsensusError).code, 'Busy');
        return false;
      },
    );
    if (took) accepted++;
    else await turn();
  }
  assert.ok(c!.node.status().lastIndex - c!.node.status().firstIndex < 30, 'its log grew on');
  assert.is(a!.node.status().role, 'leader');
  delete (c!.machine as { durable?: unknown }).durable;
  await until(() => c!.machine.items.length === 60);
  assert.equal(c!.fatal, []);
});

test.run();
