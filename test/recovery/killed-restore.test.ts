/** A restore that is killed leaves no cluster or the complete one, and can be repeated. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { restoreSnapshot } from '../../src/node/recovery/restore.ts';
import { finishStaging } from '../../src/node/recovery/staging.ts';
import { Store } from '../../src/store/index.ts';
import { clusterRecords, codeOf, configOf, put, snapshotPieces, withFolder, write } from './cluster-files.ts';

const program = fileURLToPath(new URL('./killed-restore.ts', import.meta.url));
/** Killed as soon as this is there, below the data folder; wherever it has come to by then. */
const moments = ['recovery.new', 'recovery.new/store', 'recovery.new/raft', 'recovery.new/plan.json', 'recovery.ready', 'raft'];

function killedAt(file: string, dir: string, moment: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, file, dir], { stdio: 'inherit' });
    child.on('error', reject);
    child.on('close', () => {
      ended = true;
      resolve();
    });
    let ended = false;
    const look = () => {
      if (ended) return;
      if (existsSync(join(dir, moment))) child.kill('SIGKILL');
      else setImmediate(look);
    };
    look();
  });
}

test('killed at any moment: all or nothing', async () => {
  const entries = [write(1, 1, clusterRecords('old', ['one']))];
  for (let n = 2; n < 30; n++) entries.push(write(n, 1, [put(`/registry/core/configmaps/default/c${n}`, 'x'.repeat(100_000))]));
  const bytes = Buffer.concat(await snapshotPieces(entries));
  for (const moment of moments) {
    await withFolder(async (folder) => {
      const [file, dir] = [join(folder, 'snapshot'), join(folder, 'data')];
      writeFileSync(file, bytes);
      await killedAt(file, dir, moment);
      // What the daemon does first at its next start.
      finishStaging(dir);
      const there = readdirSync(dir).filter((name) => name !== 'run');
      if (there.length > 0) {
        assert.equal(there.sort(), ['identity.json', 'members.json', 'raft', 'store'], moment);
        assert.is(await codeOf(restoreSnapshot(configOf(dir, 'fresh'), file)), 'AlreadyMember', moment);
      } else {
        await restoreSnapshot(configOf(dir, 'fresh'), file);
      }
      const store = await Store.open({ dir: join(dir, 'store') });
      assert.is(store.list('/registry/core/configmaps/').records.length, 29, moment);
      await store.close();
    });
  }
});

test.run();
