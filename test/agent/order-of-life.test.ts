/** Who starts when, who hears of the end when, and what is told of it, with real containers. */
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pods } from '../../src/machinery/resources.ts';
import type { Container } from '../../src/machinery/types.ts';
import { image, Lab, until } from './support/lab.ts';

let lab: Lab;
let host: string;
test.before(async () => {
  lab = await Lab.open();
  host = mkdtempSync(join(tmpdir(), 'kontiki-order-'));
});
test.after(async () => {
  await lab.close();
  rmSync(host, { recursive: true });
});

const volumes = [{ name: 'host', hostPath: { path: '' } }];
const onHost = () => [{ ...volumes[0]!, hostPath: { path: host } }];
const volumeMounts = [{ name: 'host', mountPath: '/host' }];
const shell = (name: string, script: string, more: Partial<Container> = {}): Container => ({
  name,
  image,
  command: ['sh', '-c', script],
  volumeMounts,
  ...more,
});
const gone = (name: string) =>
  until(`${name} is gone`, async () =>
    lab.api.get(pods, name, { namespace: 'default' }).then(
      () => false,
      () => true,
    ),
  );
const there = (file: string) => until(`${file} is there`, () => existsSync(join(host, file)));
const touch = (file: string) => writeFileSync(join(host, file), '');
const textOf = (file: string) => readFileSync(join(host, file), 'utf8');
/** Runs until it is told to end, and writes so at once: a wait is broken off by a signal. */
const politely = (name: string) => `trap "echo ${name} >> /host/order; exit 0" TERM; touch /host/${name}.up; sleep 1000 & wait`;
const exec = (...command: string[]) => ({ exec: { command } });

test('the end of the log stands in for a termination message, but only of a failure and only where asked for', async () => {
  const ending = (name: string, script: string, terminationMessagePolicy: 'File' | 'FallbackToLogsOnError') =>
    shell(name, script, { terminationMessagePolicy });
  await lab.createPod('told', {
    restartPolicy: 'Never',
    volumes: onHost(),
    containers: [
      ending('failed', 'for i in $(seq 100); do echo line $i; done; exit 1', 'FallbackToLogsOnError'),
      ending('written', 'echo log; echo -n file > /dev/termination-log; exit 1', 'FallbackToLogsOnError'),
      ending('well', 'echo log', 'FallbackToLogsOnError'),
      ending('plain', 'echo log; exit 1', 'File'),
      shell('elsewhere', 'echo -n there > /tmp/end; exit 1', { terminationMessagePath: '/tmp/end' }),
    ],
  });
  const pod = await lab.podUntil('told', 'failed', ({ phase }) => phase === 'Failed');
  const messages = Object.fromEntries(
    (pod.status?.containerStatuses ?? []).map(({ name, state }) => [name, state?.terminated?.message]),
  );
  const last80 = Array.from({ length: 80 }, (_, index) => `line ${index + 21}\n`).join('');
  assert.equal(messages, { failed: last80, written: 'file', well: undefined, plain: undefined, elsewhere: 'there' });
});

test('variables, escapes and amounts by their divisor reach the program', async () => {
  const amount = (resource: string, divisor: string) => ({ resourceFieldRef: { resource, divisor } });
  await lab.createPod('variables', {
    restartPolicy: 'Never',
    volumes: onHost(),
    containers: [
      shell('main', 'env > /host/env; printf "%s\\n" "$0" "$1" > /host/args', {
        args: ['$(A)', '$$(A) $(NONE)'],
        env: [
          { name: 'A', value: 'a' },
          { name: 'B', value: '$(A)-$$(A)-$(LATER)-$' },
          { name: 'LATER', value: 'x' },
          { name: 'CPU', valueFrom: amount('limits.cpu', '1m') },
          { name: 'MEMORY', valueFrom: amount('limits.memory', '1Mi') },
          { name: 'ASKED', valueFrom: amount('requests.memory', '1Ki') },
        ],
        resources: { requests: { memory: '1500000' }, limits: { cpu: '250m', memory: '33Mi' } },
      }),
    ],
  });
  await lab.podUntil('variables', 'ended', ({ phase }) => phase === 'Succeeded');
  const env = textOf('env').split('\n');
  for (const line of ['A=a', 'B=a-$(A)-$(LATER)-$', 'CPU=250', 'MEMORY=33', 'ASKED=1465']) assert.ok(env.includes(line), line);
  assert.is(textOf('args'), 'a\n$(A) $(NONE)\n');
});

test('a sidecar holds the others back until its startup probe passes; sidecars hear of the end last, in reverse', async () => {
  const sidecar = (name: string, more: Partial<Container> = {}) =>
    shell(name, politely(name), { restartPolicy: 'Always', ...more });
  const startupProbe = { ...exec('test', '-e', '/host/go'), periodSeconds: 1, failureThreshold: 600 };
  await lab.createPod('ordered', {
    terminationGracePeriodSeconds: 60,
    volumes: onHost(),
    initContainers: [sidecar('first', { startupProbe }), sidecar('second')],
    containers: [shell('app', politely('app'))],
  });
  const held = await lab.podUntil('ordered', 'has its first', ({ initContainerStatuses: [first] = [] }) => first?.state?.running);
  assert.is(held.status?.initContainerStatuses?.[0]?.started, false);
  assert.is(held.status?.initContainerStatuses?.[1]?.state?.waiting?.reason, 'PodInitializing');
  assert.is(held.status?.containerStatuses?.[0]?.state?.waiting?.reason, 'PodInitializing');
  assert.not.ok(existsSync(join(host, 'second.up')));
  touch('go');
  await lab.running('ordered');
  for (const name of ['first', 'second', 'app']) await there(`${name}.up`);
  await lab.deletePod('ordered', 60);
  await gone('ordered');
  assert.is(textOf('order'), 'app\nsecond\nfirst\n');
});

test('a container counts as running when its postStart is through, and is killed when that fails', async () => {
  const hook = 'touch /host/hook.up; until test -e /host/hook.go; do sleep 0.05; done; exit $(cat /host/hook.go)';
  await lab.createPod('hooked', {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 1,
    volumes: onHost(),
    containers: [shell('main', 'sleep 1000', { lifecycle: { postStart: exec('sh', '-c', hook) } })],
  });
  await there('hook.up');
  const { status } = await lab.api.get(pods, 'hooked', { namespace: 'default' });
  assert.not.ok(status?.containerStatuses?.[0]?.state?.running);
  assert.is(status?.phase, 'Pending');
  // There as a whole or not at all: the hook reads it as soon as it sees it.
  writeFileSync(join(host, 'hook.tmp'), '3');
  renameSync(join(host, 'hook.tmp'), join(host, 'hook.go'));
  await lab.podUntil('hooked', 'failed', ({ phase }) => phase === 'Failed');
  const events = lab.events.filter(({ pod }) => pod === 'hooked').map(({ reason, message }) => `${reason}: ${message}`);
  assert.ok(events.includes('Killing: FailedPostStartHook'), events.join('\n'));
  assert.ok(events.some((event) => /^FailedPostStartHook: PostStartHook failed: command exited with 3/.test(event)));
});

test('preStop has the grace period, and the program hears of its end however long the hook takes', async () => {
  const preStop = (sleep: { seconds: number }) => ({ preStop: { sleep } }) as Container['lifecycle'];
  const container = (name: string, seconds: number) =>
    shell('main', politely(name).replaceAll('order', `${name}.end`), { lifecycle: preStop({ seconds }) });
  await lab.createPod('short', { volumes: onHost(), containers: [container('short', 1)] });
  await lab.createPod('long', { volumes: onHost(), containers: [container('long', 600)] });
  for (const name of ['short', 'long']) await there(`${name}.up`);
  await lab.running('short');
  await lab.running('long');
  const startMs = performance.now();
  await lab.deletePod('short', 600);
  await lab.deletePod('long', 1);
  await gone('short');
  assert.ok(performance.now() - startMs >= 1_000, 'the hook was waited for');
  await gone('long');
  assert.equal([textOf('short.end'), textOf('long.end')], ['short\n', 'long\n']);
});

test('each probe has a grace period of its own', async () => {
  await lab.createPod('deaf', {
    terminationGracePeriodSeconds: 600,
    volumes: onHost(),
    containers: [
      shell('main', 'trap "" TERM; while true; do sleep 0.05; done', {
        startupProbe: { ...exec('false'), periodSeconds: 1, failureThreshold: 1, terminationGracePeriodSeconds: 1 },
        livenessProbe: { ...exec('false'), periodSeconds: 1, terminationGracePeriodSeconds: 600 },
      }),
    ],
  });
  const pod = await lab.podUntil('deaf', 'is restarted', ({ containerStatuses: [main] = [] }) => (main?.restartCount ?? 0) > 0);
  assert.is(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 137);
  await lab.deletePod('deaf');
  await gone('deaf');
});

test('a readiness gate keeps a pod unready until somebody says that it is met', async () => {
  const conditionType = 'example.com/balanced';
  await lab.createPod('gated', {
    readinessGates: [{ conditionType }],
    volumes: onHost(),
    containers: [shell('main', 'exec sleep 1000')],
  });
  const condition = (type: string) => (status: { conditions?: { type: string; status: string }[] }) =>
    status.conditions?.find((one) => one.type === type)?.status;
  const waiting = await lab.podUntil(
    'gated',
    'has ready containers',
    (status) => condition('ContainersReady')(status) === 'True',
  );
  const ready = waiting.status?.conditions?.find(({ type }) => type === 'Ready');
  assert.equal(
    [ready?.status, ready?.reason, ready?.message],
    ['False', 'ReadinessGatesNotReady', `corresponding condition of pod readiness gate "${conditionType}" does not exist.`],
  );
  const conditions = [...(waiting.status?.conditions ?? []), { type: conditionType, status: 'True' }];
  await lab.api.patch(pods, 'gated', 'merge', { status: { conditions } }, { namespace: 'default', subresource: 'status' });
  await lab.podUntil('gated', 'is ready', (status) => condition('Ready')(status) === 'True');
});

test('huge pages that the machine lacks are told as the kubelet tells them', async () => {
  const resources = { limits: { memory: '64Mi', 'hugepages-2Mi': '4Mi' }, requests: { memory: '64Mi', 'hugepages-2Mi': '4Mi' } };
  await lab.createPod('pages', { volumes: onHost(), containers: [shell('main', 'sleep 1000', { resources })] });
  const refused = await lab.podUntil('pages', 'failed', ({ phase }) => phase === 'Failed');
  assert.equal(
    [refused.status?.reason, refused.status?.message],
    [
      'OutOfhugepages-2Mi',
      "Pod was rejected: Node didn't have enough resource: hugepages-2Mi, requested: 4194304, used: 0, capacity: 0",
    ],
  );
  await lab.createPod('volume', {
    volumes: [...onHost(), { name: 'pages', emptyDir: { medium: 'HugePages' } }],
    containers: [shell('main', 'sleep 1000', { volumeMounts: [{ name: 'pages', mountPath: '/pages' }] })],
  });
  await until('the reason', () =>
    lab.events.some(
      ({ pod, reason, message }) =>
        pod === 'volume' &&
        reason === 'FailedMount' &&
        message.includes('hugePages storage requested, but there is no resource request for huge pages'),
    ),
  );
});

test.run();
