import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AgentError, type AgentErrorCode } from '../../src/agent/errors.ts';
import { createExecutor } from '../../src/agent/host/executor.ts';
import { createImageStore } from '../../src/agent/images/image-store.ts';
import type { Executor, ImageStore } from '../../src/agent/types.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { busyboxLayer, dockerArchive, emptied, entry, image, layer, ociFiles, pack } from './image-fixtures.ts';

const base = busyboxLayer();
const never = new AbortController().signal;
let executor: Executor;
let folder: string;
let store: ImageStore;

const openStore = () =>
  createImageStore({ dataDir: folder, executor, insecureRegistries: [], logger: silentLogger, clock: systemClock });

test.before(async () => {
  executor = await createExecutor({ logger: silentLogger });
});
test.after(() => executor.close());
test.before.each(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kontiki-images-'));
  store = await openStore();
});
test.after.each(async () => {
  for (const id of readdirSync(join(folder, 'images/containers'))) await store.removeRoot(id);
  assert.not(readFileSync('/proc/self/mountinfo', 'utf8').includes(folder));
  execFileSync('rm', ['-rf', folder]);
});

async function fails(code: AgentErrorCode, promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.instance(error, AgentError);
  assert.is((error as AgentError).code, code);
  return (error as AgentError).message;
}

const archive = () => join(folder, 'archive.tar');
const layersOnDisk = () => readdirSync(join(folder, 'images/layers')).length;
const inRoot = (root: string, script: string) => execFileSync('chroot', [root, '/bin/sh', '-c', script], { encoding: 'utf8' });

const built = image([base, layer(entry('etc/'), entry('etc/greeting', 'hello\n'), entry('tmp/', '', { mode: 0o1777 }))], {
  Entrypoint: ['/bin/sh', '-c'],
  Cmd: ['cat /etc/greeting'],
  Env: ['A=b'],
  WorkingDir: '/tmp',
  User: '1000:1000',
  StopSignal: 'SIGQUIT',
});

test('a Docker archive is imported with its config, found by every form of its name, and runs', async () => {
  for (const options of [[], ['--gzip']]) {
    const images = await store.importArchive(
      dockerArchive(archive(), [{ image: built, tags: ['demo/web:1', 'nginx'] }], options),
      never,
    );
    assert.is(images.length, 1);
  }
  const found = await store.find('nginx:latest');
  assert.equal(found?.references.toSorted(), ['docker.io/demo/web:1', 'docker.io/library/nginx:latest']);
  assert.is(found?.id, built.id);
  assert.equal(found?.config, {
    entrypoint: ['/bin/sh', '-c'],
    cmd: ['cat /etc/greeting'],
    env: ['A=b'],
    workingDir: '/tmp',
    user: '1000:1000',
    stopSignal: 'SIGQUIT',
  });
  assert.ok((found?.sizeBytes ?? 0) > 100_000);
  for (const name of ['demo/web:1', 'docker.io/library/nginx', built.id, built.id.slice(7)]) {
    assert.is((await store.find(name))?.id, built.id, name);
  }
  assert.is(await store.find('nginx:other'), undefined);

  const root = await store.mountRoot('c1', found!);
  assert.is(
    inRoot(root, 'cat /etc/greeting; echo new > /tmp/file; rm /etc/greeting; ls /tmp /etc'),
    'hello\n/etc:\n\n/tmp:\nfile\n',
  );
  assert.is(await store.mountRoot('c1', found!), root, 'mounting again changes nothing');
  assert.is(inRoot(root, 'cat /tmp/file'), 'new\n');
  const other = await store.mountRoot('c2', found!);
  assert.is(inRoot(other, 'ls /tmp; cat /etc/greeting'), 'hello\n', 'containers do not see each other');
});

test('a root is of the image it is asked for, and of a removal that was cut short nothing stays', async () => {
  const second = image([base, layer(entry('second', 'x'))]);
  const tagged = [
    { image: built, tags: ['one:1'] },
    { image: second, tags: ['two:1'] },
  ];
  const [one, two] = await store.importArchive(dockerArchive(archive(), tagged), never);
  await store.mountRoot('c1', one!);
  const root = await store.mountRoot('c1', two!);
  assert.is(inRoot(root, 'cat /second'), 'x');
  // As when the executor died while the folder was deleted.
  const doomed = join(folder, 'images/tmp/container-c1');
  mkdirSync(join(doomed, 'upper'), { recursive: true });
  await store.removeRoot('c1');
  assert.not(existsSync(doomed));
});

test('several images in one archive share their layers', async () => {
  const second = image([base, layer(entry('second', 'x'))]);
  const images = await store.importArchive(
    dockerArchive(archive(), [
      { image: built, tags: ['one:1'] },
      { image: second, tags: ['two:1'] },
    ]),
    never,
  );
  assert.equal(
    images.map(({ id }) => id),
    [built.id, second.id],
  );
  assert.is(layersOnDisk(), 3);
  assert.is((await store.list()).length, 2);
});

test('OCI archives: plain and gzipped layers, by hand and converted by skopeo', async () => {
  const { files } = ociFiles(built, 'registry.example.com/demo:2', (content) => gzipSync(content));
  const [byHand] = await store.importArchive(pack(archive(), files, ['--zstd']), never);
  assert.equal([byHand?.id, byHand?.references], [built.id, ['registry.example.com/demo:2']]);
  await store.remove('registry.example.com/demo:2');
  assert.equal(await store.list(), []);

  dockerArchive(archive(), [{ image: built, tags: ['demo:3'] }]);
  const converted = join(folder, 'oci.tar');
  execFileSync('skopeo', ['copy', '--quiet', `docker-archive:${archive()}`, `oci-archive:${converted}:demo:4`]);
  const [bySkopeo] = await store.importArchive(converted, never);
  assert.equal(bySkopeo?.references, ['docker.io/library/demo:4']);
  assert.equal(bySkopeo?.config.cmd, ['cat /etc/greeting']);
  assert.is(inRoot(await store.mountRoot('c1', bySkopeo!), 'cat /etc/greeting'), 'hello\n');
});

test('upper layers hide and replace what lower ones have', async () => {
  const upper = layer(
    entry('etc/'),
    entry('etc/.wh.greeting'),
    entry('data/'),
    entry('data/.wh..wh..opq'),
    entry('data/new', 'n'),
  );
  const lower = layer(entry('etc/'), entry('etc/greeting', 'hello'), entry('data/'), entry('data/old', 'o'));
  const empty = layer();
  const [layered] = await store.importArchive(
    dockerArchive(archive(), [{ image: image([base, empty, lower, empty, upper]), tags: ['layered'] }]),
    never,
  );
  const root = await store.mountRoot('c1', layered!);
  assert.is(inRoot(root, 'ls /etc /data'), '/data:\nnew\n\n/etc:\n');
  assert.is(layered?.layers.length, 4, 'the empty layer counts once');
});

test('a name moves to the newer image; the older one keeps its other names', async () => {
  const newer = image([base]);
  await store.importArchive(dockerArchive(archive(), [{ image: built, tags: ['web:1', 'web:old'] }]), never);
  await store.importArchive(dockerArchive(archive(), [{ image: newer, tags: ['web:1'] }]), never);
  assert.is((await store.find('web:1'))?.id, newer.id);
  assert.equal((await store.find(built.id))?.references, ['docker.io/library/web:old']);
});

test('removal takes the name, then the image, then the layers nobody needs', async () => {
  const other = image([base]);
  await store.importArchive(
    dockerArchive(archive(), [
      { image: built, tags: ['a:1', 'b:1'] },
      { image: other, tags: ['other'] },
    ]),
    never,
  );
  await store.remove('a:1');
  assert.is((await store.find('b:1'))?.id, built.id);
  assert.is(layersOnDisk(), 2);
  await store.remove('b:1');
  assert.is(await store.find(built.id), undefined);
  assert.is(layersOnDisk(), 1);
  await store.remove('b:1');
  await store.remove(other.id);
  assert.is(layersOnDisk(), 0);
});

test('an image that a container stands on is not removed, also not after a restart', async () => {
  const [found] = await store.importArchive(dockerArchive(archive(), [{ image: built, tags: ['used'] }]), never);
  const root = await store.mountRoot('c1', found!);
  assert.match(await fails('ImageInUse', store.remove('used')), 'in use by container c1');
  store = await openStore();
  await fails('ImageInUse', store.remove('used'));
  assert.is(inRoot(root, 'cat /etc/greeting'), 'hello\n');
  await store.removeRoot('c1');
  await store.removeRoot('c1');
  assert.not(existsSync(root));
  await store.remove('used');
  assert.is(layersOnDisk(), 0);
});

test('after a restart images are there; leftovers of a crash are not', async () => {
  await store.importArchive(dockerArchive(archive(), [{ image: built, tags: ['kept'] }]), never);
  const images = join(folder, 'images');
  execFileSync('mkdir', [
    '-p',
    join(images, 'tmp/half'),
    join(images, 'layers', 'f'.repeat(64)),
    join(images, 'containers/half'),
  ]);
  writeFileSync(join(images, 'records', `${'e'.repeat(64)}.json`), '{"half');
  store = await openStore();
  assert.equal(
    (await store.list()).map(({ id, references }) => [id, references]),
    [[built.id, ['docker.io/library/kept:latest']]],
  );
  assert.is(layersOnDisk(), 2);
  assert.equal(readdirSync(join(images, 'tmp')), []);
  execFileSync('rm', ['-rf', join(images, 'layers', readdirSync(join(images, 'layers'))[0]!)]);
  store = await openStore();
  assert.equal(await store.list(), [], 'an image without its layers is none');
});

test('what is no archive, a damaged one, or one with a hostile path is refused', async () => {
  writeFileSync(archive(), 'just text, longer than a magic number');
  await fails('ImageImport', store.importArchive(archive(), never));
  assert.match(
    await fails('ImageImport', store.importArchive(pack(archive(), { readme: 'hi' }), never)),
    'neither a manifest.json',
  );
  const traversal = { 'manifest.json': JSON.stringify([{ Config: '../../../../etc/passwd', RepoTags: [], Layers: [] }]) };
  assert.match(await fails('ImageImport', store.importArchive(pack(archive(), traversal), never)), 'it lacks');

  const { files } = ociFiles(built, 'x');
  const blob = Object.keys(files).find((name) => (files[name] as Buffer).length > 100_000)!;
  const damaged = Buffer.from(files[blob] as Buffer);
  damaged[damaged.length - 5_000]! ^= 1;
  assert.match(
    await fails('ImageImport', store.importArchive(pack(archive(), { ...files, [blob]: damaged }), never)),
    /other content|cannot be unpacked/,
  );
  writeFileSync(archive(), readFileSync(pack(join(folder, 'whole.tar'), files)).subarray(0, 200_000));
  assert.match(await fails('ImageImport', store.importArchive(archive(), never)), 'cut off');
  assert.equal(await store.list(), []);
  await emptied(join(folder, 'images/tmp'));
});

test('an import can be given up', async () => {
  dockerArchive(archive(), [{ image: built, tags: ['x'] }]);
  const abort = new AbortController();
  const importing = store.importArchive(archive(), abort.signal);
  abort.abort(new Error('enough'));
  await importing.then(
    () => assert.unreachable(),
    (error) => assert.is(error.message, 'enough'),
  );
  assert.equal(await store.list(), []);
});

test('container ids are not paths', async () => {
  const [found] = await store.importArchive(dockerArchive(archive(), [{ image: built, tags: ['x'] }]), never);
  for (const id of ['../x', '', 'a/b', '.', 'a:b', 'a,b']) await fails('ContainerConfig', store.mountRoot(id, found!));
});

test.run();
