import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type LabPeer, pidOf } from '../../src/cli/lab/state.ts';

const folder = mkdtempSync(join(tmpdir(), 'kontiki-lab-state-'));
const peer: LabPeer = {
  number: 1,
  name: 'peer-1',
  dataDir: folder,
  configFile: join(folder, 'config.yaml'),
  logFile: join(folder, 'log'),
  pidFile: join(folder, 'pid'),
  localPort: 0,
};
test.after(() => rmSync(folder, { recursive: true }));

const written = (pid: number | undefined) => writeFileSync(peer.pidFile, String(pid));

test('a daemon runs at every moment while it replaces one program by the next, and not when it has ended', async () => {
  let looks = 0;
  for (let round = 0; round < 20; round++) {
    // Each shell becomes the next: in between there is no command line to see.
    const chain = 'n=$1; [ $n = 0 ] && exec sleep 60; exec sh -c "$0" "$0" $((n - 1)) "$2"';
    const child = spawn('sh', ['-c', chain, chain, '10', peer.configFile], { stdio: 'ignore' });
    written(child.pid);
    // The sleep at the end no longer names the configuration: until then it must have been seen at every look.
    const looksMax = looks + 100_000;
    while (pidOf(peer) === child.pid && looks < looksMax) looks++;
    const { stdout } = spawn('ps', ['-o', 'args=', '-p', String(child.pid)], { stdio: ['ignore', 'pipe', 'ignore'] });
    let args = '';
    for await (const chunk of stdout) args += chunk;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    assert.match(args, 'sleep 60');
    assert.is(pidOf(peer), undefined);
  }
  // On a busy machine a round may be over before the first look, but not each of them.
  assert.ok(looks > 0);
});

test('a number that another program has now is not the daemon', () => {
  written(process.pid);
  assert.is(pidOf(peer), undefined);
  rmSync(peer.pidFile);
  assert.is(pidOf(peer), undefined);
});

test.run();
