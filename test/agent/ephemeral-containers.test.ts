/** Containers that join a pod that runs. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configMaps, pods } from '../../src/machinery/resources.ts';
import { getText } from './support/agent-client.ts';
import { image, Lab, until } from './support/lab.ts';

let lab: Lab;
test.before(async () => {
  lab = await Lab.open();
});
test.after(() => lab.close());

const container = (name: string, script: string, more: object = {}) => ({ name, image, command: ['sh', '-c', script], ...more });
const add = (pod: string, ...ephemeralContainers: object[]) =>
  lab.api.patch(pods, pod, 'strategic', { spec: { ephemeralContainers } }, { namespace: 'default' });
const log = (pod: string, name: string, wanted: RegExp) =>
  until(`the log of ${name}`, async () =>
    wanted.test((await getText(lab.options.agentSocket, `/logs/default/${pod}/${name}`)).text),
  );

test('one is started beside what runs, ends, and is not started again', async () => {
  await lab.createPod('debugged', { containers: [container('main', 'exec sleep 1234')] });
  await lab.running('debugged');
  await lab.api.create(configMaps, { metadata: { name: 'late', namespace: 'default' }, data: { WORD: 'from-late' } });
  const envFrom = [{ configMapRef: { name: 'late' } }];
  await add('debugged', container('brief', 'echo hello $WORD; cat /proc/[0-9]*/cmdline; exit 3', { envFrom }));
  const pod = await lab.podUntil(
    'debugged',
    'its container ended',
    ({ ephemeralContainerStatuses }) => ephemeralContainerStatuses?.[0]?.state?.terminated?.exitCode === 3,
  );
  assert.is(pod.status?.phase, 'Running');
  assert.ok(pod.status?.containerStatuses?.every(({ ready, restartCount }) => ready && restartCount === 0));
  await log('debugged', 'brief', /hello from-late/);
  const { text } = await getText(lab.options.agentSocket, '/logs/default/debugged/brief');
  assert.not.match(text, '1234', 'without a target it sees only itself');
  await lab.stopAgent();
  await lab.startAgent();
  await add('debugged', container('other', 'echo two; exec sleep 1000'));
  await log('debugged', 'other', /two/);
  const later = await lab.api.get(pods, 'debugged', { namespace: 'default' });
  const status = later.status?.ephemeralContainerStatuses?.find(({ name }) => name === 'brief');
  assert.is(status?.restartCount, 0);
});

test('with a target it sees the target’s processes', async () => {
  await lab.createPod('aimed', { containers: [container('main', 'exec sleep 1234'), container('next', 'exec sleep 4321')] });
  await lab.running('aimed');
  await add('aimed', container('look', 'cat /proc/1/cmdline; exec sleep 1000', { targetContainerName: 'main' }));
  await log('aimed', 'look', /sleep\0?1234/);
  const { text } = await getText(lab.options.agentSocket, '/logs/default/aimed/look');
  assert.not.match(text, '4321');
  const pod = await lab.api.get(pods, 'aimed', { namespace: 'default' });
  assert.not.ok(pod.status?.ephemeralContainerStatuses?.[0]?.ready);
});

test('a pod ends without waiting for one, and takes it along', async () => {
  await lab.createPod('short', { restartPolicy: 'Never', containers: [container('main', 'sleep 1')] });
  await lab.podUntil('short', 'runs', ({ containerStatuses }) => containerStatuses?.[0]?.state?.running);
  await add('short', container('long', 'trap "exit 0" TERM; while true; do sleep 0.1; done'));
  await lab.podUntil(
    'short',
    'succeeded, with nothing left running',
    ({ phase, ephemeralContainerStatuses }) =>
      phase === 'Succeeded' && ephemeralContainerStatuses?.[0]?.state?.terminated?.exitCode === 0,
  );
});

test.run();
