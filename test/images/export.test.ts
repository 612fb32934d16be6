/** Images given out again as OCI archives: the same image to whoever reads them. */
import { execFileSync } from 'node:child_process';
import { createWriteStream, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAgentError } from '../../src/agent/errors.ts';
import { createExecutor } from '../../src/agent/host/executor.ts';
import { createImageStore } from '../../src/agent/images/image-store.ts';
import type { Executor, ImageStore } from '../../src/agent/types.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import {
  type BuiltImage,
  dockerArchive,
  entry,
  hardLink,
  image,
  layer,
  ociFiles,
  pack,
  readJson,
  sha256,
  symbolicLink,
} from './image-fixtures.ts';

const never = new AbortController().signal;
let executor: Executor;
let folder: string;
let store: ImageStore;

const openStore = (name = 'store') =>
  createImageStore({
    dataDir: join(folder, name),
    executor,
    insecureRegistries: [],
    logger: silentLogger,
    clock: systemClock,
  });

test.before(async () => {
  executor = await createExecutor({ logger: silentLogger });
});
test.after(() => executor.close());
test.before.each(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kontiki-export-'));
  store = await openStore();
});
test.after.each(() => void execFileSync('rm', ['-rf', folder]));

async function importImage(built: BuiltImage, tags: string[], into = store): Promise<void> {
  await into.importArchive(dockerArchive(join(folder, 'in.tar'), [{ image: built, tags }]), never);
}

/** Writes the archive; checks that it is as long as was said. */
async function exportTo(name: string, reference: string): Promise<string> {
  const file = join(folder, name);
  await store.exportArchive(reference, never, async ({ sizeBytes, content }) => {
    await pipeline(content, createWriteStream(file));
    assert.is(readFileSync(file).length, sizeBytes);
  });
  return file;
}

async function refusal(promise: Promise<unknown>, code: 'ImageExport' | 'ImageNotFound'): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(isAgentError(error, code), String(error));
  return error.message;
}

/** Bytes that do not compress. */
const noise = (length: number) => {
  let text = '';
  for (let at = 0; text.length < length; at++) text += sha256(Buffer.from(String(at)));
  return text.slice(0, length);
};

/** A layer with everything that could get lost between a tar and its unpacked files. */
const odd = Buffer.concat([
  layer(
    entry('etc/'),
    entry('etc/empty'),
    entry('etc/config', 'first\n', { uid: 7, gid: 8, mode: 0o4755, modified: '1234567890.123456789' }),
    entry('etc/config', 'second, and longer\n'),
    entry('etc/config', 'third\n'),
    hardLink('etc/hard', 'etc/config'),
    symbolicLink('link', 'etc'),
    entry('link/through', 'through a link'),
    entry(`${'long/'.repeat(50)}name`, 'deep'),
    entry('etc/caps', 'x', {
      attributes: new Map([['security.capability', Buffer.from('0100000200040000000000000000000000000000', 'hex')]]),
    }),
    entry('etc/.wh.gone'),
    entry('opaque/'),
    entry('opaque/.wh..wh..opq', 'with a body'),
    entry('etc/device', '', { type: '3', deviceMajor: 1, deviceMinor: 3 }),
    entry('big', noise(700_000)),
    entry('a\u00e9', 'latin1'),
  ),
  // What follows the end mark counts too.
  Buffer.from(noise(300_000)),
]);

/** As GNU tar writes it, with long names of its own and no end mark. */
function gnuLayer(): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'kontiki-gnu-'));
  try {
    writeFileSync(join(dir, 'n'.repeat(150)), 'gnu');
    writeFileSync(join(dir, 'plain'), 'x'.repeat(513));
    const whole = execFileSync('tar', ['-c', '--format=gnu', '-b', '1', '-C', dir, '.']);
    return whole.subarray(0, whole.length - 1024);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const run = { Cmd: ['/bin/sh'], Env: ['A=b'], Labels: { 'kept-though-unused': 'é' } };
/** With a single layer, where that is enough: each is unpacked by a process of its own. */
const single = image([odd], run);
const built = image([layer(entry('base', 'b')), odd, gnuLayer(), layer(entry('base', 'b'))], run);

test('an exported image is the same image, also for skopeo and after a restart', async () => {
  await importImage(built, ['demo/odd:1', 'other:2']);
  store = await openStore();
  const archive = await exportTo('out.tar', 'demo/odd:1');

  const inspected = JSON.parse(
    execFileSync('skopeo', ['inspect', '--config', '--raw', `oci-archive:${archive}`], { encoding: 'utf8' }),
  );
  assert.equal(inspected, JSON.parse(built.config.toString()));
  // skopeo compares every blob with its digest while it copies.
  const copied = join(folder, 'copied.tar');
  execFileSync('skopeo', [
    'copy',
    '--quiet',
    `oci-archive:${archive}:docker.io/demo/odd:1`,
    `docker-archive:${copied}:demo/odd:1`,
  ]);
  for (const file of [archive, copied]) {
    const another = await openStore(`another-${file === archive}`);
    const [back] = await another.importArchive(file, never);
    assert.equal([back?.id, back?.references], [built.id, ['docker.io/demo/odd:1']]);
  }
});

test('the archive holds each layer as it came, and equal images give equal archives', async () => {
  const { files } = ociFiles(built, 'demo/odd:1', (content) => gzipSync(content));
  await store.importArchive(pack(join(folder, 'in.tar'), files), never);
  const first = await exportTo('first.tar', 'demo/odd:1');
  const unpacked = join(folder, 'unpacked');
  execFileSync('sh', ['-c', 'mkdir "$1" && tar -xf "$2" -C "$1"', 'sh', unpacked, first]);
  for (const content of built.layers) {
    assert.ok(readFileSync(join(unpacked, 'blobs/sha256', sha256(content))).equals(content));
  }
  assert.ok(readFileSync(join(unpacked, 'blobs', built.id.replace(':', '/'))).equals(built.config));
  const { manifests } = readJson(join(unpacked, 'index.json')) as { manifests: { annotations: Record<string, string> }[] };
  assert.equal(
    manifests.map(({ annotations }) => annotations['org.opencontainers.image.ref.name']),
    ['docker.io/demo/odd:1'],
  );
  store = await openStore('again');
  await importImage(built, ['demo/odd:1']);
  assert.ok(readFileSync(await exportTo('second.tar', 'demo/odd:1')).equals(readFileSync(first)));
});

test('by its id an image goes out under all its names', async () => {
  await importImage(single, ['one:1', 'two:1']);
  const another = await openStore('another');
  const [back] = await another.importArchive(await exportTo('out.tar', single.id), never);
  assert.equal(back?.references.toSorted(), ['docker.io/library/one:1', 'docker.io/library/two:1']);
});

test('what is not there, or is no longer what it was, is not given out', async () => {
  await importImage(single, ['demo/odd:1']);
  assert.match(await refusal(exportTo('x', 'demo/odb:1'), 'ImageNotFound'), 'not on this machine; did you mean demo/odd:1?');
  const images = join(folder, 'store/images');
  const oddFolder = join(images, 'layers', sha256(odd));
  writeFileSync(join(oddFolder, 'big'), noise(700_000).replace('0', '1'));
  assert.match(await refusal(exportTo('x', 'demo/odd:1'), 'ImageExport'), 'its files have been changed');
  truncateSync(join(oddFolder, 'big'), 10);
  assert.match(await refusal(exportTo('x', 'demo/odd:1'), 'ImageExport'), 'the file big of a layer is not what it was');
  const recipe = join(images, 'recipes', sha256(odd));
  truncateSync(recipe, 1_000);
  assert.match(await refusal(exportTo('x', 'demo/odd:1'), 'ImageExport'), 'the record of a layer is damaged');
  rmSync(recipe);
  assert.match(await refusal(exportTo('x', 'demo/odd:1'), 'ImageExport'), 'pull or import it again');
  await store.remove('demo/odd:1');
  assert.equal([...readdirSync(join(images, 'recipes')), ...readdirSync(join(images, 'configs'))], []);
});

test('an image that is being exported is not removed', async () => {
  await importImage(single, ['demo/odd:1']);
  await store.exportArchive('demo/odd:1', never, async ({ content }) => {
    await store.remove('demo/odd:1').then(
      () => assert.unreachable(),
      (error) => assert.match(error.message, 'in use by a pull, an export or a start'),
    );
    for await (const _ of content) {
      // To the end.
    }
  });
  await store.remove('demo/odd:1');
});

test.run();
