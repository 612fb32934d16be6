import { readFile } from 'node:fs/promises';
import { release, tmpdir, totalmem } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cpuTicks, osName, readMachine } from '../../src/agent/host/machine.ts';

test('capacity and facts come from this machine', async () => {
  const machine = await readMachine({ dataDir: tmpdir(), podsMax: 110 });
  assert.is(machine.capacity.memoryBytes, totalmem());
  assert.is(machine.capacity.pods, 110);
  assert.ok(machine.capacity.cpuMilli >= 1_000 && machine.capacity.ephemeralStorageBytes > 0);
  assert.is(machine.kernelVersion, release());
  assert.is(machine.bootId, (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim());
  assert.match(machine.bootId, /^[0-9a-f-]{36}$/);
});

test('several nodes on one machine each say the part they were given', async () => {
  const machine = await readMachine({ dataDir: tmpdir(), podsMax: 10, capacity: { cpuMilli: 500, memoryBytes: 1e9 } });
  assert.is(machine.capacity.cpuMilli, 500);
  assert.is(machine.capacity.memoryBytes, 1e9);
});

test('usage stays within the machine, call after call', async () => {
  const machine = await readMachine({ dataDir: tmpdir(), podsMax: 110 });
  for (let call = 0; call < 3; call++) {
    const usage = await machine.usage();
    assert.ok(usage.cpuMilli >= 0 && usage.cpuMilli <= 1_000 * 1_024);
    assert.ok(usage.memoryBytes > 0 && usage.memoryBytes < totalmem());
    assert.ok(usage.ephemeralStorageFreeBytes > 0);
  }
});

test('processor time: stolen time is busy, waiting for the disk is idle', () => {
  const stat = 'cpu  10 20 30 400 50 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n';
  assert.equal(cpuTicks(stat), { busy: 81, total: 531 });
});

test('os-release in its three ways of quoting, and absent', () => {
  assert.is(osName('NAME=x\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'), 'Debian GNU/Linux 12 (bookworm)');
  assert.is(osName("PRETTY_NAME='Some Linux'"), 'Some Linux');
  assert.is(osName('PRETTY_NAME=Alpine'), 'Alpine');
  assert.is(osName(''), 'Linux');
});

test.run();
