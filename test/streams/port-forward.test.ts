import { once } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import WebSocket, { createWebSocketStream } from 'ws';
import { failure } from '../../src/machinery/status.ts';
import { SpdyClient } from './spdy-client.ts';
import { type AgentSession, startWorld, upgrade, type World } from './support.ts';

const test = suite<{ world: World }>('port-forward');
test.before.each(async (context) => {
  context.world = await startWorld();
});
test.after.each(async ({ world }) => world.close());

/** The pod's program: answers what it got when the client has finished, then closes. */
function echo(world: World, seen: string[]): void {
  world.onSession = async ({ socket, url }) => {
    seen.push(url);
    const [chunk] = await once(socket, 'data');
    socket.end(`echo ${chunk}`);
  };
}

async function direct(world: World): Promise<SpdyClient> {
  const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'portforward.k8s.io' };
  const { socket, body } = await upgrade(world, '/portforward', headers);
  if (!socket) throw new Error(body);
  return new SpdyClient(socket);
}

async function tunnel(world: World): Promise<SpdyClient> {
  const protocol = 'SPDY/3.1+portforward.k8s.io';
  const socket = new WebSocket(`ws://${world.url}/portforward`, { headers: { 'Sec-WebSocket-Protocol': protocol } });
  // The library cannot ask for a protocol with a slash, so it must not see the answer either.
  socket.on('upgrade', ({ headers }) => {
    assert.is(headers['sec-websocket-protocol'], protocol);
    delete headers['sec-websocket-protocol'];
  });
  await once(socket, 'open');
  return new SpdyClient(createWebSocketStream(socket));
}

async function exchange(client: SpdyClient, request: string, id: string, port = '80'): Promise<{ data: string; error: string }> {
  const error = await client.open({ streamtype: 'error', port, requestid: id });
  client.send(error, '', true);
  const data = await client.open({ streamtype: 'data', port, requestid: id });
  client.send(data, request);
  await client.until(() => client.stream(data).fin && client.stream(error).fin);
  client.send(data, '', true);
  return { data: client.text(data), error: client.text(error) };
}

test('connections over one SPDY connection, each to the port it names', async ({ world }) => {
  const seen: string[] = [];
  echo(world, seen);
  const client = await direct(world);
  const answers = await Promise.all([exchange(client, 'one', '0'), exchange(client, 'two', '1', '81')]);
  assert.equal(answers, [
    { data: 'echo one', error: '' },
    { data: 'echo two', error: '' },
  ]);
  assert.equal(seen.sort(), ['/portforward/default/web?port=80', '/portforward/default/web?port=81']);
  client.end();
});

test('a port that nobody listens on is told on the error stream, and the next connection works', async ({ world }) => {
  world.refuse = failure(502, 'InternalError', 'connection refused').status;
  const client = await direct(world);
  const { error } = await exchange(client, 'x', '0');
  assert.is(error, 'error forwarding port 80 to pod web, uid u1: connection refused');
  world.refuse = undefined;
  echo(world, []);
  assert.is((await exchange(client, 'one', '1')).data, 'echo one');
  client.end();
});

test('a number that is no port is told on the error stream', async ({ world }) => {
  const client = await direct(world);
  const { error } = await exchange(client, 'x', '0', '70000');
  assert.is(error, 'error forwarding port 70000 to pod web, uid u1: "70000" is not a valid port');
  client.end();
});

test('a client that goes away ends its connections to the agent', async ({ world }) => {
  const opened = new Promise<AgentSession>((resolve) => {
    world.onSession = resolve;
  });
  const client = await direct(world);
  await client.open({ streamtype: 'error', port: '80', requestid: '0' });
  await client.open({ streamtype: 'data', port: '80', requestid: '0' });
  const session = await opened;
  session.socket.resume();
  client.destroy();
  await session.closed;
});

test('SPDY inside a WebSocket', async ({ world }) => {
  echo(world, []);
  const client = await tunnel(world);
  assert.equal(await exchange(client, 'one', '0'), { data: 'echo one', error: '' });
  client.end();
});

test('plain WebSocket channels, two for each port', async ({ world }) => {
  echo(world, []);
  const socket = new WebSocket(`ws://${world.url}/portforward?ports=80,8080`, ['v4.channel.k8s.io']);
  const messages: number[][] = [];
  socket.on('message', (data) => messages.push([...(data as Buffer)]));
  const closed = once(socket, 'close');
  await once(socket, 'open');
  socket.send(Buffer.from([0, ...Buffer.from('a')]));
  socket.send(Buffer.from([2, ...Buffer.from('b')]));
  await closed;
  const on = (channel: number) => messages.filter(([first]) => first === channel).map(([, ...rest]) => rest);
  assert.equal(on(0), [[80, 0], [...Buffer.from('echo a')]]);
  assert.equal(on(1), [[80, 0]]);
  assert.equal(on(2), [[0x90, 0x1f], [...Buffer.from('echo b')]]);
});

test.run();
