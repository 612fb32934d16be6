/** Files the agent reads and writes: logs, volumes, mount tables, paths inside roots. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { podPaths, readRecord } from '../../src/agent/pods/record.ts';
import { resolveInRoot } from '../../src/agent/runtime/root-path.ts';
import { LineCutter, LogFormatter, parseLogLine } from '../../src/agent/streams/cri-log.ts';
import { logEnd, readLog } from '../../src/agent/streams/log-file.ts';
import { writeVolume } from '../../src/agent/volumes/atomic-writer.ts';
import { mountPointsBelow } from '../../src/agent/volumes/mounts.ts';

let dir: string;
test.before.each(() => {
  dir = mkdtempSync(join(tmpdir(), 'kontiki-files-'));
});
test.after.each(() => rmSync(dir, { recursive: true }));

const line = (text: string) => parseLogLine(Buffer.from(text));

test('log lines keep every byte, and parts of a line are joined', () => {
  assert.is(line('2026-01-01T00:00:00.5+00:00 stdout F a b ')?.content.toString(), 'a b \n');
  assert.is(line('2026-01-01T00:00:00.5+00:00 stdout F ')?.content.toString(), '\n');
  assert.is(line('2026-01-01T00:00:00.5+00:00 stderr P a')?.content.toString(), 'a');
  assert.is(line('2026-01-01T00:00:00.5+00:00 stdout F x')?.time, '2026-01-01T00:00:00.5Z');
  assert.is(line('rubbish'), undefined);
  const formatter = new LogFormatter({ timestamps: true });
  const out = ['T1 stdout P he', 'T2 stdout F llo', 'T3 stdout F next']
    .map((text) => formatter.format(line(text)!).toString())
    .join('');
  assert.is(out, 'T1 hello\nT3 next\n');
});

test('lines are cut whatever the chunks', () => {
  const cutter = new LineCutter();
  const lines = ['ab', 'c\nd', '\n\ne'].flatMap((chunk) => cutter.push(Buffer.from(chunk)));
  assert.equal(lines.map(String), ['abc', 'd', '']);
});

test('a log is read on from a file that replaced it', async () => {
  const file = join(dir, '0.log');
  writeFileSync(file, 'one\ntwo\n');
  let running = true;
  let text = '';
  for await (const chunk of readLog({ file, tailLines: 1, running: () => running, signal: AbortSignal.timeout(10_000) })) {
    text += chunk.toString();
    if (text === 'two\n') {
      renameSync(file, `${file}.1`);
      writeFileSync(file, 'three\n');
    }
    if (text.endsWith('three\n')) running = false;
  }
  assert.is(text, 'two\nthree\n');
});

test('what is written after the end was taken is read, however late the reading begins', async () => {
  const file = join(dir, 'attached.log');
  assert.is(await logEnd(file), 0);
  writeFileSync(file, 'before\n');
  const offset = await logEnd(file);
  writeFileSync(file, 'before\nanswer\n');
  let text = '';
  for await (const chunk of readLog({ file, tailLines: { offset }, signal: AbortSignal.timeout(10_000) }))
    text += chunk.toString();
  assert.is(text, 'answer\n');
});

test('files of a volume change all at once, and stay untouched when nothing changed', async () => {
  const file = (text: string, mode = 0o644) => ({ data: Buffer.from(text), mode });
  const write = (files: [string, ReturnType<typeof file>][]) =>
    writeVolume({ dir, files: new Map(files), group: undefined, nowMs: 0 });
  assert.ok(
    await write([
      ['a', file('1')],
      ['deep/b', file('2', 0o400)],
    ]),
  );
  const first = readlinkSync(join(dir, '..data'));
  assert.is(readFileSync(join(dir, 'deep', 'b'), 'utf8'), '2');
  assert.is(statSync(join(dir, 'deep', 'b')).mode & 0o777, 0o400);
  assert.not.ok(
    await write([
      ['a', file('1')],
      ['deep/b', file('2', 0o400)],
    ]),
  );
  assert.is(readlinkSync(join(dir, '..data')), first);
  assert.ok(await write([['c', file('3')]]));
  assert.equal(
    readdirSync(dir).filter((name) => !name.startsWith('..')),
    ['c'],
  );
  assert.is(readdirSync(dir).filter((name) => name.startsWith('..')).length, 2);
});

test('mount points below a folder are found deepest first', () => {
  const table = ['/a', '/a/b', '/a/b/c', '/ab', '/a/with\\040space']
    .map((point, index) => `${index} 1 0:1 / ${point} rw - tmpfs x rw`)
    .join('\n');
  assert.equal(mountPointsBelow(table, '/a'), ['/a/b/c', '/a/with space', '/a/b', '/a']);
});

test('links inside a root never lead out of it', async () => {
  mkdirSync(join(dir, 'etc'));
  symlinkSync('/etc/real', join(dir, 'etc', 'absolute'));
  symlinkSync('../../../../etc/real', join(dir, 'etc', 'climbing'));
  symlinkSync('loop', join(dir, 'loop'));
  assert.is(await resolveInRoot(dir, '/etc/absolute'), join(dir, 'etc', 'real'));
  assert.is(await resolveInRoot(dir, 'etc/climbing'), join(dir, 'etc', 'real'));
  let code: unknown;
  await resolveInRoot(dir, '/loop').catch((error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  assert.is(code, 'ELOOP');
});

test('a record that is torn or foreign is reported, not guessed', async () => {
  const { state } = podPaths(dir, 'u');
  assert.is(await readRecord(state), undefined);
  mkdirSync(join(dir, 'pods', 'u'), { recursive: true });
  for (const text of ['{"version":1,', '{"version":2,"pod":{"metadata":{"uid":"u"}}}']) {
    writeFileSync(state, text);
    let code: unknown;
    await readRecord(state).catch((error: { code: string }) => {
      code = error.code;
    });
    assert.is(code, 'CorruptState');
  }
});

test.run();
