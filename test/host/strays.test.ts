/** What an executor left behind: commands end, monitors live on, and the successor takes its place. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createCgroups } from '../../src/agent/host/cgroups.ts';
import { argumentsOf, endProcesses, succeedExecutor } from '../../src/agent/host/strays.ts';

test('commands of the one before are ended, monitors are not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kontiki-strays-'));
  const cgroups = await createCgroups({ root: `kontiki-strays-${process.pid}` });
  copyFileSync('/bin/sleep', join(folder, 'conmon'));
  const started = [join(folder, 'conmon'), 'sleep', 'sleep'].map((command) => spawn(command, ['1000'], { stdio: 'ignore' }));
  const [monitor, command, successor] = started as [(typeof started)[0], (typeof started)[0], (typeof started)[0]];
  try {
    await Promise.all(started.map((child) => once(child, 'spawn')));
    for (const child of [monitor, command]) await cgroups.addMonitor(child.pid!);
    const ended = once(command, 'exit');
    await succeedExecutor(cgroups, successor.pid!);
    assert.equal((await ended)[1], 'SIGKILL');
    assert.equal((await cgroups.monitors()).sort(), [monitor.pid, successor.pid].sort());
    assert.equal(await argumentsOf(monitor.pid!), [join(folder, 'conmon'), '1000']);
    await endProcesses(() => cgroups.monitors());
    assert.equal(await cgroups.monitors(), []);
    assert.equal(await argumentsOf(command.pid!), []);
  } finally {
    for (const child of started) child.kill('SIGKILL');
    await cgroups.removeAll();
    rmSync(folder, { recursive: true });
  }
});

test.run();
