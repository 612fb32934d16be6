/** A pod's whole life on a real machine: namespaces, runc, conmon. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { rotateLog } from '../../src/agent/pods/log-rotation.ts';
import { podPaths } from '../../src/agent/pods/record.ts';
import { pods } from '../../src/machinery/resources.ts';
import { getText, Session } from './support/agent-client.ts';
import { image, Lab, until } from './support/lab.ts';

let lab: Lab;
test.before(async () => {
  lab = await Lab.open();
});
test.after(() => lab.close());

const shell = (script: string) => ({ name: 'main', image, command: ['sh', '-c', script] });
const gone = (name: string) =>
  until(`${name} is gone`, async () =>
    lab.api.get(pods, name, { namespace: 'default' }).then(
      () => false,
      () => true,
    ),
  );
const reasonsOf = (pod: string) => lab.events.filter((event) => event.pod === pod).map(({ reason }) => reason);

test('a pod runs, shows its log, takes commands, and goes', async () => {
  await lab.createPod('web', { containers: [shell('echo hello; echo oops >&2; exec sleep 1000')] });
  const pod = await lab.running('web');
  assert.match(pod.status?.podIP ?? '', /^10\.99\.0\./);
  const conditions = Object.fromEntries((pod.status?.conditions ?? []).map(({ type, status }) => [type, status]));
  assert.equal(conditions, {
    PodScheduled: 'True',
    PodReadyToStartContainers: 'True',
    Initialized: 'True',
    Ready: 'True',
    ContainersReady: 'True',
  });
  const log = await until('the log', async () => {
    const found = await getText(lab.options.agentSocket, '/logs/default/web/main');
    return found.text.split('\n').length === 3 ? found : undefined;
  });
  assert.equal(log.text, 'hello\noops\n');
  const command = ['sh', '-c', 'echo out; echo err >&2; hostname; exit 7']
    .map((part) => `command=${encodeURIComponent(part)}`)
    .join('&');
  const session = await Session.open(lab.options.agentSocket, `/exec/default/web/main?${command}&stdout=true&stderr=true`);
  const status = await session.ended;
  assert.is(session.stdout, 'out\nweb\n');
  assert.is(session.stderr, 'err\n');
  assert.equal(status.details?.causes, [{ reason: 'ExitCode', message: '7' }]);
  await lab.deletePod('web', 1);
  await gone('web');
  assert.equal(reasonsOf('web'), ['Pulled', 'Created', 'Started', 'Killing']);
});

test('a container that ends is restarted at once, then backs off', async () => {
  await lab.createPod('crash', { containers: [shell('echo run; exit 3')] });
  const pod = await lab.podUntil(
    'crash',
    'waits for its third run',
    ({ containerStatuses }) => containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff',
  );
  const status = pod.status?.containerStatuses?.[0];
  assert.is(status?.restartCount, 1);
  assert.match(status?.state?.waiting?.message ?? '', /^back-off 10s restarting failed container=main pod=crash_default\(/);
  assert.is(status?.lastState?.terminated?.exitCode, 3);
  assert.is(status?.lastState?.terminated?.reason, 'Error');
  assert.is(pod.status?.phase, 'Running');
  const previous = await getText(lab.options.agentSocket, '/logs/default/crash/main?previous=true');
  assert.is(previous.text, 'run\n');
  const backOffs = lab.events.filter((event) => event.pod === 'crash' && event.reason === 'BackOff');
  const { type, message } = backOffs[0]!;
  assert.is(backOffs.length, 1, 'said once for each back-off');
  assert.is(type, 'Warning');
  assert.is(message, `Back-off restarting failed container main in pod crash_default(${pod.metadata.uid})`);
});

test('without restarts the phase is the outcome, and nothing but the log is kept', async () => {
  await lab.createPod('good', { restartPolicy: 'Never', containers: [shell('echo done')] });
  await lab.createPod('bad', {
    restartPolicy: 'Never',
    containers: [shell('echo -n "last words" > /dev/termination-log; exit 9')],
  });
  const good = await lab.podUntil('good', 'succeeded', ({ phase }) => phase === 'Succeeded');
  assert.is(good.status?.containerStatuses?.[0]?.state?.terminated?.reason, 'Completed');
  const bad = await lab.podUntil('bad', 'failed', ({ phase }) => phase === 'Failed');
  assert.is(bad.status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 9);
  assert.is(bad.status?.containerStatuses?.[0]?.state?.terminated?.message, 'last words');
  assert.is((await getText(lab.options.agentSocket, '/logs/default/good/main')).text, 'done\n');
  assert.not.ok((await lab.cgroups.list()).includes(good.metadata.uid!));
});

test('a program that is not there is a start error', async () => {
  await lab.createPod('nope', { restartPolicy: 'Never', containers: [{ name: 'main', image, command: ['/no/such/program'] }] });
  const pod = await lab.podUntil('nope', 'failed', ({ phase }) => phase === 'Failed');
  const terminated = pod.status?.containerStatuses?.[0]?.state?.terminated;
  assert.is(terminated?.exitCode, 128);
  assert.is(terminated?.reason, 'StartError');
  assert.match(terminated?.message ?? '', /no such file or directory/i);
});

test('init containers run one after the other before the rest', async () => {
  const volumeMounts = [{ name: 'shared', mountPath: '/shared' }];
  const init = (name: string, script: string) => ({ name, image, command: ['sh', '-c', script], volumeMounts });
  await lab.createPod('ordered', {
    volumes: [{ name: 'shared', emptyDir: {} }],
    initContainers: [init('first', 'echo 1 > /shared/order'), init('second', 'echo 2 >> /shared/order')],
    containers: [{ ...shell('cat /shared/order; exec sleep 1000'), volumeMounts }],
  });
  const pod = await lab.running('ordered');
  assert.equal(
    pod.status?.initContainerStatuses?.map(({ state, ready }) => [state?.terminated?.reason, ready]),
    [
      ['Completed', true],
      ['Completed', true],
    ],
  );
  await until('the order', async () => (await getText(lab.options.agentSocket, '/logs/default/ordered/main')).text === '1\n2\n');
});

/** A signal that comes before the shell has set its trap would be handled by the runtime's own start-up code. */
async function trapped(name: string): Promise<void> {
  await lab.running(name);
  await until('the trap', async () => (await getText(lab.options.agentSocket, `/logs/default/${name}/main`)).text === 'set\n');
}

test('a stop is polite within the grace period, and SIGKILL after it', async () => {
  await lab.createPod('polite', { containers: [shell('trap "exit 0" TERM; echo set; while true; do sleep 0.05; done')] });
  await lab.createPod('deaf', { containers: [shell('trap "" TERM; echo set; while true; do sleep 0.05; done')] });
  await Promise.all([trapped('polite'), trapped('deaf')]);
  await lab.deletePod('polite', 60);
  await lab.deletePod('deaf', 1);
  await Promise.all([gone('polite'), gone('deaf')]);
  const last = (name: string) =>
    lab.api.statusWrites.findLast(({ metadata }) => metadata.name === name) as {
      status?: { containerStatuses?: { state?: { terminated?: { exitCode: number } } }[] };
    };
  assert.is(last('polite').status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 0);
  assert.is(last('deaf').status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 137);
});

test('a second delete may shorten the grace period', async () => {
  await lab.createPod('hurry', { containers: [shell('trap "" TERM; echo set; while true; do sleep 0.05; done')] });
  await trapped('hurry');
  await lab.deletePod('hurry', 600);
  await until('the kill has begun', () => reasonsOf('hurry').includes('Killing'));
  await lab.deletePod('hurry', 1);
  await gone('hurry');
});

test('what the machine cannot hold is refused for good', async () => {
  await lab.createPod('large', { containers: [{ ...shell('sleep 1'), resources: { requests: { cpu: '64' } } }] });
  await lab.createPod('elsewhere', { nodeSelector: { zone: 'b' }, containers: [shell('sleep 1')] });
  const large = await lab.podUntil('large', 'failed', ({ phase }) => phase === 'Failed');
  assert.is(large.status?.reason, 'OutOfcpu');
  assert.match(large.status?.message ?? '', /Node didn't have enough resource: cpu, requested: 64000, used: \d+, capacity: 4000/);
  const elsewhere = await lab.podUntil('elsewhere', 'failed', ({ phase }) => phase === 'Failed');
  assert.is(elsewhere.status?.reason, 'NodeAffinity');
});

test('a memory hog is killed and reported', async () => {
  const script = 'x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done';
  await lab.createPod('hog', {
    restartPolicy: 'Never',
    containers: [{ ...shell(script), resources: { limits: { memory: '16Mi' } } }],
  });
  const pod = await lab.podUntil('hog', 'failed', ({ phase }) => phase === 'Failed');
  const terminated = pod.status?.containerStatuses?.[0]?.state?.terminated;
  assert.is(terminated?.reason, 'OOMKilled');
  assert.is(terminated?.exitCode, 137);
});

test('an image that is not here and may not be pulled is waited for', async () => {
  await lab.createPod('imageless', { containers: [{ name: 'main', image: 'kontiki-missing:1', imagePullPolicy: 'Never' }] });
  const pod = await lab.podUntil(
    'imageless',
    'waits',
    ({ containerStatuses }) => containerStatuses?.[0]?.state?.waiting?.reason === 'ErrImageNeverPull',
  );
  assert.is(pod.status?.phase, 'Pending');
  assert.is(
    pod.status?.containerStatuses?.[0]?.state?.waiting?.message,
    'Container image "kontiki-missing:1" is not present with pull policy of Never',
  );
});

test('a failing liveness probe restarts the container, a readiness probe only holds it back', async () => {
  const probe = (command: string) => ({ exec: { command: ['sh', '-c', command] }, periodSeconds: 1, failureThreshold: 1 });
  await lab.createPod('probed', {
    containers: [{ ...shell('rm -f /tmp/ok; touch /tmp/up; exec sleep 1000'), readinessProbe: probe('test -f /tmp/ok') }],
  });
  const waiting = await lab.podUntil('probed', 'runs unready', ({ containerStatuses }) => containerStatuses?.[0]?.state?.running);
  assert.is(waiting.status?.containerStatuses?.[0]?.ready, false);
  const touch = await Session.open(lab.options.agentSocket, '/exec/default/probed/main?command=touch&command=/tmp/ok');
  await touch.ended;
  await lab.running('probed');
  await lab.createPod('sick', {
    terminationGracePeriodSeconds: 1,
    containers: [{ ...shell('exec sleep 1000'), livenessProbe: probe('false') }],
  });
  await lab.podUntil('sick', 'was restarted', ({ containerStatuses }) => containerStatuses?.[0]?.restartCount === 1);
  assert.ok(reasonsOf('sick').includes('Unhealthy'));
});

test('an image that cannot be pulled backs off', async () => {
  await lab.createPod('unpullable', {
    containers: [{ name: 'main', image: '127.0.0.1:1/nothing:1', imagePullPolicy: 'IfNotPresent' }],
  });
  const reasonOf = (reason: string) =>
    lab.podUntil('unpullable', reason, ({ containerStatuses }) => containerStatuses?.[0]?.state?.waiting?.reason === reason);
  await reasonOf('ErrImagePull');
  const pod = await reasonOf('ImagePullBackOff');
  assert.match(
    pod.status?.containerStatuses?.[0]?.state?.waiting?.message ?? '',
    /^Back-off pulling image "127\.0\.0\.1:1\/nothing:1"/,
  );
  assert.ok(['Pulling', 'Failed', 'BackOff'].every((reason) => reasonsOf('unpullable').includes(reason)));
});

test('an image name that is none is said to be so', async () => {
  await lab.createPod('misnamed', { containers: [{ name: 'main', image: 'No Such Name', imagePullPolicy: 'IfNotPresent' }] });
  await lab.podUntil(
    'misnamed',
    'waits',
    ({ containerStatuses }) => containerStatuses?.[0]?.state?.waiting?.reason === 'InvalidImageName',
  );
});

test('hooks run after the start and before the stop', async () => {
  const volumeMounts = [{ name: 'host', mountPath: '/host' }];
  const hook = (text: string) => ({ exec: { command: ['sh', '-c', `echo ${text} >> /host/hooks`] } });
  const host = mkdtempSync(join(tmpdir(), 'kontiki-hooks-'));
  try {
    await lab.createPod('hooked', {
      volumes: [{ name: 'host', hostPath: { path: host } }],
      containers: [
        {
          ...shell('trap "echo term >> /host/hooks; exit 0" TERM; while true; do sleep 0.05; done'),
          volumeMounts,
          lifecycle: { postStart: hook('started'), preStop: hook('stopping') },
        },
      ],
    });
    await lab.running('hooked');
    await until('the first hook', () => existsSync(join(host, 'hooks')));
    await lab.deletePod('hooked', 30);
    await gone('hooked');
    assert.is(readFileSync(join(host, 'hooks'), 'utf8'), 'started\nstopping\nterm\n');
  } finally {
    rmSync(host, { recursive: true });
  }
});

test('a pod on the network of the machine has its address and name', async () => {
  await lab.createPod('hostnet', {
    restartPolicy: 'Never',
    hostNetwork: true,
    containers: [shell('hostname; ls /sys/class/net | grep -c .')],
  });
  const pod = await lab.podUntil('hostnet', 'ends', ({ phase }) => phase === 'Succeeded');
  assert.is(pod.status?.podIP, '127.0.0.1');
});

test('a changed image replaces the container', async () => {
  await lab.createPod('changed', { terminationGracePeriodSeconds: 1, containers: [shell('exec sleep 1000')] });
  await lab.running('changed');
  const containers = [{ ...shell('exec sleep 1000'), image: 'kontiki-test:1' }];
  await lab.api.patch(pods, 'changed', 'merge', { spec: { containers } }, { namespace: 'default' });
  await lab.podUntil(
    'changed',
    'runs again',
    ({ containerStatuses }) => containerStatuses?.[0]?.restartCount === 1 && containerStatuses[0].ready,
  );
});

test('a pod that is active for too long fails', async () => {
  await lab.createPod('late', {
    activeDeadlineSeconds: 1,
    terminationGracePeriodSeconds: 1,
    containers: [shell('exec sleep 1000')],
  });
  const pod = await lab.podUntil('late', 'failed', ({ phase }) => phase === 'Failed');
  assert.is(pod.status?.reason, 'DeadlineExceeded');
});

test('a log above its limit is put aside and goes on', async () => {
  await lab.createPod('chatty', {
    containers: [shell('echo before; read line; echo after; exec sleep 1000')].map((container) => ({
      ...container,
      stdin: true,
    })),
  });
  const { metadata } = await lab.running('chatty');
  const paths = podPaths(lab.dataDir, metadata.uid!);
  await until('the first line', () => statSync(paths.log('main', 0)).size > 0);
  assert.not.ok(await rotateLog(paths, 'main', 0));
  assert.ok(await rotateLog(paths, 'main', 0, 1));
  await until('a new file', () => existsSync(paths.log('main', 0)));
  const session = await Session.open(lab.options.agentSocket, '/attach/default/chatty/main?stdin=true');
  session.input('go\n');
  await until(
    'the second line',
    async () => (await getText(lab.options.agentSocket, '/logs/default/chatty/main')).text === 'after\n',
  );
  assert.match(readFileSync(`${paths.log('main', 0)}.1`, 'utf8'), / stdout F before\n$/);
  session.hangUp();
});

test.run();
