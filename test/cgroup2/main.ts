/** `npm run test:cgroup2` after scripts/test-cgroup2.sh has brought the emulator: boots the machine and counts what its guest says. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorMessage } from '../../src/lib/errors.ts';
import { runInMachine } from './machine.ts';

/** Emulation is slow, and much slower where others work. */
const minutesMax = 15;

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(`${name} came`)));
const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(minutesMax * 60_000)]);
const folder = mkdtempSync(join(tmpdir(), 'kontiki-emulated-'));
let passed = 0;
let failed = 0;
let ended = false;
try {
  await runInMachine('test/cgroup2/guest.ts', folder, signal, (line) => {
    console.log(line);
    if (line.startsWith('ok   ')) passed++;
    if (line.startsWith('FAIL ')) failed++;
    if (line === 'guest ended with 0') ended = true;
  });
} catch (error) {
  console.log(`FAIL the machine: ${errorMessage(error)}`);
  failed++;
} finally {
  rmSync(folder, { recursive: true });
}
if (!ended && failed === 0) {
  console.log('FAIL the machine did not come to the end of its checks');
  failed++;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
