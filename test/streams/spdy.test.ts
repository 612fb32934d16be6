import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Status } from '../../src/machinery/status.ts';
import { channels } from '../../src/machinery/stream-frames.ts';
import { SpdyClient } from './spdy-client.ts';
import { type AgentSession, startWorld, success, upgrade, type World } from './support.ts';

const test = suite<{ world: World }>('SPDY');
test.before.each(async (context) => {
  context.world = await startWorld();
});
test.after.each(async ({ world }) => world.close());

const v4 = 'v4.channel.k8s.io';
const spdy = (...protocols: string[]) => ({
  connection: 'Upgrade',
  upgrade: 'SPDY/3.1',
  ...(protocols.length ? { 'x-stream-protocol-version': protocols } : {}),
});

async function connect(world: World, path: string, protocols = [v4, 'v3.channel.k8s.io']): Promise<SpdyClient> {
  const { socket, response, body } = await upgrade(world, path, spdy(...protocols));
  if (!socket) throw new Error(body);
  assert.is(response.headers['x-stream-protocol-version'], protocols[0]);
  return new SpdyClient(socket);
}

test('a command runs: streams, half-closed input, output, Status', async ({ world }) => {
  world.onSession = async (session) => {
    const input = await session.stdinText();
    session.write(channels.stdout, `out:${input}`);
    session.write(channels.stderr, 'err');
    session.end();
  };
  const client = await connect(world, '/exec?command=cat&stdin=true&stdout=true&stderr=true');
  const error = await client.open({ streamtype: 'error' });
  const stdin = await client.open({ streamtype: 'stdin' });
  const stdout = await client.open({ streamtype: 'stdout' });
  const stderr = await client.open({ streamtype: 'stderr' });
  client.send(stdin, 'hel');
  client.send(stdin, 'lo', true);
  await client.until(() => client.stream(error).fin && client.stream(stdout).fin && client.stream(stderr).fin);
  client.end();
  assert.is(client.text(stdout), 'out:hello');
  assert.is(client.text(stderr), 'err');
  assert.equal(JSON.parse(client.text(error)), success);
});

test('sizes of a terminal have a stream of their own', async ({ world }) => {
  let size = '';
  world.onSession = async (session) => {
    size = (await session.next()).payload.toString();
    session.end();
  };
  const client = await connect(world, '/attach?stdin=true&stdout=true&tty=true');
  const error = await client.open({ streamtype: 'error' });
  await client.open({ streamtype: 'stdin' });
  await client.open({ streamtype: 'stdout' });
  const resize = await client.open({ streamtype: 'resize' });
  client.send(resize, '{"Width":100,"Height":50}\n');
  await client.until(() => client.stream(error).fin);
  client.end();
  assert.is(size, '{"Width":100,"Height":50}');
});

test('pings are answered, and unknown streams reset', async ({ world }) => {
  const client = await connect(world, '/exec?command=x&stdout=true');
  client.ping(7);
  const other = await client.open({ streamtype: 'other' });
  await client.until(() => client.pings.includes(7) && client.stream(other).reset);
  client.destroy();
});

test('output far above a window reaches a client that knows no windows', async ({ world }) => {
  const bytes = 1_000_000;
  world.onSession = (session) => {
    for (let sent = 0; sent < bytes; sent += 50_000) session.write(channels.stdout, Buffer.alloc(50_000, 'x'));
    session.end();
  };
  const client = await connect(world, '/exec?command=yes&stdout=true');
  const error = await client.open({ streamtype: 'error' });
  const stdout = await client.open({ streamtype: 'stdout' });
  await client.until(() => client.stream(error).fin && client.stream(stdout).fin);
  client.end();
  assert.is(client.text(stdout).length, bytes);
});

test('the windows of a client that speaks of them are kept', async ({ world }) => {
  world.onSession = (session) => {
    session.write(channels.stdout, Buffer.alloc(60_000, 'x'));
    session.end();
  };
  const client = await connect(world, '/exec?command=yes&stdout=true');
  client.initialWindow(10_000);
  const error = await client.open({ streamtype: 'error' });
  const stdout = await client.open({ streamtype: 'stdout' });
  await client.until(() => client.text(stdout).length >= 10_000);
  // The answer to a ping comes behind everything that was sent before it.
  client.ping(1);
  await client.until(() => client.pings.includes(1));
  assert.is(client.text(stdout).length, 10_000);
  client.credit(stdout, 50_000);
  await client.until(() => client.stream(error).fin && client.stream(stdout).fin);
  client.end();
  assert.is(client.text(stdout).length, 60_000);
});

test('a client gets credit for what was read', async ({ world }) => {
  const bytes = 64 * 1024;
  let got = 0;
  world.onSession = async (session) => {
    while (got < 2 * bytes) got += (await session.next()).payload.length;
    session.end();
  };
  const client = await connect(world, '/exec?command=cat&stdin=true');
  const error = await client.open({ streamtype: 'error' });
  const stdin = await client.open({ streamtype: 'stdin' });
  client.send(stdin, Buffer.alloc(bytes));
  // Small amounts are gathered: at most half a window is owed.
  await client.until(() => (client.credits.get(stdin) ?? 0) >= bytes / 2 && client.credits.get(0) === bytes);
  client.send(stdin, Buffer.alloc(bytes));
  await client.until(() => client.stream(error).fin);
  client.end();
  assert.is(got, 2 * bytes);
});

test('a client that goes away ends the agent connection', async ({ world }) => {
  const opened = new Promise<AgentSession>((resolve) => {
    world.onSession = resolve;
  });
  const client = await connect(world, '/exec?command=x&stdout=true');
  await client.open({ streamtype: 'error' });
  await client.open({ streamtype: 'stdout' });
  const session = await opened;
  session.socket.resume();
  client.destroy();
  await session.closed;
});

test('a client that leaves before it opened its streams ends the agent connection', async ({ world }) => {
  const opened = new Promise<AgentSession>((resolve) => {
    world.onSession = resolve;
  });
  const client = await connect(world, '/exec?command=x&stdout=true');
  const session = await opened;
  session.socket.resume();
  client.destroy();
  await session.closed;
});

test('bytes that are no SPDY end the connection', async ({ world }) => {
  world.onSession = (session) => void session.socket.resume();
  const client = await connect(world, '/exec?command=x&stdout=true');
  client.raw(Buffer.from([0x80, 9, 0, 1, 0, 0, 0, 0]));
  let over = false;
  await client.until(() => client.closed).catch(() => {});
  over = client.closed;
  assert.ok(over);
});

test('an agent that goes away without a word is told as an error', async ({ world }) => {
  world.onSession = (session) => void session.socket.destroy();
  const client = await connect(world, '/exec?command=x&stdout=true');
  const error = await client.open({ streamtype: 'error' });
  await client.open({ streamtype: 'stdout' });
  await client.until(() => client.stream(error).fin);
  client.end();
  const status = JSON.parse(client.text(error)) as Status;
  assert.is(status.message, 'Internal error occurred: the connection to the node was lost');
});

test('refused before the upgrade: protocols we do not speak, and no upgrade that we know', async ({ world }) => {
  const unknown = await upgrade(world, '/exec?command=x&stdout=true', spdy('v9.channel.k8s.io'));
  assert.is(unknown.response.statusCode, 403);
  assert.match(JSON.parse(unknown.body).message, /unable to negotiate protocol: client supports \[v9\.channel\.k8s\.io\]/);
  const other = await upgrade(world, '/exec?command=x&stdout=true', { connection: 'Upgrade', upgrade: 'h2c' });
  assert.is(other.response.statusCode, 400);
  assert.is(JSON.parse(other.body).message, 'Upgrade request required');
});

test.run();
