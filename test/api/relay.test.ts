/** The endpoint of a machine without state, in front of a real API: who asks is passed on, and a lost machine is told in words. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
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
  lead(socket: string | undefined | Promise<string>): void;
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
  let to: string | undefined | Promise<string> = door;
  const sockets = new Set<Socket>();
  const relay = createRelay({
    connect: async () => {
      if (to === undefined) throw new Error('no machine that holds the state can be reached');
      const socket = connect(await to);
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
    lead: (socket: string | undefined | Promise<string>) => {
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

test('what was lost is asked for elsewhere', async (context) => {
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
  assert.is((await ask(context, path, { method: 'POST', headers: json, body: configMap('unknown') })).code, 201);
  assert.is(lost, 2);
  server.close();
});

/** Passes requests on to the real API, and is lost when the first byte of an answer to a write comes back: it has taken effect then. */
async function forgetful(folder: string, lost: () => void): Promise<{ socket: string; server: Server }> {
  const server = createServer((socket) => {
    const behind = connect(`${folder}/door`);
    socket.on('error', () => undefined);
    behind.on('error', () => undefined);
    socket.pipe(behind);
    behind.once('data', () => {
      lost();
      socket.destroy();
      behind.destroy();
    });
  });
  const socket = `${folder}/forgetful`;
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return { socket, server };
}

test('a write whose answer was lost has one effect, and is answered with what it did, whatever came since', async (context) => {
  const { it, folder, lead } = context;
  const made: { revision: number; meanwhile: () => Promise<unknown> } = { revision: 0, meanwhile: async () => undefined };
  let losses = 0;
  const { socket, server } = await forgetful(folder, () => {
    losses++;
    made.revision = it.store.revision;
    // The next machine is found when something else has been written.
    lead(made.meanwhile().then(() => `${folder}/door`));
  });
  /** One write that takes effect, and whose answer is lost. */
  const write = async (url: string, options: Ask, meanwhile = async (): Promise<unknown> => undefined) => {
    made.meanwhile = meanwhile;
    context.cut();
    lead(socket);
    const before = it.store.revision;
    const answer = await ask(context, url, options);
    assert.is(made.revision, before + 1, 'it took effect once, before it was lost');
    return { ...answer, object: JSON.parse(answer.text) };
  };
  const patchOf = (body: unknown) => ({
    method: 'PATCH',
    headers: { 'content-type': 'application/json-patch+json' },
    body: JSON.stringify(body),
  });
  const put = (data: Record<string, string>) =>
    it.request(`${path}/one`, { method: 'PUT', headers: json, body: JSON.stringify({ metadata: { name: 'one' }, data }) });

  const one = await write(path, { method: 'POST', headers: json, body: configMap('one') }, () => put({ a: 'changed' }));
  assert.is(one.code, 201);
  assert.equal(one.object.data, { a: 'b' }, 'as it was created, though it was changed since');
  assert.is(one.object.metadata.resourceVersion, String(made.revision));
  const now = (await it.request(`${path}/one`)).json<{ metadata: { uid: string }; data: object }>();
  assert.is(now.metadata.uid, one.object.metadata.uid);
  assert.equal(now.data, { a: 'changed' });

  const named = JSON.stringify({ metadata: { generateName: 'some-' } });
  const some = await write(path, { method: 'POST', headers: json, body: named });
  assert.is(some.code, 201);
  const names = (await it.request(path))
    .json<{ items: { metadata: { name: string } }[] }>()
    .items.map(({ metadata }) => metadata.name);
  assert.equal(
    names.filter((name) => name.startsWith('some-')),
    [some.object.metadata.name],
  );

  const patched = await write(`${path}/one`, patchOf([{ op: 'move', from: '/data/a', path: '/data/b' }]));
  assert.is(patched.code, 200, 'a second time it would have failed');
  assert.equal(patched.object.data, { b: 'changed' });

  const version = patched.object.metadata.resourceVersion;
  const updated = { metadata: { name: 'one', resourceVersion: version }, data: { c: 'd' } };
  const put2 = await write(`${path}/one`, { method: 'PUT', headers: json, body: JSON.stringify(updated) }, () => put({ e: 'f' }));
  assert.is(put2.code, 200, 'a second time it would have been a conflict');
  assert.equal(put2.object.data, { c: 'd' });

  const again = { method: 'POST', headers: json, body: configMap('one') };
  const deleted = await write(`${path}/one`, { method: 'DELETE' }, () => it.request(path, again));
  assert.is(deleted.code, 200);
  assert.is(deleted.object.details.uid, one.object.metadata.uid);
  assert.is((await it.request(`${path}/one`)).code, 200, 'the one that was made since is still there');
  assert.is(losses, 5);

  context.cut();
  lead(socket);
  made.meanwhile = async () => undefined;
  const all = await ask(context, path, { method: 'DELETE' });
  assert.is(all.code, 503, 'a collection is deleted by many writes');
  assert.match(messageOf(all), /may still have taken effect/);
  server.close();
});

test('what nobody has taken in yet takes effect once, or not at all when it comes late', async ({ it, folder }) => {
  const id = '0123-abcd';
  const send = async (attempt: number, name: string) => {
    const user = Buffer.from(JSON.stringify({ name: 'admin', groups: ['system:masters'] })).toString('base64url');
    const headers = { ...json, 'kontiki-user': user, 'kontiki-write': `${id} ${attempt}` };
    const client = http.request({ socketPath: `${folder}/door`, path, method: 'POST', headers });
    client.end(configMap(name));
    const [answer] = (await once(client, 'response')) as [http.IncomingMessage];
    answer.resume();
    return answer.statusCode;
  };
  assert.is(await send(2, 'one'), 201, 'the first attempt was never heard of');
  assert.is(await send(3, 'one'), 201, 'and has its outcome from now on');
  assert.is(await send(1, 'two'), 503, 'what was under way is given up where it meets the one that took it over');
  assert.is((await it.request(`${path}/two`)).code, 404);
  const forged = { ...json, 'kontiki-write': `${id} 2` };
  assert.is(
    (await it.request(path, { method: 'POST', headers: forged, body: configMap('three') })).code,
    201,
    'a client has no ids',
  );
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
