import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AgentError } from '../../src/agent/errors.ts';
import { createExecutor } from '../../src/agent/host/executor.ts';
import { LayerStore } from '../../src/agent/images/layer-store.ts';
import type { Executor } from '../../src/agent/types.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { entry, hardLink, layer, sha256, symbolicLink } from './image-fixtures.ts';

let executor: Executor;
let folder: string;
let store: LayerStore;

test.before(async () => {
  executor = await createExecutor({ logger: silentLogger });
});
test.after(() => executor.close());
test.before.each(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kontiki-layers-'));
  store = new LayerStore({ folder: join(folder, 'store'), executor });
  await store.open(new Map());
});
// Names that are not UTF-8 are beyond rmSync.
test.after.each(() => {
  execFileSync('rm', ['-rf', folder]);
});

const never = new AbortController().signal;

/** Unpacks and gives the folder. `packed` is what lies on disk, if not the plain tar. */
async function unpack(content: Buffer, packed = content): Promise<string> {
  const diffId = `sha256:${sha256(content)}`;
  const file = join(folder, 'packed');
  writeFileSync(file, packed);
  await store.ensure(diffId, never, async () => ({ file, offsetBytes: 0, lengthBytes: packed.length }));
  return store.path(diffId);
}

async function refused(content: Buffer, packed = content): Promise<string> {
  try {
    await unpack(content, packed);
  } catch (error) {
    assert.instance(error, AgentError);
    assert.is((error as AgentError).code, 'ImagePull');
    assert.equal(readdirSync(store.temporaryFolder), [], 'no half-unpacked folder is left');
    assert.not(store.has(`sha256:${sha256(content)}`));
    return (error as AgentError).message;
  }
  throw new Error('the layer was accepted');
}

test('files keep content, mode, owner, time, links and capabilities, in every compression', async () => {
  const capability = Buffer.from('0100000280000000000000000000000000000000', 'hex');
  const content = layer(
    entry('./bin/'),
    entry('./bin/tool', 'x'.repeat(1000), {
      mode: 0o4755,
      uid: 70_000,
      gid: 12,
      attributes: new Map([['security.capability', capability]]),
    }),
    hardLink('bin/same', 'bin/tool'),
    symbolicLink('bin/link', '/bin/tool'),
    entry(`${'long/'.repeat(40)}name`, 'deep'),
    entry('caf\xe9', 'bytes'),
  );
  const zeroEnd = content.subarray(0, -1024);
  for (const packed of [content, gzipSync(content), zstdCompressSync(content)]) {
    await store.removeExcept(new Set());
    const root = await unpack(content, packed);
    const stat = lstatSync(join(root, 'bin/tool'));
    assert.equal([stat.mode & 0o7777, stat.uid, stat.gid, stat.nlink, stat.mtimeMs], [0o4755, 70_000, 12, 2, 1e12]);
    assert.is(readlinkSync(join(root, 'bin/link')), '/bin/tool');
    assert.is(readFileSync(join(root, `${'long/'.repeat(40)}name`), 'utf8'), 'deep');
    assert.is(readFileSync(Buffer.concat([Buffer.from(`${root}/caf`), Buffer.from([0xe9])]), 'utf8'), 'bytes');
    const archive = execFileSync('tar', ['-c', '--xattrs', '--xattrs-include=*', '-C', root, 'bin/tool'], { encoding: 'latin1' });
    assert.ok(archive.includes(`SCHILY.xattr.security.capability=${capability.toString('latin1')}`), 'binary attribute survives');
  }
  assert.ok(existsSync(join(await unpack(zeroEnd), 'bin/tool')), 'a layer without end mark is fine');
});

test('a layer made by the real tar, in GNU and pax form, comes out as it went in', async () => {
  const source = join(folder, 'source');
  execFileSync('sh', [
    '-c',
    `mkdir -p ${source}/a/${'d'.repeat(120)} && cd ${source}/a/${'d'.repeat(120)} && echo hi > ${'f'.repeat(120)} && ln -s ${'t'.repeat(150)} l`,
  ]);
  for (const form of ['gnu', 'pax']) {
    const root = await unpack(execFileSync('tar', ['-c', `--format=${form}`, '-C', source, '.']));
    execFileSync('diff', ['-r', '--no-dereference', source, root]);
  }
});

test('whiteouts become overlay devices and opaque folders, times of folders stay', async () => {
  const root = await unpack(
    layer(
      entry('etc/'),
      entry('etc/.wh.gone'),
      entry('var/'),
      entry('var/.wh..wh..opq'),
      entry('var/new', 'x'),
      entry('opt/'),
      entry('opt/again/'),
      entry('opt/again/file', 'y'),
      entry('opt/.wh.again'),
      entry('opt/kept', 'z'),
      entry('opt/.wh.kept'),
      entry('.wh..wh.plnk/'),
    ),
  );
  const gone = lstatSync(join(root, 'etc/gone'));
  assert.ok(gone.isCharacterDevice());
  assert.is(gone.rdev, 0);
  assert.not(existsSync(join(root, 'etc/.wh.gone')));
  const opaque = (path: string) =>
    execFileSync('tar', ['-c', '--no-recursion', '--xattrs', '--xattrs-include=*', '-C', root, path], {
      encoding: 'latin1',
    }).includes('trusted.overlay.opaque=y');
  assert.ok(opaque('var'));
  assert.ok(opaque('opt/again'), 'deleted and made again: hides only what is below');
  assert.not(opaque('opt'));
  assert.is(readFileSync(join(root, 'opt/again/file'), 'utf8'), 'y');
  assert.is(readFileSync(join(root, 'opt/kept'), 'utf8'), 'z');
  assert.equal([statSync(join(root, 'etc')).mtimeMs, statSync(join(root, 'var')).mtimeMs], [1e12, 1e12]);
  assert.equal(readdirSync(root).sort(), ['etc', 'opt', 'var']);
});

test('no path leads outside: dots and links are followed inside the layer', async () => {
  const outside = join(folder, 'outside');
  execFileSync('mkdir', [outside]);
  const root = await unpack(
    layer(
      entry('../../../../dots', 'a'),
      entry('/absolute', 'b'),
      symbolicLink('escape', outside),
      entry('escape/through-link', 'c'),
      symbolicLink('up', '../../..'),
      entry('up/above', 'd'),
      symbolicLink('chain', 'escape/deeper'),
      entry('chain/file', 'e'),
      hardLink('alias', 'escape'),
      entry('alias/through-alias', 'f'),
      entry('escape/.wh.hidden'),
      symbolicLink('lib', 'usr/lib'),
      entry('lib/so', 'g'),
    ),
  );
  assert.equal(readdirSync(outside), []);
  assert.is(readFileSync(join(root, 'dots'), 'utf8'), 'a');
  assert.is(readFileSync(join(root, 'absolute'), 'utf8'), 'b');
  assert.is(readFileSync(join(root, outside, 'through-link'), 'utf8'), 'c');
  assert.is(readFileSync(join(root, 'above'), 'utf8'), 'd');
  assert.is(readFileSync(join(root, outside, 'deeper/file'), 'utf8'), 'e');
  assert.is(readFileSync(join(root, outside, 'through-alias'), 'utf8'), 'f');
  assert.ok(lstatSync(join(root, outside, 'hidden')).isCharacterDevice());
  assert.is(readFileSync(join(root, 'usr/lib/so'), 'utf8'), 'g');
});

test('a folder that turns into a link after its whiteout does not lead outside either', async () => {
  const outside = join(folder, 'outside');
  execFileSync('mkdir', [outside]);
  await unpack(
    layer(
      entry('a/'),
      entry('a/.wh.x'),
      entry('b/'),
      entry('b/.wh..wh..opq'),
      symbolicLink('a', outside),
      symbolicLink('b', outside),
    ),
  );
  assert.equal(readdirSync(outside), []);
});

test('hostile and broken layers are refused and leave nothing', async () => {
  assert.match(await refused(layer(entry('etc/.wh...', ''))), 'not the name of a whiteout');
  assert.match(await refused(layer(symbolicLink('a', 'b'), symbolicLink('b', 'a'), entry('a/x', ''))), 'too many symbolic links');
  assert.match(await refused(layer(entry('file', 'x'.repeat(2000))).subarray(0, 1500)), 'ends in the middle');
  assert.match(await refused(layer(entry('odd', '', { type: 'S' }))), 'not supported');
  assert.match(await refused(Buffer.from('no tar at all'.repeat(100))), /a header has a/);
  assert.match(await refused(layer(hardLink('h', '../../etc/hostname'))), 'hostname');
  const fine = layer(entry('x', 'y'));
  assert.match(await refused(fine, gzipSync(fine).subarray(0, -12)), 'unexpected end of file');
});

test('attributes that overlayfs would obey are dropped', async () => {
  const attributes = new Map([
    ['trusted.overlay.redirect', Buffer.from('/etc')],
    ['user.overlay.opaque', Buffer.from('y')],
    ['user.mine', Buffer.from('kept')],
  ]);
  const root = await unpack(layer(entry('d/', '', { attributes })));
  const archive = execFileSync('tar', ['-c', '--xattrs', '--xattrs-include=*', '-C', root, 'd'], { encoding: 'latin1' });
  assert.not(/overlay/.test(archive));
  // tmpfs and some others refuse user attributes; then there is nothing to compare.
  if (archive.includes('SCHILY.xattr')) assert.match(archive, 'user.mine=kept');
});

test('content with another digest than promised is not taken', async () => {
  const content = layer(entry('x', 'good'));
  assert.match(await refused(content, layer(entry('x', 'evil'))), 'has other content');
});

test('many who want one layer unpack it once; a pinned layer is kept, an unpinned one is collected', async () => {
  const content = layer(entry('x', '1'));
  const diffId = `sha256:${sha256(content)}`;
  const file = join(folder, 'packed');
  writeFileSync(file, content);
  let fetched = 0;
  const fetch = async () => {
    fetched++;
    return { file, offsetBytes: 0, lengthBytes: content.length };
  };
  const unpin = store.pin([diffId]);
  await Promise.all([1, 2, 3].map(() => store.ensure(diffId, never, fetch)));
  assert.is(fetched, 1);
  await store.removeExcept(new Set());
  assert.ok(store.has(diffId));
  unpin();
  await Promise.all([store.removeExcept(new Set()), store.removeExcept(new Set())]);
  assert.not(existsSync(store.path(diffId)));
  await store.ensure(diffId, never, fetch);
  assert.is(fetched, 2);
});

test('one who gives up does not hurt another who wants the same layer', async () => {
  const content = layer(entry('x', '2'));
  const diffId = `sha256:${sha256(content)}`;
  const file = join(folder, 'packed');
  writeFileSync(file, content);
  const gate = Promise.withResolvers<void>();
  const fetch = async () => {
    await gate.promise;
    return { file, offsetBytes: 0, lengthBytes: content.length };
  };
  const abort = new AbortController();
  const first = store.ensure(diffId, abort.signal, fetch);
  const second = store.ensure(diffId, never, fetch);
  abort.abort(new Error('enough'));
  await first.then(
    () => assert.unreachable(),
    (error) => assert.is(error.message, 'enough'),
  );
  gate.resolve();
  await second;
  assert.ok(store.has(diffId));
});

test('after a crash, layers that no record names and half-made ones are gone', async () => {
  const kept = layer(entry('x', 'kept'));
  await unpack(kept);
  const lost = await unpack(layer(entry('x', 'lost')));
  writeFileSync(join(store.temporaryFolder, 'half'), 'made');
  const diffId = `sha256:${sha256(kept)}`;
  const again = new LayerStore({ folder: join(folder, 'store'), executor });
  await again.open(new Map([[diffId, 4]]));
  assert.ok(again.has(diffId));
  assert.is(again.sizeBytes(diffId), 4);
  assert.not(existsSync(lost));
  assert.equal(readdirSync(again.temporaryFolder), []);
  assert.is(readFileSync(join(folder, 'store', again.shortPath(diffId), 'x'), 'utf8'), 'kept');
  assert.is(readdirSync(join(folder, 'store/l')).length, 1);
});

test.run();
