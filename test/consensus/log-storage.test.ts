import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { emptyState } from '../../src/consensus/core.ts';
import {
  ConsensusError,
  type Entry,
  LevelLogStorage,
  type LogBatch,
  type SnapshotMeta,
  type StoredLog,
} from '../../src/consensus/index.ts';
import { mergeBatches, settleRestore, storedAfter } from '../../src/consensus/log-batch.ts';
import { seededRandom } from '../../src/lib/random.ts';

const folders: string[] = [];
async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'kontiki-log-'));
  folders.push(made);
  return made;
}
test.after.each(async () => {
  for (const each of folders.splice(0)) await rm(each, { recursive: true });
});

const members = { voters: ['a', 'b'], votersOutgoing: [], learners: ['c'] };
const hard = (term: number, commit = 0) => ({ term, vote: 'a', commit });
const entry = (index: number, term: number, data = `${index}/${term}`): Entry => ({
  index,
  term,
  kind: 'normal',
  data: new Uint8Array(Buffer.from(data)),
});
const entries = (from: number, to: number, term: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => entry(from + n, term));
const meta = (index: number, term: number): SnapshotMeta => ({ index, term, membership: members });

async function written(path: string, ...batches: LogBatch[]): Promise<void> {
  const storage = await LevelLogStorage.open(path);
  await storage.load();
  for (const batch of batches) await storage.write(batch);
  await storage.close();
}

async function loaded(path: string): Promise<StoredLog | undefined> {
  const storage = await LevelLogStorage.open(path);
  try {
    return await storage.load();
  } finally {
    await storage.close();
  }
}

/** Changes the database behind the storage's back. */
async function damage(path: string, how: (db: Level<Buffer, Buffer>) => Promise<void>): Promise<void> {
  const db = new Level<Buffer, Buffer>(path, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
  await how(db);
  await db.close();
}
const key = (index: number) => Buffer.from(`65${index.toString(16).padStart(16, '0')}`, 'hex');

async function refusal(path: string): Promise<ConsensusError> {
  try {
    await loaded(path);
  } catch (error) {
    if (error instanceof ConsensusError) return error;
    throw error;
  }
  throw new Error('a damaged log was loaded');
}

test('an unused folder holds nothing; what was written is there after a restart', async () => {
  const path = await folder();
  assert.is(await loaded(path), undefined);
  await written(path, { hardState: hard(3, 1), entries: entries(1, 5, 2) }, { hardState: hard(4, 5), entries: [entry(6, 4)] });
  assert.equal(await loaded(path), {
    hardState: hard(4, 5),
    base: { index: 0, term: 0, membership: { voters: [], votersOutgoing: [], learners: [] } },
    entries: [...entries(1, 5, 2), entry(6, 4)],
    restoring: undefined,
  });
});

test('entries that are written again replace all that stood behind them', async () => {
  const path = await folder();
  await written(path, { hardState: hard(1), entries: entries(1, 9, 1) }, { hardState: hard(2), entries: entries(4, 5, 2) });
  assert.equal((await loaded(path))?.entries, [...entries(1, 3, 1), ...entries(4, 5, 2)]);
});

test('compaction drops the beginning and keeps the membership; it goes on after a restart', async () => {
  const path = await folder();
  await written(path, { hardState: hard(1), entries: entries(1, 9, 1) }, { compactTo: meta(4, 1) });
  await written(path, { hardState: hard(1), entries: [entry(10, 1)] }, { compactTo: meta(6, 1) });
  const log = await loaded(path);
  assert.equal(log?.base, meta(6, 1));
  assert.equal(log?.entries, entries(7, 10, 1));
});

test('a snapshot starts the log anew', async () => {
  const path = await folder();
  await written(
    path,
    { hardState: hard(1), entries: entries(1, 9, 1) },
    { restoring: meta(20, 3) },
    { hardState: hard(3, 20), snapshot: meta(20, 3), restoring: null },
    { hardState: hard(3, 20), entries: [entry(21, 3)] },
  );
  assert.equal(await loaded(path), { hardState: hard(3, 20), base: meta(20, 3), entries: [entry(21, 3)], restoring: undefined });
});

test('a rotten entry is refused and named', async () => {
  const path = await folder();
  await written(path, { hardState: hard(1), entries: entries(1, 9, 1) });
  await damage(path, async (db) => {
    const record = Buffer.from((await db.get(key(4)))!);
    record[record.length - 1]! ^= 1;
    await db.put(key(4), record);
  });
  const error = await refusal(path);
  assert.is(error.code, 'LogCorrupt');
  assert.equal(error.fields, { problem: 'checksum mismatch', index: 4 });
});

test('a torn entry is refused and named', async () => {
  const path = await folder();
  await written(path, { hardState: hard(1), entries: entries(1, 9, 1) });
  await damage(path, async (db) => db.put(key(9), (await db.get(key(9)))!.subarray(0, 7)));
  assert.equal((await refusal(path)).fields, { problem: 'record too short', index: 9, bytes: 7 });
});

test('an entry under the key of another one is refused', async () => {
  const path = await folder();
  await written(path, { hardState: hard(1), entries: entries(1, 9, 1) });
  await damage(path, async (db) => db.put(key(5), (await db.get(key(6)))!));
  assert.equal((await refusal(path)).fields, { problem: 'checksum mismatch', index: 5 });
});

test('missing entries are refused, in the middle and at the end', async () => {
  const path = await folder();
  await written(path, { hardState: hard(1), entries: entries(1, 9, 1) });
  await damage(path, (db) => db.del(key(9)));
  assert.match((await refusal(path)).message, 'the log ends here but was written up to 9');
  await damage(path, (db) => db.del(key(3)));
  assert.match((await refusal(path)).message, 'entry 3: entries 3 to 3 are missing');
});

test('a rotten or missing state record is refused', async () => {
  const path = await folder();
  await written(path, { hardState: hard(1), entries: entries(1, 2, 1) });
  await damage(path, (db) => db.put(Buffer.from('state'), Buffer.from('nonsense')));
  assert.is((await refusal(path)).fields.record, 'state');
  await damage(path, (db) => db.del(Buffer.from('state')));
  assert.match((await refusal(path)).message, 'an entry without a state record');
});

/** The file into which LevelDB writes first. */
async function writeAheadLog(path: string): Promise<string> {
  const name = (await readdir(path)).find((each) => each.endsWith('.log'));
  return join(path, name!);
}

test('rot in the middle of the write-ahead log is refused, wherever it is', async () => {
  const large = entry(7, 1, 'z'.repeat(100_000));
  const batches = [
    { hardState: hard(1), entries: entries(1, 3, 1) },
    { entries: entries(4, 6, 1) },
    { entries: [large] },
    { entries: [entry(8, 1)] },
  ];
  for (const offset of [0, 5, 20, 300, 40_000]) {
    const path = await folder();
    await written(path, ...batches);
    const file = await writeAheadLog(path);
    const bytes = await readFile(file);
    bytes[offset]! ^= 4;
    await writeFile(file, bytes);
    const error = await refusal(path);
    assert.is(error.code, 'LogCorrupt', `at ${offset}`);
    assert.match(error.message, 'write-ahead log');
  }
});

test('a rotten log is left alone: LevelDB, which would drop the rot and go on, never sees it', async () => {
  const path = await folder();
  await written(path, { hardState: hard(1), entries: entries(1, 3, 1) }, { entries: entries(4, 6, 1) });
  const file = await writeAheadLog(path);
  const bytes = await readFile(file);
  bytes[20]! ^= 4;
  await writeFile(file, bytes);
  await refusal(path);
  // Would fail on LevelDB's lock if the refused storage had begun to open it.
  await damage(path, async (db) => db.open());
});

test('a write that was torn by a power failure is not there, what was confirmed before is', async () => {
  const path = await folder();
  await written(
    path,
    { hardState: hard(1), entries: entries(1, 3, 1) },
    { hardState: hard(2), entries: [entry(4, 2, 'q'.repeat(50_000))] },
  );
  const file = await writeAheadLog(path);
  await truncate(file, (await readFile(file)).length - 10);
  const log = await loaded(path);
  assert.equal(log?.entries, entries(1, 3, 1));
  assert.is(log?.hardState.term, 1);
});

test('a folder that cannot be a database is a storage error', async () => {
  try {
    await LevelLogStorage.open('/dev/null/log');
    assert.unreachable();
  } catch (error) {
    assert.is((error as ConsensusError).code, 'StorageFailed');
  }
});

/** A random batch that could follow on `log`. */
function randomBatch(log: StoredLog, random: ReturnType<typeof seededRandom>): LogBatch {
  const last = log.base.index + log.entries.length;
  const term = log.hardState.term + random.int(2);
  const choice = random.int(10);
  if (choice === 0)
    return {
      hardState: hard(term, last + 5),
      snapshot: meta(last + 5, term),
      restoring: null,
      entries: random.int(2) ? [] : entries(last + 6, last + 8, term),
    };
  if (choice === 1) return { restoring: random.int(2) ? meta(last + 5, term) : null };
  if (choice <= 3 && log.entries.length > 0) {
    const at = log.entries[random.int(log.entries.length)]!;
    return { compactTo: meta(at.index, at.term) };
  }
  const from = log.base.index + 1 + random.int(log.entries.length + 1);
  return { hardState: hard(term, log.base.index), entries: entries(from, from + random.int(5), term) };
}

test('the database does what the model of a batch says, merged or one by one, across restarts', async () => {
  for (const seed of [1, 2, 3, 4]) {
    const random = seededRandom(seed);
    const [single, merged] = [await folder(), await folder()];
    let model: StoredLog = { ...emptyState(), restoring: undefined };
    for (let round = 0; round < 15; round++) {
      const batches: LogBatch[] = [];
      for (let n = 0; n <= random.int(4); n++) {
        const batch = randomBatch(model, random);
        batches.push(batch);
        model = storedAfter(model, batch);
      }
      await written(single, ...batches);
      await written(merged, batches.reduce(mergeBatches));
      assert.equal(await loaded(single), model, `seed ${seed} round ${round}`);
      assert.equal(await loaded(merged), model, `merged, seed ${seed} round ${round}`);
    }
  }
});

test('a restore that was under way in a crash is settled by what the state machine holds', () => {
  const log: StoredLog = { hardState: hard(2, 3), base: meta(0, 0), entries: entries(1, 5, 2), restoring: meta(20, 3) };
  assert.is(settleRestore({ ...log, restoring: undefined }, { index: 3, term: 2 }), undefined);
  assert.equal(settleRestore(log, { index: 3, term: 2 }), { restoring: null });
  assert.equal(settleRestore({ ...log, restoring: meta(4, 2) }, { index: 4, term: 2 }), { restoring: null });
  assert.equal(settleRestore(log, { index: 20, term: 3 }), {
    hardState: { term: 3, vote: undefined, commit: 20 },
    snapshot: meta(20, 3),
    restoring: null,
  });
});

test.run();
