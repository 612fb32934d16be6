/** Containers that see their own limits in /proc, with the real lxcfs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lxcfsFiles, lxcfsMounts } from '../../src/agent/runtime/lxcfs.ts';
import { parseConfig } from '../../src/node/config.ts';
import { image, Lab, until } from './support/lab.ts';

const path = mkdtempSync(join(tmpdir(), 'kontiki-lxcfs-'));
let lab: Lab | undefined;
let lxcfs: ChildProcess | undefined;

test.after(async () => {
  await lab?.close();
  await stopLxcfs();
  rmSync(path, { recursive: true });
});

async function stopLxcfs(): Promise<void> {
  if (!lxcfs || lxcfs.exitCode !== null) return;
  const ended = once(lxcfs, 'exit');
  lxcfs.kill('SIGTERM');
  await ended;
}

const none: ReadonlySet<string> = new Set();
const containers = (volumeMounts: { name: string; mountPath: string }[] = []) => [
  { name: 'main', image, command: ['sleep', '1000'], resources: { limits: { cpu: '1', memory: '64Mi' } }, volumeMounts },
];
const run = (pod: string, script: string) => lab!.shell(pod, script);
const totalOf = (meminfo: string) => Number(/MemTotal:\s+(\d+)/.exec(meminfo)?.[1]);

test('the configuration says no, maybe, or must; a must without lxcfs is refused', () => {
  assert.equal(parseConfig('', 'x').agent.lxcfs, { mode: 'off', path: '/var/lib/lxcfs' });
  assert.is(parseConfig('agent: {lxcfs: {mode: auto, path: /nowhere}}', 'x').agent.lxcfs.path, '/nowhere');
  assert.throws(
    () => parseConfig('agent: {lxcfs: {mode: required, path: /nowhere}}', 'x.yaml'),
    /x\.yaml: agent\.lxcfs\.mode is "required", but lxcfs is not mounted at \/nowhere/,
  );
  assert.throws(() => parseConfig('agent: {lxcfs: {mode: on}}', 'x'), /agent\.lxcfs\.mode/);
});

test('without lxcfs there are no mounts; where it must be there, that is why a container waits', async () => {
  assert.equal(await lxcfsMounts({ path, required: false }, none), []);
  lab = await Lab.open({ lxcfs: { path, required: true } });
  await lab.createPod('eager', { containers: containers() });
  const pod = await lab.podUntil('eager', 'waits', ({ containerStatuses }) => containerStatuses?.[0]?.state?.waiting?.message);
  assert.equal(pod.status?.containerStatuses?.[0]?.state?.waiting, {
    reason: 'CreateContainerConfigError',
    message: `lxcfs is not mounted at ${path}`,
  });
  await lab.deletePod('eager');
});

test('with it a container sees its own limits, unless it mounts a file of its own there', async () => {
  lxcfs = spawn('lxcfs', ['-f', '--enable-cfs', `--pidfile=${path}.pid`, path], { stdio: 'ignore' });
  await until('lxcfs is mounted', () => existsSync(join(path, 'proc/meminfo')));
  assert.equal(
    (await lxcfsMounts({ path, required: true }, none)).map(({ destination }) => destination),
    lxcfsFiles.map((name) => `/proc/${name}`),
  );
  assert.equal(await lxcfsMounts({ path, required: true }, new Set(['/proc'])), []);
  const own = join(lab!.dataDir, 'own-meminfo');
  writeFileSync(own, 'MemTotal: 5 kB\n');
  await lab!.createPod('plain', { containers: containers() });
  await lab!.createPod('own', {
    containers: containers([{ name: 'own', mountPath: '/proc/meminfo' }]),
    volumes: [{ name: 'own', hostPath: { path: own } }],
  });
  await Promise.all([lab!.running('plain'), lab!.running('own')]);
  assert.is(totalOf(await run('plain', 'cat /proc/meminfo')), 64 * 1024);
  assert.match(
    await run('plain', 'cat /proc/uptime /proc/loadavg /proc/swaps > /dev/null && grep -c ^processor /proc/cpuinfo'),
    /^1\n$/,
  );
  assert.is(totalOf(await run('own', 'cat /proc/meminfo')), 5);
  assert.ok(totalOf(readFileSync('/proc/meminfo', 'utf8')) > 64 * 1024);
});

test.run();
