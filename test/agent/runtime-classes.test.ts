/** Pods whose RuntimeClass names another runtime than the configured one, with real containers of both side by side. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodes, pods, runtimeClasses } from '../../src/machinery/resources.ts';
import type { Container, Pod, PodSpec } from '../../src/machinery/types.ts';
import { Session } from './support/agent-client.ts';
import { image, Lab, until } from './support/lab.ts';

let lab: Lab;
test.before(async () => {
  lab = await Lab.open({ runtime: 'runc' });
  for (const [name, handler] of [
    ['fast', 'crun'],
    ['plain', 'runc'],
    ['exotic', 'gvisor'],
  ]) {
    await lab.api.create(runtimeClasses, { metadata: { name }, handler });
  }
});
test.after(() => lab.close());

const polite = 'trap "exit 3" TERM; echo up; while true; do sleep 0.1; done';
const shell = (script: string, more: Partial<Container> = {}): Container => ({
  name: 'main',
  image,
  command: ['sh', '-c', script],
  ...more,
});
const create = (name: string, runtimeClassName: string | undefined, spec: Partial<PodSpec> & Pick<PodSpec, 'containers'>) =>
  lab.createPod(name, { ...spec, ...(runtimeClassName ? { runtimeClassName } : {}) });
const socket = () => lab.options.agentSocket;
const execPath = (pod: string, argv: string[], flags: string) =>
  `/exec/default/${pod}/main?${argv.map((part) => `command=${encodeURIComponent(part)}`).join('&')}&${flags}`;
async function run(pod: string, script: string): Promise<string> {
  const session = await Session.open(socket(), execPath(pod, ['sh', '-c', script], 'stdout=true&stderr=true'));
  await session.ended;
  return (session.stdout + session.stderr).trim();
}
const madeBy = (folder: string) => readdirSync(join(lab.dataDir, folder));
async function idOf(pod: string): Promise<string> {
  const { status } = await lab.api.get(pods, pod, { namespace: 'default' });
  return status!.containerStatuses![0]!.containerID!.slice('kontiki://'.length);
}

test('each pod gets the runtime of its class, and a new agent finds both', async () => {
  await Promise.all([
    create('fast', 'fast', { containers: [shell(polite)] }),
    create('plain', 'plain', { containers: [shell(polite)] }),
    create('usual', undefined, { containers: [shell(polite)] }),
  ]);
  await Promise.all(['fast', 'plain', 'usual'].map((name) => lab.running(name)));
  const [fast, plain, usual] = await Promise.all(['fast', 'plain', 'usual'].map(idOf));
  assert.equal(madeBy('runtime-crun'), [fast]);
  assert.equal(madeBy('runtime').sort(), [plain, usual].sort());
  await lab.stopAgent();
  await lab.startAgent();
  for (const name of ['fast', 'plain']) assert.is(await run(name, 'echo $FROM_IMAGE'), 'yes', name);
  assert.is(await idOf('fast'), fast, 'it runs on');
  const node = await lab.api.get(nodes, lab.options.nodeName);
  const names = (node.status as { runtimeHandlers?: { name: string }[] }).runtimeHandlers?.map(({ name }) => name);
  assert.equal(names, ['', 'runc', 'crun']);
});

test('under crun: commands with input, exit codes and terminals', async () => {
  const session = await Session.open(socket(), execPath('fast', ['sh', '-c', 'cat; exit 5'], 'stdin=true&stdout=true'));
  session.input('through\n');
  session.closeInput();
  assert.is((await session.ended).details?.causes?.[0]?.message, '5');
  assert.is(session.stdout, 'through\n');
  const terminal = await Session.open(socket(), execPath('fast', ['sh'], 'stdin=true&stdout=true&tty=true'));
  terminal.resize(123, 45);
  await until('the size', () => {
    terminal.input('stty size; tty\n');
    return /45 123\s+\/dev\/pts\/\d/.test(terminal.stdout);
  });
  terminal.input('exit 4\n');
  assert.is((await terminal.ended).details?.causes?.[0]?.message, '4');
});

test('under crun: attaching to the terminal of a program', async () => {
  const containers = [{ name: 'main', image, command: ['sh'], stdin: true, stdinOnce: true, tty: true }];
  await create('console', 'fast', { restartPolicy: 'Never', containers });
  await lab.running('console');
  const session = await Session.open(socket(), '/attach/default/console/main?stdin=true&stdout=true&tty=true');
  session.resize(99, 33);
  await until('the size', () => {
    session.input('stty size\n');
    return session.stdout.includes('33 99');
  });
  session.input('exit 6\n');
  assert.is((await session.ended).status, 'Success');
  const pod = await lab.podUntil('console', 'failed', ({ phase }) => phase === 'Failed');
  assert.is(pod.status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 6);
});

test('under crun: limits are in force, changed while it runs, and a memory hog is killed', async () => {
  const amounts = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { cpu, memory } });
  await Promise.all([
    create('sized', 'fast', { containers: [shell('sleep 1000', { resources: amounts('200m', '64Mi') })] }),
    create('hog', 'fast', {
      restartPolicy: 'Never',
      containers: [shell('x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done', { resources: { limits: { memory: '16Mi' } } })],
    }),
  ]);
  const pod = await lab.running('sized');
  const limit = () => lab.cgroups.containerUsage(pod.metadata.uid!, idSized).then((usage) => usage?.memory.limitBytes);
  const idSized = await idOf('sized');
  assert.is(await limit(), 64 * 2 ** 20);
  const spec = { containers: [{ name: 'main', resources: amounts('300m', '128Mi') }] };
  await lab.api.patch(pods, 'sized', 'strategic', { spec }, { namespace: 'default' });
  await lab.podUntil('sized', 'has more', ({ containerStatuses }) => containerStatuses?.[0]?.resources?.limits?.cpu === '300m');
  assert.is(await limit(), 128 * 2 ** 20);
  assert.is(await idOf('sized'), idSized, 'it was not restarted');
  const hog = await lab.podUntil('hog', 'failed', ({ phase }) => phase === 'Failed');
  assert.is(hog.status?.containerStatuses?.[0]?.state?.terminated?.reason, 'OOMKilled');
});

test('under crun: system calls are filtered, users and read-only roots hold', async () => {
  await create('confined', 'fast', {
    containers: [shell('sleep 1000', { securityContext: { runAsUser: 101, readOnlyRootFilesystem: true } })],
  });
  await lab.running('confined');
  assert.match(await run('confined', 'grep Seccomp: /proc/self/status; id -u; touch /x'), /Seccomp:\s+2\n101\n.*[Rr]ead-only/);
});

test('under crun: a shared process namespace', async () => {
  await create('shared', 'fast', {
    shareProcessNamespace: true,
    containers: [shell('exec sleep 1000'), { ...shell('exec sleep 2000'), name: 'other' }],
  });
  await lab.running('shared');
  const lines = await run('shared', 'cat /proc/[0-9]*/cmdline | tr "\\0" " " 2>/dev/null || cat /proc/[0-9]*/cmdline');
  for (const part of [/pause/, /sleep.1000/, /sleep.2000/]) assert.match(lines, part);
});

test('under crun: the end is as polite, and nothing is left of a program that cannot be started', async () => {
  const id = await idOf('fast');
  await lab.deletePod('fast', 30);
  const exitCodes = () =>
    lab.api.statusWrites.flatMap((written) => {
      const { metadata, status } = written as Pod;
      return metadata.name === 'fast' ? [status?.containerStatuses?.[0]?.state?.terminated?.exitCode] : [];
    });
  await until('it ended as it wanted to', () => exitCodes().includes(3));
  await until('its state has gone', () => !madeBy('runtime-crun').includes(id));
  await create('wrong', 'fast', { restartPolicy: 'Never', containers: [{ name: 'main', image, command: ['/no/such/program'] }] });
  const pod = await lab.podUntil('wrong', 'failed', ({ phase }) => phase === 'Failed');
  const terminated = pod.status?.containerStatuses?.[0]?.state?.terminated;
  assert.is(terminated?.reason, 'StartError');
  assert.match(terminated?.message ?? '', /\/no\/such\/program.*[Nn]o such file/);
});

test('a handler that is not installed, and a class that is not there, are told as the kubelet does', async () => {
  await create('gone', 'missing', { containers: [shell('sleep 1000')] });
  await create('odd', 'exotic', { containers: [shell('sleep 1000')] });
  const messages = {
    gone: 'Failed to create pod sandbox: runtimeclass.node.k8s.io "missing" not found',
    odd: 'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "gvisor" is configured',
  };
  for (const [name, message] of Object.entries(messages)) {
    const event = await until(`the event of ${name}`, () => lab.events.find(({ pod }) => pod === name));
    assert.equal([event.type, event.reason, event.message], ['Warning', 'FailedCreatePodSandBox', message]);
    assert.is((await lab.api.get(pods, name, { namespace: 'default' })).status?.phase, 'Pending');
  }
  // The class comes: the pod runs, with nobody's help.
  await lab.api.create(runtimeClasses, { metadata: { name: 'missing' }, handler: 'crun' });
  await lab.running('gone');
});

test.run();
