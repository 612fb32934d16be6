/** Mirrors of registries: their order, what makes the next one be asked, and whose credentials they get. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createExecutor } from '../../src/agent/host/executor.ts';
import { endpointsOf } from '../../src/agent/images/endpoints.ts';
import { createImageStore } from '../../src/agent/images/image-store.ts';
import type { Executor, PullCredentials } from '../../src/agent/types.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { mirrorProblems, mirrorSettings } from '../../src/node/mirror-settings.ts';
import { emptied, entry, image, layer } from './image-fixtures.ts';
import { hurriedClock, TestRegistry } from './test-registry.ts';

const never = new AbortController().signal;
const built = image([layer(entry('base', 'b'.repeat(10_000))), layer(entry('app', 'a'))]);
let executor: Executor;
let folder: string;
let origin: TestRegistry;
let first: TestRegistry;
let second: TestRegistry;

test.before(async () => {
  executor = await createExecutor({ logger: silentLogger });
});
test.after(() => executor.close());
test.before.each(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kontiki-mirrors-'));
  [origin, first, second] = [new TestRegistry(), new TestRegistry(), new TestRegistry()];
  await Promise.all([origin, first, second].map((registry) => registry.start()));
});
test.after.each(async () => {
  await Promise.all([origin, first, second].map((registry) => registry.stop()));
  await forget();
});

/** Removes what was pulled; half a download may still be on its way out. */
async function forget(): Promise<void> {
  if (existsSync(join(folder, 'images/tmp'))) await emptied(join(folder, 'images/tmp'));
  execFileSync('rm', ['-rf', folder]);
}

/** Pulls team/app:1 of `origin`; the mirrors by default are those of every registry. */
async function pull(credentials: Record<string, PullCredentials> = {}, registry = '*') {
  const insecureRegistries = [origin.host];
  const registryMirrors = { [registry]: [`http://${first.host}`, `http://${second.host}`] };
  const options = { dataDir: folder, executor, insecureRegistries, registryMirrors, logger: silentLogger, clock: hurriedClock };
  const store = await createImageStore(options);
  return store.pull(`${origin.host}/team/app:1`, new Map(Object.entries(credentials)), never);
}

const messageOf = (pulling: Promise<unknown>) =>
  pulling.then(
    () => 'it was pulled',
    (error: Error) => error.message,
  );

test('mirrors are asked in their order, and the registry only for what none of them has', async () => {
  const digest = second.add('1', built);
  const pulled = await pull();
  assert.is(pulled.id, built.id);
  assert.equal(pulled.references, [`${origin.host}/team/app:1`]);
  assert.equal(pulled.digests, [`${origin.host}/team/app@${digest}`], 'named as the registry it stands for');
  const asked = `/v2/team/app/manifests/1?ns=${encodeURIComponent(origin.host)}`;
  assert.equal(first.requests, [asked], 'one that lacks the image is asked once');
  assert.is(second.requests[0], asked);
  assert.is(origin.requests.length, 0);
});

test('mirrors of one registry are not those of another', async () => {
  origin.add('1', built);
  first.add('1', built);
  await pull({}, 'docker.io');
  assert.is(first.requests.length, 0);
});

test('a mirror that fails, is away, or lacks or spoils a layer leads to the next', async () => {
  origin.add('1', built);
  const digest = second.add('1', built);
  const manifest = JSON.parse(second.blobs.get(digest)!.toString()) as { layers: { digest: string }[] };
  const [lower, upper] = manifest.layers.map((each) => each.digest);
  second.blobs.delete(lower!);
  await first.stop();
  assert.is((await pull()).id, built.id);
  assert.ok(origin.requests.includes(`/v2/team/app/blobs/${lower}`), 'what the mirror lacks comes from the registry');
  await first.start();

  await forget();
  first.before = (_request, response) => {
    response.writeHead(503).end();
    return true;
  };
  second.add('1', built);
  second.blobs.set(upper!, Buffer.alloc(second.blobs.get(upper!)!.length));
  assert.is((await pull()).id, built.id);
  assert.is(first.requests.length, 2, 'a mirror is not waited for as long as a registry');
  assert.ok(origin.requests.includes(`/v2/team/app/blobs/${upper}`));
});

test('the error tells what each one said', async () => {
  first.before = (_request, response) => {
    response.writeHead(500).end();
    return true;
  };
  assert.is(
    await messageOf(pull()),
    `${origin.host}/team/app:1: http://${first.host} answered with status 500; http://${second.host}: not found; http://${origin.host}: not found`,
  );
});

test('credentials of the registry go to it alone, those of a mirror to the mirror', async () => {
  origin.add('1', built);
  const seen = new Map<TestRegistry, Set<string | undefined>>();
  for (const registry of [origin, first, second]) {
    const headers = new Set<string | undefined>();
    seen.set(registry, headers);
    registry.before = (request, response) => {
      headers.add(request.headers.authorization);
      if (request.headers.authorization) return false;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
      return true;
    };
  }
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
  await pull({
    [origin.host]: { username: 'own', password: 'p' },
    [second.host]: { username: 'mirror', password: 'q' },
  });
  assert.equal([...seen.get(origin)!], [undefined, basic('own:p')]);
  assert.equal([...seen.get(first)!], [undefined]);
  assert.equal([...seen.get(second)!], [undefined, basic('mirror:q')]);
});

test('the configuration becomes URLs: by name of the registry, plain HTTP only where it says so', () => {
  const insecureRegistries = ['cache:5000'];
  const mirrors = ['cache:5000', 'safe.example', 'http://plain.example/hub/', 'https://cache:5000'];
  const registryMirrors = mirrorSettings({ insecureRegistries, registryMirrors: { 'index.docker.io': mirrors, '*': ['any'] } });
  assert.equal(registryMirrors, {
    'docker.io': ['http://cache:5000', 'https://safe.example', 'http://plain.example/hub', 'https://cache:5000'],
    '*': ['https://any'],
  });
  const bases = (domain: string) => endpointsOf(domain, registryMirrors, insecureRegistries, new Map()).map(({ base }) => base);
  assert.equal(bases('docker.io'), [...registryMirrors['docker.io']!, 'https://registry-1.docker.io']);
  assert.equal(bases('cache:5000'), ['https://any', 'http://cache:5000']);
  assert.equal(bases('any'), ['https://any'], 'nobody is asked twice');
});

test('a configuration that makes no sense is refused with its place', () => {
  const problems = (registryMirrors: Record<string, string[]>) => mirrorProblems({ insecureRegistries: [], registryMirrors });
  assert.equal(problems({ 'r.example:5000': ['a', 'https://b/c'], '*': [], '[::1]:5000': ['[::1]:1'] }), []);
  assert.match(
    problems({ 'https://docker.io': [] })[0] ?? '',
    /^agent\.registryMirrors\.https:\/\/docker\.io: the registry must/,
  );
  for (const wrong of ['', 'ftp://a', 'https://user:pass@a', 'a?b', 'two words']) {
    assert.match(
      problems({ 'docker.io': ['fine', wrong] })[0] ?? '',
      /^agent\.registryMirrors\.docker\.io\[1\] must be a host/,
      wrong,
    );
  }
  assert.is(problems({ 'docker.io': Array.from({ length: 17 }, (_, index) => `m${index}`) }).length, 1);
});

test.run();
