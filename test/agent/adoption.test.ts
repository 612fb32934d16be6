/** The agent goes and comes back; the API goes and comes back; containers do not notice. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PodRecord } from '../../src/agent/pods/record.ts';
import { processStart } from '../../src/agent/runtime/process-identity.ts';
import { pods } from '../../src/machinery/resources.ts';
import { getText } from './support/agent-client.ts';
import { image, Lab, until } from './support/lab.ts';

let lab: Lab;
test.before(async () => {
  lab = await Lab.open();
});
test.after(() => lab.close());

const shell = (script: string) => ({ name: 'main', image, command: ['sh', '-c', script] });
const recordOf = (uid: string) => JSON.parse(readFileSync(join(lab.dataDir, 'pods', uid, 'state.json'), 'utf8')) as PodRecord;
const pidOf = (uid: string) => recordOf(uid).containers.main!.current!.pid!;

test('a running container is adopted, never started again', async () => {
  await lab.createPod('steady', { containers: [shell('echo up; exec sleep 1000')] });
  const { metadata } = await lab.running('steady');
  const pid = pidOf(metadata.uid!);
  await lab.stopAgent();
  process.kill(pid, 0);
  await lab.startAgent();
  const pod = await lab.running('steady');
  assert.is(pidOf(metadata.uid!), pid);
  assert.is(pod.status?.containerStatuses?.[0]?.restartCount, 0);
  assert.is((await getText(lab.options.agentSocket, '/logs/default/steady/main')).text, 'up\n');
});

test('a container that ended while no agent was there is seen with its exit code and restarted', async () => {
  await lab.createPod('ended', { containers: [shell('trap "exit 5" USR1; while true; do sleep 0.05; done')] });
  const { metadata } = await lab.running('ended');
  await lab.stopAgent();
  const pid = pidOf(metadata.uid!);
  process.kill(pid, 'SIGUSR1');
  await until('the container has ended', () => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });
  await lab.startAgent();
  const pod = await lab.podUntil(
    'ended',
    'was restarted',
    ({ containerStatuses }) => containerStatuses?.[0]?.restartCount === 1 && containerStatuses[0].ready,
  );
  assert.is(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 5);
});

test('the end of a container whose monitor was killed is an unknown exit', async () => {
  await lab.createPod('unwatched', { restartPolicy: 'Never', containers: [shell('exec sleep 1000')] });
  const { metadata } = await lab.running('unwatched');
  const bundle = join(lab.dataDir, 'pods', metadata.uid!, '_run', 'main-0');
  process.kill(Number(readFileSync(join(bundle, 'conmon.pid'), 'utf8')), 'SIGKILL');
  process.kill(pidOf(metadata.uid!), 'SIGKILL');
  const pod = await lab.podUntil('unwatched', 'failed', ({ phase }) => phase === 'Failed');
  assert.is(pod.status?.containerStatuses?.[0]?.state?.terminated?.reason, 'ContainerStatusUnknown');
});

test('a pod deleted while no agent was there is taken down, but only once the API says so', async () => {
  await lab.createPod('deleted', { containers: [shell('exec sleep 1000')] });
  const { metadata } = await lab.running('deleted');
  const pid = pidOf(metadata.uid!);
  await lab.stopAgent();
  await lab.deletePod('deleted');
  lab.api.setAway(true);
  const starting = lab.startAgent();
  // The agent serves before it has heard the API.
  await until('the agent answers', async () => (await getText(lab.options.agentSocket, '/healthz')).code === 200);
  process.kill(pid, 0);
  lab.api.setAway(false);
  await starting;
  await until('the container is gone', () => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });
});

test('pods go on while the API is away, and tell when it is back', async () => {
  await lab.createPod('alone', { containers: [shell('exec sleep 1000')] });
  const { metadata } = await lab.running('alone');
  lab.api.setAway(true);
  const before = pidOf(metadata.uid!);
  process.kill(before, 'SIGKILL');
  await until(
    'it was restarted',
    () => recordOf(metadata.uid!).containers.main?.current?.attempt === 1 && pidOf(metadata.uid!) !== before,
  );
  lab.api.setAway(false);
  await lab.podUntil('alone', 'shows the restart', ({ containerStatuses }) => containerStatuses?.[0]?.restartCount === 1);
});

test('a start that an agent did not live to finish is made again, and is no restart', async () => {
  await lab.createPod('begun', { containers: [shell('exec sleep 1000')] });
  const { metadata } = await lab.running('begun');
  await lab.stopAgent();
  const record = recordOf(metadata.uid!);
  const run = record.containers.main!.current!;
  const before = run.pid!;
  Object.assign(run, { state: 'creating', pid: undefined, pidStart: undefined });
  writeFileSync(join(lab.dataDir, 'pods', metadata.uid!, 'state.json'), JSON.stringify(record));
  await lab.startAgent();
  await until('it runs again', () => recordOf(metadata.uid!).containers.main?.current?.state === 'running');
  assert.is.not(pidOf(metadata.uid!), before);
  assert.is(await processStart(before), undefined);
  assert.is(recordOf(metadata.uid!).containers.main?.current?.attempt, 0);
});

test('what has no readable record is removed, and the pod is started anew', async () => {
  await lab.createPod('torn', { containers: [shell('exec sleep 1000')] });
  const { metadata } = await lab.running('torn');
  const before = pidOf(metadata.uid!);
  await lab.stopAgent();
  writeFileSync(join(lab.dataDir, 'pods', metadata.uid!, 'state.json'), '{"version":1,');
  await lab.startAgent();
  await until('it runs again', () => recordOf(metadata.uid!).containers.main?.current?.state === 'running');
  assert.is(await processStart(before), undefined);
});

test('a pod made anew under the same name is another pod', async () => {
  const first = await lab.createPod('twin', { containers: [shell('exec sleep 1000')] });
  await lab.running('twin');
  await lab.deletePod('twin');
  const second = await lab.createPod('twin', { containers: [shell('exec sleep 1000')] });
  assert.is.not(first.metadata.uid, second.metadata.uid);
  await lab.running('twin');
  await until('the first is gone', async () => !(await lab.cgroups.list()).includes(first.metadata.uid!));
  assert.ok(await lab.api.get(pods, 'twin', { namespace: 'default' }));
});

test.run();
