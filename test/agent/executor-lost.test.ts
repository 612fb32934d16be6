/** The process that runs the agent's commands dies, or the agent in the middle of a release: nothing is lost, nothing stays. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PodRecord } from '../../src/agent/pods/record.ts';
import { image, Lab, mountsOf, until } from './support/lab.ts';

let lab: Lab;
test.before(async () => {
  lab = await Lab.open();
});
test.after(() => lab.close());

const shell = (script: string) => ({ name: 'main', image, command: ['sh', '-c', script] });
const fileOf = (uid: string) => join(lab.dataDir, 'pods', uid, 'state.json');
const recordOf = (uid: string) => JSON.parse(readFileSync(fileOf(uid), 'utf8')) as PodRecord;
const rootOf = (uid: string, container: string) =>
  join(lab.dataDir, 'images/containers', recordOf(uid).containers[container]!.current!.id);

test('a hook whose command dies with the executor is run again, and the container lives', async () => {
  const hook = 'if [ -e /tmp/once ]; then touch /tmp/twice; exit 0; fi; touch /tmp/once; sleep 1000';
  const lifecycle = { postStart: { exec: { command: ['sh', '-c', hook] } } };
  const { metadata } = await lab.createPod('hooked', { containers: [{ ...shell('exec sleep 1000'), lifecycle }] });
  const uid = metadata.uid!;
  await until('the hook runs', () => existsSync(join(rootOf(uid, 'main'), 'root/tmp/once')));
  process.kill(lab.executor.pid!, 'SIGKILL');
  await until('the hook has run again', () => existsSync(join(rootOf(uid, 'main'), 'root/tmp/twice')));
  const pod = await lab.running('hooked');
  assert.is(pod.status?.containerStatuses?.[0]?.restartCount, 0);
  assert.is(recordOf(uid).containers.main?.current?.state, 'running');
});

test('what an agent died before giving back is given back by the next one', async () => {
  const first = { name: 'first', image, command: ['true'] };
  await lab.createPod('begun', { initContainers: [first], containers: [shell('exec sleep 1000')] });
  const { metadata } = await lab.running('begun');
  const uid = metadata.uid!;
  const root = rootOf(uid, 'first');
  await until('the root of the init container is gone', () => !existsSync(root));
  await lab.stopAgent();
  // As it was when its end had been recorded and nothing more.
  const record = recordOf(uid);
  record.containers.first!.current!.released = undefined;
  writeFileSync(fileOf(uid), JSON.stringify(record));
  await lab.images.mountRoot(record.containers.first!.current!.id, (await lab.images.find(image))!);
  await lab.startAgent();
  await until('it is gone again', () => !existsSync(root));
  assert.not(mountsOf(lab.dataDir).some((line) => line.includes(root)));
  assert.is((await lab.running('begun')).status?.containerStatuses?.[0]?.restartCount, 0);
});

test('what a runtime leaves that was killed while it began is no obstacle', async () => {
  const { metadata } = await lab.createPod('half', { containers: [shell('exec sleep 1000')] });
  await lab.running('half');
  const uid = metadata.uid!;
  await lab.stopAgent();
  const record = recordOf(uid);
  const run = record.containers.main!.current!;
  const state = join(lab.dataDir, 'runtime', run.id);
  rmSync(join(state, 'state.json'));
  writeFileSync(join(state, 'copy'), '');
  execFileSync('mount', ['--bind', '/bin/true', join(state, 'copy')]);
  Object.assign(run, { state: 'creating', pid: undefined, pidStart: undefined });
  writeFileSync(fileOf(uid), JSON.stringify(record));
  await lab.startAgent();
  await until('it runs again', () => recordOf(uid).containers.main?.current?.state === 'running');
  assert.not(existsSync(join(state, 'copy')));
});

test('a sandbox whose making broke off before its files were written is made whole', async () => {
  const { metadata } = await lab.createPod('bare', { containers: [shell('exec sleep 1000')] });
  await lab.running('bare');
  const uid = metadata.uid!;
  await lab.stopAgent();
  const record = recordOf(uid);
  Object.assign(record.containers.main!.current!, { state: 'creating', pid: undefined, pidStart: undefined });
  writeFileSync(fileOf(uid), JSON.stringify(record));
  rmSync(join(lab.dataDir, 'pods', uid, '_files'), { recursive: true });
  await lab.startAgent();
  await until('it runs again', () => recordOf(uid).containers.main?.current?.state === 'running');
  assert.is(recordOf(uid).containers.main?.current?.attempt, 0);
});

test('a container that is being created when the executor dies is created once', async () => {
  const names = ['a', 'b', 'c', 'd'];
  const created = await Promise.all(names.map((name) => lab.createPod(name, { containers: [shell('exec sleep 1000')] })));
  await until('one is begun', () =>
    created.some(({ metadata }) => {
      const file = fileOf(metadata.uid!);
      return existsSync(file) && recordOf(metadata.uid!).containers.main?.current?.state === 'creating';
    }),
  );
  process.kill(lab.executor.pid!, 'SIGKILL');
  for (const [at, name] of names.entries()) {
    await lab.running(name);
    const { id } = recordOf(created[at]!.metadata.uid!).containers.main!.current!;
    const monitors = await lab.cgroups.monitors();
    const own = monitors.filter((pid) => commandOf(pid).includes(id));
    assert.is(own.length, 1, 'one monitor');
  }
});

function commandOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // It ended meanwhile.
  }
}

test.run();
