import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig, pathsOf } from '../../src/node/config.ts';
import { resetMachine } from '../../src/node/machine-reset.ts';

for (const command of ['up', 'restore', 'recover']) {
  test(`a machine on which kontiki ${command} works is not reset, and is once that has ended`, async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'ktk-reset-'));
    const config = parseConfig(`{dataDir: ${dataDir}, agent: {cgroupRoot: kontiki-reset-test-${process.pid}}}`, 'test');
    const { run, lock } = pathsOf(dataDir);
    mkdirSync(run);
    const holder = spawn('sh', ['-c', 'echo on; read line', 'kontiki', command], { stdio: ['pipe', 'pipe', 'ignore'] });
    try {
      await once(holder.stdout, 'data');
      writeFileSync(lock, String(holder.pid));
      const refusal = await resetMachine(config).catch((error: Error) => error.message);
      assert.is(refusal, `kontiki ${command} already runs here (process ${holder.pid}); stop it first: kill ${holder.pid}`);
      assert.ok(existsSync(lock));
      const ended = once(holder, 'exit');
      holder.stdin.end('\n');
      await ended;
      await resetMachine(config);
      assert.not.ok(existsSync(dataDir));
    } finally {
      holder.kill('SIGKILL');
      rmSync(dataDir, { recursive: true, force: true });
    }
  });
}

test.run();
