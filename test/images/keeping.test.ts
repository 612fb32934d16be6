/** Which images stay: users, pins, pruning; and a disk that is really full. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AgentError, type AgentErrorCode } from '../../src/agent/errors.ts';
import { createExecutor } from '../../src/agent/host/executor.ts';
import { diskUsage, ImageCollector } from '../../src/agent/images/image-collector.ts';
import { createImageStore } from '../../src/agent/images/image-store.ts';
import type { Executor, ImageStore } from '../../src/agent/types.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { dockerArchive, entry, image, layer } from './image-fixtures.ts';

const never = new AbortController().signal;
const minuteMs = 60_000;
let executor: Executor;
let folder: string;
let clock: ManualClock;
let store: ImageStore;

const openStore = () => createImageStore({ dataDir: folder, executor, insecureRegistries: [], logger: silentLogger, clock });

test.before(async () => {
  executor = await createExecutor({ logger: silentLogger });
});
test.after(() => executor.close());
test.before.each(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kontiki-keeping-'));
  clock = new ManualClock();
  store = await openStore();
});
test.after.each(async () => {
  for (const id of readdirSync(join(folder, 'images/containers'))) await store.removeRoot(id);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  if (mounts.includes(` ${folder} `)) execFileSync('umount', [folder]);
  execFileSync('rm', ['-rf', folder]);
});

const kilobyte = 'x'.repeat(1_000);
/** An image of `kilobytes` that shares nothing. */
const sized = (name: string, kilobytes: number) => image([layer(entry(name, kilobyte.repeat(kilobytes)))], { Cmd: [name] });

async function add(built: ReturnType<typeof image>, ...tags: string[]): Promise<string> {
  const archive = dockerArchive(join(tmpdir(), `kontiki-keeping-${process.pid}.tar`), [{ image: built, tags }]);
  try {
    const [found] = await store.importArchive(archive, never);
    return found!.id;
  } finally {
    execFileSync('rm', ['-f', archive]);
  }
}

/** What `find` would give for each tag, in the order of adding. */
const tags = async () => (await store.list()).flatMap(({ references }) => references).map((name) => name.split('/').at(-1));

async function fails(code: AgentErrorCode, promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.instance(error, AgentError);
  assert.is((error as AgentError).code, code);
  return (error as AgentError).message;
}

test('an image that a pod needs is not removed, by name or force, and the refusal names the pod', async () => {
  const id = await add(sized('web', 1), 'web:1');
  const pod = { name: 'pod default/web', containers: ['c1'], images: ['web:1'] };
  store.setUsers(() => [pod, { name: 'pod default/other', containers: [], images: ['Not A Name', 'absent:1'] }]);
  for (const force of [false, true]) {
    assert.is(await fails('ImageInUse', store.remove('web:1', { force })), 'image web:1 is in use by pod default/web');
  }
  await store.mountRoot('c1', (await store.find(id))!);
  pod.images = [];
  assert.equal(store.uses()[0]?.usedBy, ['pod default/web']);
  assert.equal((await store.prune({ all: true })).deleted, []);
  await store.removeRoot('c1');
  assert.equal(await store.remove('web:1'), { untagged: ['docker.io/library/web:1'], deleted: [id], freedBytes: 1_000 });
  assert.equal(await store.remove('web:1'), { untagged: [], deleted: [], freedBytes: 0 });
});

test('a pin goes with its name, outlives a restart, and gives way to force only', async () => {
  const id = await add(sized('old', 1), 'web:1', 'web:old');
  await store.setPinned('web:1', true);
  await store.setPinned('web:1', true);
  store = await openStore();
  assert.ok(store.uses()[0]?.pinned);
  assert.match(await fails('ImagePinned', store.remove('web:1')), 'image web:1 is pinned: unpin it, or remove it with --force');
  assert.match(await fails('ImagePinned', store.remove(id)), 'is pinned');
  assert.equal((await store.remove('web:old')).untagged, ['docker.io/library/web:old']);
  assert.equal((await store.prune({ all: true })).deleted, []);

  const newer = await add(sized('new', 1), 'web:1');
  assert.equal((await store.prune({ all: true })).deleted, [id], 'the pin has moved to the newer image');
  assert.equal((await store.remove('web:1', { force: true })).deleted, [newer]);
  await add(sized('new', 1), 'web:1');
  assert.not(store.uses()[0]?.pinned, 'a pin ends with what it pinned');
  await store.setPinned(newer, true);
  await fails('ImagePinned', store.remove('web:1'));
  await store.setPinned(newer, false);
  await store.remove('web:1');
  assert.match(await fails('ImageNotFound', store.setPinned('web:1', true)), 'image web:1 is not on this machine');
  await fails('ImageNotFound', store.setPinned('web:1', false));
  await fails('InvalidImageName', store.setPinned('Web', true));
});

test('pruning takes images without a tag, and with all of them only what is unused', async () => {
  const first = await add(sized('first', 1), 'web:1');
  await add(sized('second', 2), 'web:1');
  await add(sized('third', 3), 'other:1');
  assert.equal(await store.prune({ all: false }), { untagged: [], deleted: [first], freedBytes: 1_000 });
  assert.equal(await tags(), ['web:1', 'other:1']);
  store.setUsers(() => [{ name: 'pod a/b', containers: [], images: ['other:1'] }]);
  assert.is((await store.prune({ all: true })).freedBytes, 2_000);
  assert.equal(await tags(), ['other:1']);
});

test('who misspells a name is told what there is', async () => {
  await add(sized('a', 1), 'nginx:1.25', 'registry.example.com/team/api:v2');
  for (const [written, meant] of [
    ['ngnix:1.25', 'nginx:1.25'],
    ['nginx', 'nginx:1.25'],
    ['ngix', 'nginx:1.25'],
    ['registry.example.com/team/api:v3', 'registry.example.com/team/api:v2'],
  ]) {
    assert.is(store.missing(written!).message, `image ${written} is not on this machine; did you mean ${meant}?`);
  }
  assert.is(store.missing('something-else').message, 'image something-else is not on this machine');
});

test('two images that share a layer: it goes with the last', async () => {
  const shared = layer(entry('shared', kilobyte.repeat(5)));
  await add(image([shared], { Cmd: ['one'] }), 'one:1');
  await add(image([shared], { Cmd: ['two'] }), 'two:1');
  assert.is((await store.remove('one:1')).freedBytes, 0);
  assert.is((await store.remove('two:1')).freedBytes, 5_000);
});

test('on a small disk that is nearly full the least recently used images go, after restarts too', async () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=700', 'tmpfs', folder]);
  store = await openStore();
  for (const name of ['pinned', 'used', 'unused']) {
    await add(sized(name, 2_450), `${name}:1`);
    await clock.advance(minuteMs);
  }
  await store.setPinned('pinned:1', true);
  await store.mountRoot('c1', (await store.find('used:1'))!);
  await store.removeRoot('c1');
  await store.saveUses();
  store = await openStore();
  let removed = 0;
  const collector = new ImageCollector({
    images: store,
    policy: { highPercent: 85, lowPercent: 80, minimumAgeMs: 2 * minuteMs, maximumAgeMs: 0 },
    disk: () => diskUsage(folder),
    warn: (reason, message) => assert.unreachable(`${reason}: ${message}`),
    onRemoved: () => removed++,
    clock,
    logger: silentLogger,
  });
  await clock.advance(2 * minuteMs);
  await collector.collect(never);
  assert.equal(await tags(), ['pinned:1', 'used:1']);
  await collector.collect(never);
  assert.is(removed, 1);
});

test.run();
