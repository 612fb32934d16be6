/** Which namespaces a pod's containers have for themselves, share with each other, or share with the machine. */
import { readlinkSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { podPaths, readRecord } from '../../src/agent/pods/record.ts';
import { image, Lab, until } from './support/lab.ts';

let lab: Lab;
test.before(async () => {
  lab = await Lab.open();
});
test.after(() => lab.close());

const container = (name: string, script = 'exec sleep 1000') => ({ name, image, command: ['sh', '-c', script] });
const run = async (pod: string, name: string, script: string) => (await lab.shell(pod, script, name)).trim();
const pauseOf = async (uid: string) => (await readRecord(podPaths(lab.dataDir, uid).state))?.pause;

test('with shareProcessNamespace containers see each other, and nobody is left a zombie', async () => {
  await lab.createPod('shared', {
    shareProcessNamespace: true,
    containers: [container('one'), container('two', 'exec sleep 2000')],
  });
  await lab.running('shared');
  const lines = await run('shared', 'one', 'cat /proc/[0-9]*/cmdline | tr "\\0" " " 2>/dev/null || cat /proc/[0-9]*/cmdline');
  assert.match(lines, /pause/);
  assert.match(lines, /sleep.1000/);
  assert.match(lines, /sleep.2000/);
  // An orphan of an orphan is handed to the first process, which reaps it.
  await run('shared', 'one', '(sh -c "sleep 0.05" & ) ; true');
  await until('no zombie', async () => {
    const states = await run('shared', 'one', 'grep -h State /proc/[0-9]*/status 2>/dev/null');
    return /State/.test(states) && !/zombie/.test(states);
  });
  assert.match(await run('shared', 'one', 'ls /proc/1/root'), /denied|^(pause|proc|dev)/);
});

test('a container of a shared namespace restarts alone; when the first process dies, the sandbox is made again', async () => {
  await lab.createPod('rebuilt', { shareProcessNamespace: true, containers: [container('one'), container('two')] });
  const pod = await lab.running('rebuilt');
  const first = await pauseOf(pod.metadata.uid!);
  await lab.stopAgent();
  await lab.startAgent();
  assert.equal(await pauseOf(pod.metadata.uid!), first, 'a new agent adopts it');
  process.kill(first!.pid, 'SIGKILL');
  const again = await lab.podUntil('rebuilt', 'runs again', ({ containerStatuses }) =>
    containerStatuses?.every(({ restartCount, ready }) => restartCount > 0 && ready),
  );
  assert.is.not((await pauseOf(pod.metadata.uid!))?.pid, first!.pid);
  assert.ok(lab.events.some((event) => event.pod === 'rebuilt' && event.reason === 'SandboxChanged'));
  assert.is(again.status?.phase, 'Running');
});

test('host namespaces are the machine’s, all others are not', async () => {
  const own = (kind: string) => readlinkSync(`/proc/self/ns/${kind}`);
  const kinds = ['pid', 'ipc', 'net', 'uts'];
  const seen = async (pod: string) => {
    const links = await run(pod, 'one', kinds.map((kind) => `readlink /proc/self/ns/${kind}`).join(';'));
    return links.split('\n').map((link, index) => link === own(kinds[index]!));
  };
  await lab.createPod('apart', { containers: [container('one')] });
  await lab.createPod('host', { hostPID: true, hostIPC: true, hostNetwork: true, containers: [container('one')] });
  await Promise.all([lab.running('apart'), lab.running('host')]);
  assert.equal(await seen('apart'), [false, false, false, false]);
  assert.equal(await seen('host'), [true, true, true, true]);
});

test.run();
