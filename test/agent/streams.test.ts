/** Logs, exec, attach and port-forward over the agent's socket, with real containers. */
import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { getText, openStream, Session, upgrade } from './support/agent-client.ts';
import { image, Lab, until } from './support/lab.ts';

let lab: Lab;
test.before(async () => {
  lab = await Lab.open();
  await lab.createPod('host', { containers: [{ name: 'main', image, command: ['sleep', '1000'] }] });
  await lab.running('host');
});
test.after(() => lab.close());

const socket = () => lab.options.agentSocket;
const execPath = (pod: string, argv: string[], flags: string) =>
  `/exec/default/${pod}/main?${argv.map((part) => `command=${encodeURIComponent(part)}`).join('&')}&${flags}`;

test('exec passes input on and sees its end', async () => {
  const session = await Session.open(socket(), execPath('host', ['cat'], 'stdin=true&stdout=true'));
  const text = 'x'.repeat(300_000);
  session.input(text);
  session.closeInput();
  assert.is((await session.ended).status, 'Success');
  assert.is(session.stdout, text);
});

test('exec on a terminal has one, with the size the client says', async () => {
  const session = await Session.open(socket(), execPath('host', ['sh'], 'stdin=true&stdout=true&tty=true'));
  session.resize(123, 45);
  // As with a window that is being resized: the program sees the new size soon, not at once.
  await until('the size', () => {
    session.input('stty size; tty\n');
    return /45 123\s+\/dev\/pts\/\d/.test(session.stdout);
  });
  session.input('exit 4\n');
  assert.is((await session.ended).details?.causes?.[0]?.message, '4');
});

test('the process of a client that went away is killed', async () => {
  const session = await Session.open(
    socket(),
    execPath('host', ['sh', '-c', 'trap "" TERM HUP; echo on; while true; do sleep 0.1; done; : marker'], 'stdout=true'),
  );
  await until('it runs', () => session.stdout === 'on\n');
  session.hangUp();
  const list = async () => {
    const look = await Session.open(
      socket(),
      execPath('host', ['sh', '-c', 'cat /proc/[0-9]*/cmdline | grep -c "[m]arker"'], 'stdout=true'),
    );
    await look.ended;
    return look.stdout;
  };
  await until('it is gone', async () => (await list()) === '0\n');
});

test('requests that cannot be served are answered with a Status', async () => {
  const refused = async (path: string) =>
    upgrade(socket(), path).then(
      () => undefined,
      (error: { status?: { code: number; message?: string } }) => error.status,
    );
  assert.is((await refused(execPath('nobody', ['id'], '')))?.code, 404);
  assert.is((await refused('/exec/default/host/other?command=id'))?.message, 'container other is not valid for pod host');
  assert.is((await refused('/exec/default/host/main'))?.code, 400);
  assert.is(
    (await getText(socket(), '/logs/default/host/main?previous=true')).text.includes(
      'previous terminated container \\"main\\" in pod \\"host\\" not found',
    ),
    true,
  );
  assert.is((await getText(socket(), '/nothing')).code, 404);
});

test('a log can be read from its end, cut, and with times', async () => {
  await lab.createPod('talker', {
    restartPolicy: 'Never',
    containers: [{ name: 'main', image, command: ['sh', '-c', 'for i in 1 2 3 4 5; do echo line $i; done; echo -n rest'] }],
  });
  await lab.podUntil('talker', 'ends', ({ phase }) => phase === 'Succeeded');
  const log = (query: string) => getText(socket(), `/logs/default/talker/main?${query}`).then(({ text }) => text);
  assert.is(await log(''), 'line 1\nline 2\nline 3\nline 4\nline 5\nrest');
  assert.is(await log('tailLines=3'), 'line 4\nline 5\nrest');
  assert.is(await log('tailLines=0'), '');
  assert.is(await log('limitBytes=9'), 'line 1\nli');
  assert.match(await log('tailLines=2&timestamps=true'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) line 5\n/);
  assert.is(await log('sinceTime=2100-01-01T00:00:00Z'), '');
  assert.is((await getText(socket(), '/logs/default/talker/main?tailLines=x')).code, 400);
});

test('a followed log gives lines as they come and ends with the container', async () => {
  await lab.createPod('slow', {
    restartPolicy: 'Never',
    containers: [{ name: 'main', image, command: ['sh', '-c', 'echo first; read line; echo got $line'], stdin: true }],
  });
  await lab.running('slow');
  const response = await openStream(socket(), '/logs/default/slow/main?follow=true');
  let text = '';
  response.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const ended = new Promise((resolve) => response.on('end', resolve));
  await until('the first line', () => text === 'first\n');
  const attached = await Session.open(socket(), '/attach/default/slow/main?stdin=true&stdout=true');
  attached.input('hello\n');
  await ended;
  assert.is(text, 'first\ngot hello\n');
  assert.is((await attached.ended).status, 'Success');
  assert.is(attached.stdout, 'got hello\n');
});

test('attaching to a terminal reaches the program on it', async () => {
  await lab.createPod('console', {
    restartPolicy: 'Never',
    containers: [{ name: 'main', image, command: ['sh'], stdin: true, stdinOnce: true, tty: true }],
  });
  await lab.running('console');
  const session = await Session.open(socket(), '/attach/default/console/main?stdin=true&stdout=true&tty=true');
  session.resize(99, 33);
  await until('the size', () => {
    session.input('stty size\n');
    return session.stdout.includes('33 99');
  });
  session.input('exit 6\n');
  // How the container ended is in its status; attaching itself went well.
  assert.is((await session.ended).status, 'Success');
});

test('a forwarded port reaches 127.0.0.1 of the pod', async () => {
  await lab.createPod('server', {
    containers: [
      { name: 'main', image, command: ['sh', '-c', 'echo page > /tmp/index.html; exec httpd -f -p 127.0.0.1:8080 -h /tmp'] },
    ],
  });
  await lab.running('server');
  const { socket: stream, head } = await upgrade(socket(), '/portforward/default/server?port=8080');
  let text = head.toString();
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  stream.write('GET /index.html HTTP/1.0\r\n\r\n');
  await once(stream, 'end');
  assert.ok(text.includes('200 OK') && text.endsWith('page\n'), 'the whole page, and then the end that the server gave it');
  stream.destroy();
});

test('the summary tells what is reserved', async () => {
  await lab.createPod('asker', {
    containers: [{ name: 'main', image, command: ['sleep', '1000'], resources: { requests: { cpu: '250m', memory: '64Mi' } } }],
  });
  await lab.running('asker');
  const summary = JSON.parse((await getText(socket(), '/summary')).text) as {
    reserved: Record<string, number>;
    allocatable: Record<string, number>;
  };
  assert.is(summary.reserved.cpuMilli, 250);
  assert.is(summary.reserved.memoryBytes, 64 * 1024 ** 2);
  assert.is(summary.allocatable.cpuMilli, 4_000);
});

test.run();
