import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AgentError, type AgentErrorCode } from '../../src/agent/errors.ts';
import { createExecutor } from '../../src/agent/host/executor.ts';
import { createImageStore } from '../../src/agent/images/image-store.ts';
import { parseChallenges } from '../../src/agent/images/registry-token.ts';
import type { Executor, ImageStore } from '../../src/agent/types.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { emptied, entry, image, layer, sha256 } from './image-fixtures.ts';
import { hurriedClock, TestRegistry } from './test-registry.ts';

const never = new AbortController().signal;
const shared = layer(entry('base', 'b'.repeat(10_000)));
const built = image([shared, layer(entry('app', 'a'))]);
let executor: Executor;
let folder: string;
let registry: TestRegistry;
let store: ImageStore;

test.before(async () => {
  executor = await createExecutor({ logger: silentLogger });
});
test.after(() => executor.close());
test.before.each(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kontiki-pull-'));
  registry = new TestRegistry();
  await registry.start();
  const insecureRegistries = [registry.host];
  store = await createImageStore({ dataDir: folder, executor, insecureRegistries, logger: silentLogger, clock: hurriedClock });
});
test.after.each(async () => {
  await registry.stop();
  await emptied(join(folder, 'images/tmp'));
  execFileSync('rm', ['-rf', folder]);
});

const pull = (name: string, credentials?: { username: string; password: string }) =>
  store.pull(`${registry.host}/team/app${name}`, new Map(credentials ? [[registry.host, credentials]] : []), never);

async function fails(code: AgentErrorCode, promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.instance(error, AgentError);
  assert.is((error as AgentError).code, code);
  return (error as AgentError).message;
}

test('a tag is pulled with every compression; name and digest find it', async () => {
  for (const packLayer of [gzipSync, zstdCompressSync, (content: Buffer) => content]) {
    const digest = registry.add('1', built, packLayer as (content: Buffer) => Buffer);
    const pulled = await pull(':1');
    assert.is(pulled.id, built.id);
    assert.equal(pulled.references, [`${registry.host}/team/app:1`]);
    assert.equal(pulled.digests, [`${registry.host}/team/app@${digest}`]);
    assert.is((await store.find(`${registry.host}/team/app@${digest}`))?.id, built.id);
    await store.remove(built.id);
  }
});

test('a digest is pulled without giving the image a tag', async () => {
  const digest = registry.add('1', built);
  const pulled = await pull(`:1@${digest}`);
  assert.equal([pulled.references, pulled.digests.length], [[], 1]);
  assert.is(registry.count('manifests/1'), 0, 'the digest decides, not the tag');
});

test('what is here already is not fetched again', async () => {
  registry.add('1', built);
  registry.add('2', image([shared, layer(entry('app', 'newer'))]));
  await pull(':1');
  registry.requests.length = 0;
  await pull(':2');
  assert.is(registry.count('blobs/'), 2, 'a config and one layer');
  registry.requests.length = 0;
  await pull(':2');
  assert.is(registry.count('blobs/'), 1, 'the config only');
});

test('pulls of one image at once share the work', async () => {
  registry.add('1', built);
  const pulled = await Promise.all([pull(':1'), pull(':1'), pull(':1')]);
  assert.equal(
    pulled.map(({ id }) => id),
    [built.id, built.id, built.id],
  );
  assert.is(registry.count('manifests/'), 1);
});

test('of an index the image for this machine is taken, and the digest is the index', async () => {
  const manifest = registry.blobs.get(registry.add('1', built))!;
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const describe = (digest: string, platform: object) => ({ mediaType: 'm', digest, size: manifest.length, platform });
  const index = (entries: object[]) => Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: entries }));
  const foreign = describe(`sha256:${'0'.repeat(64)}`, { os: 'linux', architecture: 's390x' });
  const bytes = index([foreign, describe(`sha256:${sha256(manifest)}`, { os: 'linux', architecture })]);
  registry.tags.set('all', { bytes, type: 'application/vnd.oci.image.index.v1+json' });
  const pulled = await pull(':all');
  assert.is(pulled.id, built.id);
  assert.equal(pulled.digests, [`${registry.host}/team/app@sha256:${sha256(bytes)}`]);
  registry.tags.set('none', { bytes: index([foreign]), type: 'application/vnd.oci.image.index.v1+json' });
  assert.match(await fails('ImagePull', pull(':none')), 'there is linux/s390x');
});

test('what is missing or forbidden fails at once, in words', async () => {
  assert.match(await fails('ImagePull', pull(':missing')), /team\/app:missing: not found/);
  assert.is(registry.requests.length, 1);
  registry.before = (_, response) => {
    response.writeHead(403).end();
    return true;
  };
  assert.match(await fails('ImagePull', pull(':1')), 'access denied');
  await fails('InvalidImageName', pull(':-'));
});

test('a busy registry, a cut connection and damaged content are tried again', async () => {
  registry.add('1', built);
  let trouble = 0;
  registry.before = (request, response) => {
    trouble++;
    if (trouble === 1) response.writeHead(503).end();
    else if (trouble === 2) request.socket.destroy();
    else if (trouble === 5 && request.url?.includes('blobs')) response.writeHead(200).end('damaged');
    else if (trouble === 6) {
      response.writeHead(200, { 'content-length': 10_000 }).write('half');
      setImmediate(() => request.socket.destroy());
    } else return false;
    return true;
  };
  assert.is((await pull(':1')).id, built.id);
  assert.ok(trouble >= 8);
});

test('a registry that stays broken is given up with its reason', async () => {
  registry.before = (_, response) => {
    response.writeHead(500).end();
    return true;
  };
  assert.match(await fails('ImagePull', pull(':1')), 'answered with status 500');
  assert.is(registry.requests.length, 5);
  const { host } = registry;
  await registry.stop();
  assert.match(await fails('ImagePull', store.pull(`${host}/team/app:1`, undefined, never)), 'ECONNREFUSED');
  await registry.start();
});

test('content is never taken on trust', async () => {
  const digest = registry.add('1', built);
  registry.blobs.set(digest, registry.blobs.get(registry.add('2', image([shared])))!);
  assert.match(await fails('ImagePull', pull(`@${digest}`)), 'sent a manifest with digest');
  const endless = registry.add('3', image([layer(entry('endless', 'e'))]));
  const manifest = JSON.parse(registry.blobs.get(endless)!.toString()) as { layers: { digest: string }[] };
  registry.blobs.set(manifest.layers[0]!.digest, Buffer.alloc(100_000));
  assert.match(await fails('ImagePull', pull(':3')), 'longer than');
});

test('a pull that nobody waits for any more ends', async () => {
  registry.add('1', built);
  const asked = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  registry.before = (request) => {
    asked.resolve();
    request.on('close', () => closed.resolve());
    return true;
  };
  const abort = new AbortController();
  const pulling = store.pull(`${registry.host}/team/app:1`, undefined, abort.signal);
  await asked.promise;
  abort.abort(new Error('enough'));
  await pulling.then(
    () => assert.unreachable(),
    (error) => assert.is(error.message, 'enough'),
  );
  await closed.promise;
});

test('Basic and token authentication: with credentials it works, without it says so', async () => {
  registry.add('1', built);
  const basic = `Basic ${Buffer.from('user:secret').toString('base64')}`;
  const challenge = (response: ServerResponse, header: string) => {
    response.writeHead(401, { 'www-authenticate': header }).end();
    return true;
  };
  registry.before = ({ headers }, response) => headers.authorization !== basic && challenge(response, 'Basic realm="r"');
  const credentials = { username: 'user', password: 'secret' };
  assert.match(await fails('ImagePull', pull(':1')), 'imagePullSecrets');
  assert.is((await pull(':1', credentials)).id, built.id);
  await store.remove(built.id);

  registry.before = ({ url, headers }, response) => {
    if (url?.startsWith('/token')) {
      const { searchParams } = new URL(url, 'http://x');
      const allowed = headers.authorization === basic && searchParams.get('scope') === 'repository:team/app:pull';
      response.writeHead(allowed ? 200 : 401).end(JSON.stringify({ token: 'tok' }));
      return true;
    }
    const header = `Bearer realm="http://${registry.host}/token",service="s, with comma",scope="repository:team/app:pull"`;
    return headers.authorization !== 'Bearer tok' && challenge(response, header);
  };
  assert.match(await fails('ImagePull', pull(':1')), 'wants credentials');
  assert.match(await fails('ImagePull', pull(':1', { username: 'user', password: 'wrong' })), 'refused the credentials');
  assert.is((await pull(':1', credentials)).id, built.id);
  assert.is(registry.count('/token'), 3, 'one token serves the whole pull');
});

test('challenges are read with their quotes and commas', () => {
  assert.equal(parseChallenges('Bearer realm="https://a/t",service="x, \\"y\\"" , Basic realm=r'), [
    { scheme: 'bearer', parameters: { realm: 'https://a/t', service: 'x, "y"' } },
    { scheme: 'basic', parameters: { realm: 'r' } },
  ]);
  assert.equal(parseChallenges(''), []);
});

test.run();
