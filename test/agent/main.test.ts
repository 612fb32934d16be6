/** The agent as a process: it starts without an API, serves, and ends when its parent goes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createCgroups } from '../../src/agent/host/cgroups.ts';
import type { AgentOptions } from '../../src/agent/types.ts';
import { getText } from './support/agent-client.ts';
import { until } from './support/lab.ts';

const entry = fileURLToPath(new URL('../../src/agent/main.ts', import.meta.url));
let dataDir: string;
let cgroupRoot: string;
test.before.each(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'kontiki-main-'));
  cgroupRoot = `kontiki-main-test-${process.pid}`;
});
test.after.each(async () => {
  rmSync(dataDir, { recursive: true });
  await (await createCgroups({ root: cgroupRoot })).removeAll();
});

async function start(): Promise<{ child: ChildProcess; ended: Promise<number | null> }> {
  const options: AgentOptions = {
    nodeName: 'n',
    nodeIp: '127.0.0.1',
    dataDir,
    apiSocket: join(dataDir, 'api.sock'),
    agentSocket: join(dataDir, 'agent.sock'),
    cgroupRoot,
    runtime: 'runc',
    insecureRegistries: [],
    systemReserved: { cpuMilli: 0, memoryBytes: 0 },
    podsMax: 10,
    labels: {},
    logLevel: 'error',
  };
  const child = spawn(process.execPath, [entry, JSON.stringify(options)], { stdio: ['pipe', 'inherit', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await until('the agent answers', async () => (await getText(options.agentSocket, '/healthz')).code === 200);
  return { child, ended };
}

test('it ends when its standard input closes', async () => {
  const { child, ended } = await start();
  child.stdin?.end();
  assert.is(await ended, 0);
});

test('it ends on SIGTERM', async () => {
  const { child, ended } = await start();
  child.kill('SIGTERM');
  assert.is(await ended, 0);
});

test.run();
