/** The audit log's file: whole lines, set aside when full, what is too much is deleted, what is lost is counted. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../src/lib/logger.ts';
import { AuditLog } from '../../src/node/audit-log.ts';
import { ManualClock } from '../client/manual-clock.ts';

const test = suite('audit log');
let folder = '';
test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'al-'));
});
test.after.each(() => rmSync(folder, { recursive: true }));

const event = (number: number, filler = '') =>
  ({ kind: 'Event', apiVersion: 'audit.k8s.io/v1', stage: 'ResponseComplete', number, filler }) as const;
const logIn = (file: string, more = {}) => {
  const clock = new ManualClock();
  const log = new AuditLog({ file, maxSizeMiB: 1, maxBackups: 2, maxAgeDays: 7, clock, logger: silentLogger, ...more });
  return { log, clock };
};
const numbersIn = (file: string) =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { number: number }).number);

test('every event is a line, in order, in a file that only its owner reads', async () => {
  const file = join(folder, 'below', 'audit.log');
  const { log } = logIn(file);
  for (let number = 0; number < 100; number++) {
    log.record(event(number));
    if (number % 10 === 0) await log.flush();
  }
  await log.flush();
  assert.equal(
    numbersIn(file),
    Array.from({ length: 100 }, (_, number) => number),
  );
  assert.is(statSync(file).mode & 0o777, 0o600);
  assert.is(log.lost, 0);
});

test('full files are set aside, and the oldest deleted by number and by age', async () => {
  const file = join(folder, 'audit.log');
  const { log, clock } = logIn(file);
  const filler = 'x'.repeat(600 * 1024);
  for (let number = 0; number < 5; number++) {
    log.record(event(number, filler));
    await log.flush();
  }
  const backups = () => readdirSync(folder).filter((name) => name !== 'audit.log');
  assert.is(backups().length, 2);
  assert.equal(numbersIn(file), [4]);
  assert.equal(
    backups()
      .sort()
      .flatMap((name) => numbersIn(join(folder, name))),
    [2, 3],
  );
  await clock.advance(8 * 86_400_000);
  log.record(event(5, filler));
  await log.flush();
  assert.equal(
    backups().flatMap((name) => numbersIn(join(folder, name))),
    [4],
  );
});

test('what does not fit in the queue, and what the disk refuses, is counted', async () => {
  const file = join(folder, 'audit.log');
  const { log } = logIn(file);
  for (let number = 0; number < 10_050; number++) log.record(event(number));
  assert.is(log.lost, 50);
  await log.flush();
  assert.is(numbersIn(file).length, 10_000);
  const folderInstead = join(folder, 'folder');
  mkdirSync(folderInstead);
  const refused = logIn(folderInstead).log;
  refused.record(event(1));
  await refused.flush();
  assert.is(refused.lost, 1);
});

test.run();
