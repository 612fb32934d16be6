/** Watches over WebSocket: what comes, in which form, how they end and how they are refused. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import WebSocket from 'ws';
import { configMaps, serviceAccounts } from '../../src/machinery/resources.ts';
import { type ListeningApi, listeningApi } from './listening.ts';

interface WatchEvent {
  type: string;
  object: { kind: string; metadata: { name?: string; annotations?: Record<string, string> }; rows?: unknown[]; code?: number };
}

const test = suite<{ it: ListeningApi }>('watches over WebSocket');
const path = '/api/v1/namespaces/default/configmaps';
const inDefault = { namespace: 'default' };

test.before.each(async (context) => {
  context.it = await listeningApi();
});
test.after.each(async ({ it }) => it.close());

interface Opened {
  /** The next event; fails when the watch ends before it. */
  next(): Promise<WatchEvent>;
  /** Resolves with the code of the end. */
  closed: Promise<number>;
  socket: WebSocket;
}

/** Rejects with the answer when the upgrade is refused. */
function watch(
  { port, authority, admin }: ListeningApi,
  query: string,
  options: { protocols?: string[]; headers?: object; own?: boolean } = {},
): Promise<Opened> {
  const url = `wss://127.0.0.1:${port}${query}`;
  const identity = options.own ? {} : admin;
  const socket = new WebSocket(url, options.protocols ?? [], { ca: authority.ca, ...identity, headers: { ...options.headers } });
  const events: WatchEvent[] = [];
  const waiting: { resolve(event: WatchEvent): void; reject(error: Error): void }[] = [];
  const closed = new Promise<number>((resolve) => socket.on('close', resolve));
  socket.on('message', (data, isBinary) => {
    assert.not(isBinary);
    const event = JSON.parse(data.toString()) as WatchEvent;
    const first = waiting.shift();
    if (first) first.resolve(event);
    else events.push(event);
  });
  void closed.then(() => {
    for (const { reject } of waiting) reject(new Error('the watch ended'));
  });
  const next = () => {
    const event = events.shift();
    return event ? Promise.resolve(event) : new Promise<WatchEvent>((resolve, reject) => waiting.push({ resolve, reject }));
  };
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve({ next, closed, socket }));
    socket.on('unexpected-response', async (_, response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      reject(new Error(`${response.statusCode} ${text}`));
    });
    socket.on('error', reject);
  });
}

const shown = ({ type, object }: WatchEvent) => `${type} ${object.kind} ${object.metadata.name ?? ''}`.trim();

test('each event is one text message, from where it was asked for', async ({ it }) => {
  const client = it.api.client();
  const { metadata } = await client.create(configMaps, { metadata: { name: 'before' } }, inDefault);
  const { next, socket, closed } = await watch(it, `${path}?watch=1&resourceVersion=${metadata.resourceVersion}`);
  await client.create(configMaps, { metadata: { name: 'a' } }, inDefault);
  await client.patch(configMaps, 'a', 'merge', { data: { k: 'v' } }, inDefault);
  await client.delete(configMaps, 'a', inDefault);
  assert.equal([await next(), await next(), await next()].map(shown), [
    'ADDED ConfigMap a',
    'MODIFIED ConfigMap a',
    'DELETED ConfigMap a',
  ]);
  // What the client says is not listened to.
  socket.send('anything');
  await client.create(configMaps, { metadata: { name: 'b' } }, inDefault);
  assert.is(shown(await next()), 'ADDED ConfigMap b');
  socket.close();
  await closed;
});

test('options mean what they mean elsewhere: selectors, forms, initial events, the time that it lasts', async ({ it }) => {
  const client = it.api.client();
  for (const name of ['a', 'b']) await client.create(configMaps, { metadata: { name, labels: { of: name } } }, inDefault);
  const query = `${path}?watch=true&labelSelector=of%3Da&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`;
  const initial = await watch(it, query, { protocols: ['some.protocol', 'other'] });
  assert.is(initial.socket.protocol, 'some.protocol');
  assert.is(shown(await initial.next()), 'ADDED ConfigMap a');
  const bookmark = await initial.next();
  assert.is(bookmark.type, 'BOOKMARK');
  assert.is(bookmark.object.metadata.annotations?.['k8s.io/initial-events-end'], 'true');
  initial.socket.terminate();
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  const tables = await watch(it, `${path}?fieldSelector=metadata.name%3Da&watch=true&timeoutSeconds=1`, { headers: { accept } });
  const { type, object } = await tables.next();
  assert.equal([type, object.kind, object.rows?.length], ['ADDED', 'Table', 1]);
  assert.is(await tables.closed, 1000);
});

test('a watch that may not be is refused before the connection changes hands', async ({ it }) => {
  const refused = async (query: string, options = {}) => {
    try {
      (await watch(it, query, options)).socket.terminate();
    } catch (error) {
      return (error as Error).message;
    }
    return 'taken';
  };
  assert.match(await refused(`${path}?watch=1`, { own: true }), /^403 .*User \\"system:anonymous\\" cannot watch resource/);
  assert.match(await refused(`${path}?watch=1&resourceVersion=x`), /^400 .*invalid resource version/);
  assert.match(await refused(`${path}?watch=1&fieldSelector=nothing=1`), /^400 .*field label not supported/);
  assert.match(await refused('/apis/authentication.k8s.io/v1/tokenreviews?watch=1'), /^405 /);
});

test('a token among the protocols is who asks', async ({ it }) => {
  const client = it.api.client();
  await client.create(serviceAccounts, { metadata: { name: 'robot' } }, inDefault);
  const made = await it.request('/api/v1/namespaces/default/serviceaccounts/robot/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"spec":{}}',
  });
  const { token } = made.json<{ status: { token: string } }>().status;
  const protocols = [`base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`, 'any.protocol'];
  const failure = await watch(it, `${path}?watch=1`, { protocols, own: true }).catch(({ message }: Error) => message);
  assert.match(String(failure), /User \\"system:serviceaccount:default:robot\\" cannot watch/);
  const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['watch'] }];
  const post = (plural: string, body: object) =>
    it.request(`/apis/rbac.authorization.k8s.io/v1/namespaces/default/${plural}`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
    });
  await post('roles', { metadata: { name: 'r' }, rules });
  await post('rolebindings', {
    metadata: { name: 'r' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' },
    subjects: [{ kind: 'ServiceAccount', name: 'robot', namespace: 'default' }],
  });
  const { socket } = await watch(it, `${path}?watch=1`, { protocols, own: true });
  assert.is(socket.protocol, 'any.protocol');
  socket.terminate();
});

test.run();
