/** Files are replaced as a whole: whatever the moment of a crash, the next start finds the old ones or the new ones. */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { abandonStaging, beginStaging, commitStaging, finishStaging, stagedPieces } from '../../src/node/recovery/staging.ts';
import { codeOf, withFolder } from './cluster-files.ts';

function fill(folder: string, content: string): void {
  for (const piece of ['raft', 'store']) {
    mkdirSync(join(folder, piece), { recursive: true });
    writeFileSync(join(folder, piece, 'file'), content);
  }
  for (const piece of ['members.json', 'identity.json']) writeFileSync(join(folder, piece), content);
}

function contents(folder: string): string[] {
  return stagedPieces.map((piece) => {
    const path = join(folder, piece.endsWith('.json') ? piece : `${piece}/file`);
    return existsSync(path) ? readFileSync(path, 'utf8') : '-';
  });
}

const all = (content: string) => stagedPieces.map(() => content);

test('a commit puts the new files in place and keeps the old ones beside', async () => {
  await withFolder(async (dir) => {
    fill(dir, 'old');
    fill(beginStaging(dir), 'new');
    assert.is(commitStaging(dir, 'replaced-1'), join(dir, 'replaced-1'));
    assert.equal(contents(dir), all('new'));
    assert.equal(contents(join(dir, 'replaced-1')), all('old'));
    assert.is(finishStaging(dir), undefined);
    fill(beginStaging(dir), 'newer');
    commitStaging(dir, 'replaced-2');
    assert.equal(contents(join(dir, 'replaced-1')), all('old'));
    assert.equal(contents(join(dir, 'replaced-2')), all('new'));
  });
});

test('what was not committed is gone at the next attempt, and the old files stand', async () => {
  await withFolder(async (dir) => {
    fill(dir, 'old');
    fill(beginStaging(dir), 'half');
    finishStaging(dir);
    assert.equal(contents(dir), all('old'));
    assert.equal(contents(beginStaging(dir)), all('-'));
    abandonStaging(dir);
    assert.not.ok(existsSync(join(dir, 'recovery.new')));
    assert.throws(() => {
      fill(beginStaging(dir), 'new');
      rmSync(join(dir, 'recovery.new/identity.json'));
      commitStaging(dir, 'replaced');
    }, /identity.json is missing/);
    assert.equal(contents(dir), all('old'));
  });
});

/** The renames of a commit of all pieces over old ones, and its clean-up; a crash may fall behind any of them. */
const steps = stagedPieces.flatMap((piece) => [
  (dir: string) => {
    mkdirSync(join(dir, 'replaced'), { recursive: true });
    renameSync(join(dir, piece), join(dir, 'replaced', piece));
  },
  (dir: string) => renameSync(join(dir, 'recovery.ready', piece), join(dir, piece)),
]);
steps.push((dir) => rmSync(join(dir, 'recovery.ready/plan.json')));

test('a commit that was interrupted at any step is finished by the next start', async () => {
  for (let done = 0; done <= steps.length; done++) {
    await withFolder(async (dir) => {
      fill(dir, 'old');
      fill(beginStaging(dir), 'new');
      writeFileSync(join(dir, 'recovery.new/plan.json'), JSON.stringify({ replaced: 'replaced' }));
      renameSync(join(dir, 'recovery.new'), join(dir, 'recovery.ready'));
      for (const step of steps.slice(0, done)) step(dir);
      finishStaging(dir);
      assert.equal(contents(dir), all('new'), `after ${done} steps`);
      assert.equal(contents(join(dir, 'replaced')), all('old'), `after ${done} steps`);
      assert.not.ok(existsSync(join(dir, 'recovery.ready')));
    });
  }
});

test('files that somebody else made meanwhile are not overwritten', async () => {
  await withFolder(async (dir) => {
    fill(dir, 'old');
    fill(beginStaging(dir), 'new');
    writeFileSync(join(dir, 'recovery.new/plan.json'), JSON.stringify({ replaced: 'replaced' }));
    renameSync(join(dir, 'recovery.new'), join(dir, 'recovery.ready'));
    steps[0]!(dir);
    cpSync(join(dir, 'replaced/raft'), join(dir, 'raft'), { recursive: true });
    assert.is(await codeOf(Promise.resolve().then(() => finishStaging(dir))), 'StagingBroken');
    assert.is(readFileSync(join(dir, 'raft/file'), 'utf8'), 'old');
  });
});

test.run();
