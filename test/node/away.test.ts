import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { NodeHealthView } from '../../src/machinery/node-health.ts';
import { HealthTable } from '../../src/node/health-table.ts';

const view = (verdict: NodeHealthView['verdict']): NodeHealthView => ({
  nodeName: 'a',
  verdict,
  agentReady: true,
  lastHeartbeatMs: 0,
});

test('a machine that said it would be away is not called dead, and is once its time is over', () => {
  let away = true;
  const table = new HealthTable(() => away);
  const heard: string[] = [];
  table.onChange(({ verdict }) => heard.push(verdict));
  table.update([view('alive')]);
  table.update([view('dead')]);
  assert.is(table.get('a')?.verdict, 'suspect');
  away = false;
  table.update([view('dead')]);
  assert.is(table.get('a')?.verdict, 'dead');
  assert.equal(heard, ['alive', 'suspect', 'dead']);
});

test('listeners hear of a change once, and no more after they have stopped', () => {
  const table = new HealthTable(() => false);
  let changes = 0;
  const stop = table.onChange(() => changes++);
  table.update([view('alive')]);
  table.update([view('alive')]);
  assert.is(changes, 1);
  stop();
  table.update([view('dead')]);
  assert.is(changes, 1);
});

test.run();
