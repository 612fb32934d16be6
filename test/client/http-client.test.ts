import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Client, WatchEvent } from '../../src/machinery/client.ts';
import { createHttpClient } from '../../src/machinery/http-client.ts';
import { deployments, nodes, pods } from '../../src/machinery/resources.ts';
import { StatusError } from '../../src/machinery/status.ts';
import type { Pod } from '../../src/machinery/types.ts';

interface Seen {
  method: string;
  url: string;
  contentType: string | undefined;
  body: unknown;
}

type Answer = (seen: Seen, response: http.ServerResponse) => void;

/** A server on a Unix socket that answers with `answer` and remembers what it was asked. */
async function withServer(answer: Answer, run: (client: Client & { close(): void }, seen: Seen[]) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'kontiki-http-client-'));
  const socketPath = join(folder, 'api.sock');
  const seen: Seen[] = [];
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const one: Seen = {
      method: request.method ?? '',
      url: request.url ?? '',
      contentType: request.headers['content-type'],
      body: text ? JSON.parse(text) : undefined,
    };
    seen.push(one);
    answer(one, response);
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const client = createHttpClient({ socketPath });
  try {
    await run(client, seen);
  } finally {
    client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  }
}

const json = (value: unknown, code = 200): Answer => {
  return (_, response) => {
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  };
};

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not reject');
}

test('each verb goes to the path, query and body that the API defines', async () => {
  await withServer(json({ metadata: { name: 'x' } }), async (client, seen) => {
    await client.get(pods, 'a', { namespace: 'n' });
    await client.get(nodes, 'a');
    await client.create(deployments, { metadata: { name: 'd', namespace: 'n' } }, { fieldManager: 'me', dryRun: true });
    await client.create(pods, { metadata: { name: 'a' } }, { namespace: 'n', name: 'a', subresource: 'binding' });
    const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'n' } };
    await client.update(pods, pod, { subresource: 'status' });
    await client.patch(pods, 'a', 'strategic', { spec: {} }, { namespace: 'n' });
    await client.delete(pods, 'a', { namespace: 'n', gracePeriodSeconds: 0, preconditions: { uid: 'u' } });
    assert.equal(
      seen.map(({ method, url }) => `${method} ${url}`),
      [
        'GET /api/v1/namespaces/n/pods/a',
        'GET /api/v1/nodes/a',
        'POST /apis/apps/v1/namespaces/n/deployments?fieldManager=me&dryRun=All',
        'POST /api/v1/namespaces/n/pods/a/binding',
        'PUT /api/v1/namespaces/n/pods/a/status',
        'PATCH /api/v1/namespaces/n/pods/a',
        'DELETE /api/v1/namespaces/n/pods/a',
      ],
    );
    assert.equal(seen[2]?.body, { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd', namespace: 'n' } });
    assert.is(seen[5]?.contentType, 'application/strategic-merge-patch+json');
    const deletion = { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0, preconditions: { uid: 'u' } };
    assert.equal(seen[6]?.body, deletion);
  });
});

test('items of a list know their kind', async () => {
  const list = { metadata: { resourceVersion: '7' }, items: [{ metadata: { name: 'a' } }] };
  await withServer(json(list), async (client, seen) => {
    const { resourceVersion, items } = await client.list(pods, { labelSelector: 'app=web', fieldSelector: 'spec.nodeName=n' });
    assert.is(resourceVersion, '7');
    assert.is(items[0]?.kind, 'Pod');
    assert.is(items[0]?.apiVersion, 'v1');
    assert.is(seen[0]?.url, '/api/v1/pods?labelSelector=app%3Dweb&fieldSelector=spec.nodeName%3Dn');
  });
});

test('a Status answer becomes a StatusError with its code and reason', async () => {
  const status = { kind: 'Status', status: 'Failure', reason: 'NotFound', message: 'pods "a" not found', code: 404 };
  await withServer(json(status, 404), async (client) => {
    const error = await rejection(client.get(pods, 'a', { namespace: 'n' }));
    assert.instance(error, StatusError);
    assert.is((error as StatusError).reason, 'NotFound');
    assert.is((error as StatusError).message, 'pods "a" not found');
  });
});

test('a server that is not there is a 503', async () => {
  const client = createHttpClient({ socketPath: join(tmpdir(), 'kontiki-no-such-socket') });
  const error = await rejection(client.get(nodes, 'a'));
  client.close();
  assert.instance(error, StatusError);
  assert.is((error as StatusError).code, 503);
});

test('a watch hands on each event as soon as its line is whole, also when a character is cut in two', async () => {
  const event = (name: string) =>
    Buffer.from(`${JSON.stringify({ type: 'ADDED', object: { metadata: { name, resourceVersion: '1' } } })}\n`);
  let later: (() => void) | undefined;
  const answer: Answer = (_, response) => {
    response.writeHead(200);
    const cut = event('zwei-ü');
    const middle = cut.indexOf(0xc3) + 1;
    response.write(Buffer.concat([event('eins'), cut.subarray(0, middle)]));
    later = () => {
      response.write(cut.subarray(middle));
      response.end();
    };
  };
  await withServer(answer, async (client, seen) => {
    const names: (string | undefined)[] = [];
    const signal = new AbortController().signal;
    for await (const each of client.watch(pods, { signal, resourceVersion: '5', allowWatchBookmarks: true })) {
      names.push((each as WatchEvent<Pod>).object.metadata && (each.object as Pod).metadata.name);
      if (names.length === 1) later?.();
    }
    assert.equal(names, ['eins', 'zwei-ü']);
    assert.is(seen[0]?.url, '/api/v1/pods?resourceVersion=5&watch=true&allowWatchBookmarks=true');
  });
});

test('an ERROR event ends the watch with its Status', async () => {
  const line = { type: 'ERROR', object: { kind: 'Status', status: 'Failure', reason: 'Expired', message: 'too old', code: 410 } };
  await withServer(json(line), async (client) => {
    const watch = client.watch(pods, { signal: new AbortController().signal })[Symbol.asyncIterator]();
    // The line has no newline at its end: an unfinished event is none.
    assert.is((await watch.next()).done, true);
  });
  const answer: Answer = (_, response) => response.end(`${JSON.stringify(line)}\n`);
  await withServer(answer, async (client) => {
    const watch = client.watch(pods, { signal: new AbortController().signal })[Symbol.asyncIterator]();
    const error = await rejection(watch.next());
    assert.is((error as StatusError).code, 410);
  });
});

test('an aborted request and an aborted watch reject with the reason of their signal', async () => {
  const silent: Answer = (seen, response) => {
    if (seen.url.includes('watch')) response.writeHead(200).flushHeaders();
    asked();
  };
  let asked = () => {};
  const nextRequest = () => new Promise<void>((resolve) => (asked = resolve));
  await withServer(silent, async (client) => {
    const reason = new Error('enough');
    for (const start of [
      (signal: AbortSignal) => client.get(nodes, 'a', { signal }),
      (signal: AbortSignal) => client.watch(pods, { signal })[Symbol.asyncIterator]().next(),
    ]) {
      const abort = new AbortController();
      const arrived = nextRequest();
      const failed = rejection(start(abort.signal));
      await arrived;
      abort.abort(reason);
      assert.is(await failed, reason);
    }
  });
});

test('a watch whose server dies is a 503', async () => {
  const answer: Answer = (_, response) => {
    response.writeHead(200).flushHeaders();
    response.destroy();
  };
  await withServer(answer, async (client) => {
    const error = await rejection(client.watch(pods, { signal: new AbortController().signal })[Symbol.asyncIterator]().next());
    assert.is((error as StatusError).code, 503);
  });
});

test.run();
