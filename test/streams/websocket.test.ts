import { once } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import WebSocket from 'ws';
import { failure, type Status } from '../../src/machinery/status.ts';
import { channels } from '../../src/machinery/stream-frames.ts';
import type { Pod } from '../../src/machinery/types.ts';
import { type AgentSession, pod, startWorld, success, type World } from './support.ts';

const test = suite<{ world: World }>('WebSocket');
test.before.each(async (context) => {
  context.world = await startWorld();
});
test.after.each(async ({ world }) => world.close());

const v5 = 'v5.channel.k8s.io';

interface Client {
  socket: WebSocket;
  messages: Buffer[];
  closed: Promise<number>;
}

async function open(world: World, path: string, protocols: string[] = [v5]): Promise<Client> {
  const socket = new WebSocket(`ws://${world.url}${path}`, protocols);
  const messages: Buffer[] = [];
  socket.on('message', (data) => messages.push(data as Buffer));
  const closed = new Promise<number>((resolve) => socket.on('close', (code) => resolve(code)));
  await new Promise<void>((resolve, reject) => {
    socket.on('open', () => resolve());
    socket.on('error', reject);
  });
  return { socket, messages, closed };
}

const text = (client: Client, channel: number) =>
  Buffer.concat(client.messages.filter((m) => m[0] === channel).map((m) => m.subarray(1))).toString();
const status = (client: Client) => JSON.parse(text(client, channels.error)) as Status;

test('a command runs: path, input with half-close, output, Status, close 1000', async ({ world }) => {
  let url = '';
  world.onSession = async (session) => {
    url = session.url;
    const input = await session.stdinText();
    session.write(channels.stdout, `out:${input}`);
    session.write(channels.stderr, 'err');
    session.end();
  };
  const client = await open(world, '/exec?command=cat&command=-n&stdin=true&stdout=true&stderr=true');
  assert.is(client.socket.protocol, v5);
  client.socket.send(Buffer.from([0, ...Buffer.from('hello')]));
  client.socket.send(Buffer.from([255, 0]));
  assert.is(await client.closed, 1000);
  assert.is(url, '/exec/default/web/app?command=cat&command=-n&stdin=true&stdout=true&stderr=true');
  assert.is(text(client, channels.stdout), 'out:hello');
  assert.is(text(client, channels.stderr), 'err');
  assert.equal(status(client), success);
});

test('the exit code of a failing command arrives as the agent told it', async ({ world }) => {
  const failed: Status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'command terminated with non-zero exit code: 3',
    reason: 'NonZeroExitCode' as Status['reason'],
    details: { causes: [{ reason: 'ExitCode', message: '3' }] },
    code: 500,
  };
  world.onSession = (session) => session.end(failed);
  const client = await open(world, '/exec?command=false&stdout=true');
  await client.closed;
  assert.equal(status(client), failed);
});

test('sizes of a terminal go through, and stderr does not exist with one', async ({ world }) => {
  const seen: string[] = [];
  world.onSession = async (session) => {
    seen.push(session.url);
    const { channel, payload } = await session.next();
    seen.push(`${channel} ${payload}`);
    session.end();
  };
  const client = await open(world, '/attach?container=app&stdin=true&stdout=true&stderr=true&tty=true');
  client.socket.send(Buffer.from([4, ...Buffer.from('{"Width":80,"Hei')]));
  client.socket.send(Buffer.from([4, ...Buffer.from('ght":24}\n')]));
  await client.closed;
  assert.equal(seen, ['/attach/default/web/app?stdin=true&stdout=true&tty=true', '4 {"Width":80,"Height":24}']);
});

test('large output arrives whole although the client reads it late', async ({ world }) => {
  const piece = Buffer.alloc(60_000, 'x');
  const pieces = 100;
  world.onSession = async (session) => {
    for (let i = 0; i < pieces; i++) {
      if (!session.write(channels.stdout, piece)) await once(session.socket, 'drain');
    }
    session.end();
  };
  const client = await open(world, '/exec?command=yes&stdout=true');
  client.socket.pause();
  client.socket.resume();
  await client.closed;
  assert.is(text(client, channels.stdout).length, piece.length * pieces);
});

test('large input arrives whole although the agent reads it late', async ({ world }) => {
  const opened = new Promise<AgentSession>((resolve) => {
    world.onSession = resolve;
  });
  const client = await open(world, '/exec?command=cat&stdin=true');
  const session = await opened;
  const message = Buffer.alloc(1024 * 1024);
  // Far more than the buffers on the way hold.
  for (let i = 0; i < 20; i++) client.socket.send(message);
  let bytes = 0;
  while (bytes < 20 * (message.length - 1)) bytes += (await session.next()).payload.length;
  session.end();
  await client.closed;
});

test('an agent that goes away without a word is told as an error', async ({ world }) => {
  world.onSession = (session) => void session.socket.destroy();
  const client = await open(world, '/exec?command=x&stdout=true');
  assert.is(await client.closed, 1000);
  assert.is(status(client).message, 'Internal error occurred: the connection to the node was lost');
});

test('a client that goes away ends the agent connection', async ({ world }) => {
  const opened = new Promise<AgentSession>((resolve) => {
    world.onSession = resolve;
  });
  const client = await open(world, '/exec?command=sleep&stdin=true&stdout=true');
  const session = await opened;
  session.socket.resume();
  client.socket.terminate();
  await session.closed;
});

test('base64 for clients that need text', async ({ world }) => {
  world.onSession = async (session) => {
    const { payload } = await session.next();
    session.write(channels.stdout, payload);
    session.end();
  };
  const client = await open(world, '/exec?command=cat&stdin=true&stdout=true', ['base64.channel.k8s.io']);
  client.socket.send(`0${Buffer.from('hé').toString('base64')}`);
  await client.closed;
  const shown = client.messages.map((message) => message.toString());
  assert.equal(shown, ['1', `1${Buffer.from('hé').toString('base64')}`]);
});

test('before v4 a failure is plain text', async ({ world }) => {
  world.onSession = (session) => session.end(failure(500, 'InternalError', 'broken').status);
  const client = await open(world, '/exec?command=x&stdout=true', ['channel.k8s.io']);
  await client.closed;
  assert.is(text(client, channels.error), 'broken');
});

test('nothing is said before the client has answered a ping: it may not be ready to listen', async ({ world }) => {
  world.onSession = (session) => {
    session.write(channels.stdout, 'quick');
    session.end();
  };
  const socket = new WebSocket(`ws://${world.url}/exec?command=x&stdout=true`, [v5], { autoPong: false });
  const order: string[] = [];
  socket.on('ping', () => {
    order.push('ping');
    // Whatever came with the ping has been told before the next turn of the event loop.
    setImmediate(() => {
      order.push('pong');
      socket.pong();
    });
  });
  socket.on('message', () => order.push('message'));
  await once(socket, 'close');
  assert.equal(order, ['ping', 'pong', 'message', 'message']);
});

const refusals: [what: string, path: string, protocols: string[], code: number, message: RegExp][] = [
  ['no command', '/exec?stdout=true', [v5], 400, /you must specify at least 1 command for the container/],
  ['no channel', '/exec?command=x', [v5], 400, /you must specify at least 1 of stdin, stdout, stderr/],
  ['unknown container', '/exec?command=x&stdout=1&container=y', [v5], 400, /container y is not valid for pod web/],
  ['unknown protocol', '/exec?command=x&stdout=1', ['v9.channel.k8s.io'], 400, /none of the WebSocket protocols/],
];

async function refusal(world: World, path: string, protocols: string[]): Promise<{ code: number; status: Status }> {
  const socket = new WebSocket(`ws://${world.url}${path}`, protocols);
  const [request, response] = await once(socket, 'unexpected-response');
  let body = '';
  for await (const chunk of response) body += chunk;
  request.destroy();
  return { code: response.statusCode, status: JSON.parse(body) };
}

for (const [what, path, protocols, code, message] of refusals) {
  test(`refused before the upgrade: ${what}`, async ({ world }) => {
    const answer = await refusal(world, path, protocols);
    assert.is(answer.code, code);
    assert.match(answer.status.message ?? '', message);
  });
}

test('what the agent refuses, the client sees as the same Status', async ({ world }) => {
  world.refuse = failure(404, 'NotFound', 'container app is not running').status;
  const answer = await refusal(world, '/exec?command=x&stdout=1', [v5]);
  assert.is(answer.code, 404);
  assert.equal(answer.status, world.refuse);
});

test.run();

const unreachable = suite('WebSocket to a pod');
for (const [what, spec, code, message] of [
  ['on a node that cannot be reached', { nodeName: 'gone' }, 503, 'node gone cannot be reached'],
  [
    'with several containers',
    { containers: [{ name: 'a' }, { name: 'b' }], initContainers: [{ name: 'i' }] },
    400,
    'a container name must be specified for pod web, choose one of: [a b] or one of the init containers: [i]',
  ],
] as const) {
  unreachable(what, async () => {
    const world = await startWorld({ ...pod, spec: { ...pod.spec, ...spec } } as unknown as Pod);
    try {
      const answer = await refusal(world, '/exec?command=x&stdout=1', [v5]);
      assert.is(answer.code, code);
      assert.is(answer.status.message, message);
    } finally {
      await world.close();
    }
  });
}
unreachable.run();
