/** The endpoint of a machine without state, in front of a real API: who asks is passed on, and a lost machine is told in words. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http2 from 'node:http2';
import https from 'node:https';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createRelay } from '../../src/api/index.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { createHttpClient } from '../../src/machinery/http-client.ts';
import { configMaps, services } from '../../src/machinery/resources.ts';
import type { Identity } from './certificates.ts';
import { type ListeningApi, listeningApi } from './listening.ts';

const path = '/api/v1/namespaces/default/configmaps';
const json = { 'content-type': 'application/json' };
const configMap = (name: string) => JSON.stringify({ metadata: { name }, data: { a: 'b' } });

interface Relayed {
  it: ListeningApi;
  folder: string;
  port: number;
  agentSocket: string;
  /** Where requests go from now on; undefined: nowhere. */
  lead(socket: string | undefined): void;
  /** Cuts everything that goes on. */
  cut(): void;
  close(): Promise<void>;
}

const test = suite<Relayed>('relay');

test.before.each(async (context) => {
  const it = await listeningApi();
  const folder = await mkdtemp(join(tmpdir(), 'ktk-relay-'));
  const door = `${folder}/door`;
  await it.api.listenMembers(door);
  let to: string | undefined = door;
  const sockets = new Set<Socket>();
  const relay = createRelay({
    connect: async () => {
      if (to === undefined) throw new Error('no machine that holds the state can be reached');
      const socket = connect(to);
      sockets.add(socket);
      await once(socket, 'connect');
      return socket;
    },
    logger: silentLogger,
  });
  const server = await it.authority.issue('CN=server');
  const port = await relay.listen({ host: '127.0.0.1', port: 0, tls: { ca: it.authority.ca, ...server } });
  const agentSocket = `${folder}/agent`;
  await relay.listenSocket(agentSocket, { name: 'system:node:here', groups: ['system:nodes'] });
  Object.assign(context, {
    ...{ it, folder, port, agentSocket },
    lead: (socket: string | undefined) => {
      to = socket;
    },
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      await relay.close();
      await it.close();
      await rm(folder, { recursive: true });
    },
  });
});
test.after.each((context) => context.close());

interface Ask {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  identity?: Identity | undefined;
}

/** One request to the relay, by the administrator unless `identity` says otherwise (undefined: nobody). */
function ask({ it, port }: Relayed, url: string, options: Ask = {}): Promise<{ code: number; text: string; whole: boolean }> {
  const { method = 'GET', headers = {}, body } = options;
  const identity = 'identity' in options ? options.identity : it.admin;
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const outgoing = https.request(
      {
        host: '127.0.0.1',
        port,
        path: url,
        method,
        headers: { ...length, ...headers },
        ca: it.authority.ca,
        agent: false,
        ...identity,
      },
      (response) => {
        let text = '';
        response.on('error', () => undefined);
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.once('close', () => resolve({ code: response.statusCode ?? 0, text, whole: response.complete }));
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

const messageOf = ({ text }: { text: string }) => (JSON.parse(text) as { message: string }).message;

test('reads and writes are those of the other machine, errors too', async (context) => {
  const made = await ask(context, path, { method: 'POST', headers: json, body: configMap('one') });
  assert.is(made.code, 201);
  assert.is(context.it.store.revision, Number(JSON.parse(made.text).metadata.resourceVersion));
  assert.is((await ask(context, `${path}/one`)).code, 200);
  assert.is((await ask(context, `${path}/two`)).code, 404);
  assert.is((await ask(context, path, { method: 'POST', headers: json, body: '{' })).code, 400);
  assert.is((await ask(context, `${path}/one`, { method: 'DELETE' })).code, 200);
});

test('who asks is known by certificate here and by token there, and by nothing else', async (context) => {
  const { it } = context;
  const someone = await it.authority.issue('CN=someone, O=staff');
  assert.match(messageOf(await ask(context, path, { identity: someone })), /User "someone" cannot list/);
  const forged = { 'kontiki-user': Buffer.from('{"name":"admin","groups":["system:masters"]}').toString('base64url') };
  assert.match(messageOf(await ask(context, path, { identity: someone, headers: forged })), /User "someone" cannot list/);
  assert.match(messageOf(await ask(context, path, { identity: undefined, headers: forged })), /User "system:anonymous" cannot/);
  const bearer = { authorization: 'Bearer nonsense' };
  assert.is((await ask(context, path, { identity: undefined, headers: bearer })).code, 401);
  const alice = { 'impersonate-user': 'alice' };
  assert.match(messageOf(await ask(context, path, { headers: alice })), /User "alice" cannot list/);
  assert.match(messageOf(await ask(context, path, { identity: someone, headers: alice })), /cannot impersonate/);
  // The listener that clients reach on the other machine takes the header from nobody.
  assert.match((await it.request(path, { headers: forged }, it.agents.nobody)).text, /system:anonymous/);
});

test('a watch goes on event by event, also over HTTP/2, and many at once', async (context) => {
  const { it, port } = context;
  const session = http2.connect(`https://127.0.0.1:${port}`, { ca: it.authority.ca, ...it.admin });
  const streams = Array.from({ length: 20 }, () => session.request({ ':path': `${path}?watch=true&resourceVersion=0` }));
  const next = streams.map((stream) => createInterface({ input: stream })[Symbol.asyncIterator]());
  const [head] = (await once(streams[0] as http2.ClientHttp2Stream, 'response')) as [http2.IncomingHttpHeaders];
  assert.is(head[':status'], 200);
  const body = configMap('seen');
  const post = session.request({ ':path': path, ':method': 'POST', 'content-type': 'application/json' });
  post.end(body);
  const [made] = (await once(post, 'response')) as [http2.IncomingHttpHeaders];
  assert.is(made[':status'], 201, 'a body without a length');
  for (const lines of next) {
    for (;;) {
      const event = JSON.parse((await lines.next()).value as string);
      if (event.object.metadata.name === 'seen') break;
    }
  }
  session.destroy();
});

test('the agent asks as its node', async ({ agentSocket }) => {
  const client = createHttpClient({ socketPath: agentSocket });
  await client.list(services, { namespace: 'default' });
  await client.create(configMaps, { metadata: { name: 'x', namespace: 'default' } }).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /User "system:node:here" cannot create/),
  );
  client.close();
});

test('without a machine that serves, the answer is 503 at once, and later requests go through again', async (context) => {
  const { folder, lead } = context;
  lead(undefined);
  const refused = await ask(context, path, { method: 'POST', headers: json, body: configMap('late') });
  assert.is(refused.code, 503);
  assert.match(messageOf(refused), /no machine that holds the state can be reached/);
  lead(`${folder}/door`);
  assert.is((await ask(context, path, { method: 'POST', headers: json, body: configMap('late') })).code, 201);
});

/** A machine that takes connections and does with each what it is told. */
async function dying(folder: string, onData: (socket: Socket) => void): Promise<{ socket: string; server: Server }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => onData(socket));
  });
  const socket = `${folder}/dying`;
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return { socket, server };
}

test('a read that was lost is read elsewhere; of a write it is said that its fate is unknown', async (context) => {
  const { folder, lead } = context;
  let lost = 0;
  const { socket, server } = await dying(folder, (connection) => {
    lost++;
    connection.destroy();
    lead(`${folder}/door`);
  });
  lead(socket);
  assert.is((await ask(context, path)).code, 200);
  assert.is(lost, 1);
  lead(socket);
  context.cut();
  const write = await ask(context, path, { method: 'POST', headers: json, body: configMap('unknown') });
  assert.is(write.code, 503);
  assert.match(messageOf(write), /may still have taken effect/);
  assert.is(lost, 2);
  server.close();
});

test('an answer that breaks off is not taken for a whole one', async (context) => {
  const { folder, lead } = context;
  const { socket, server } = await dying(folder, (connection) => {
    connection.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n');
    setImmediate(() => connection.destroy());
  });
  lead(socket);
  const { code, whole } = await ask(context, path);
  assert.is(code, 200);
  assert.is(whole, false);
  server.close();
});

test.run();
