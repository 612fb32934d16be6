/**
 * The log on disk, in LevelDB: one record for each entry and one for all the rest (term, vote, commit, base, last entry). Every
 * record carries a CRC32 over its key and content. A batch is atomic and fsynced, so a torn batch at the end is simply not
 * there; what is there must fit together exactly, or opening fails and says what is wrong: a rotten entry is never taken for a
 * short log.
 */
import { crc32 } from 'node:zlib';
import { Level } from 'level';
import { Packr } from 'msgpackr';
import { errorMessage } from '../lib/errors.ts';
import { isRot } from '../lib/rot.ts';
import { ConsensusError } from './errors.ts';
import type { LogBatch, LogStorage, StoredLog } from './log-batch.ts';
import { checkedMembership, noMembers } from './membership.ts';
import type { HardState } from './ready.ts';
import type { Entry, SnapshotMeta } from './types.ts';
import { checkWriteAheadLogs } from './write-ahead-log.ts';

/** The record of all but the entries. `lastIndex` and `lastTerm` tell whether an entry at the end has vanished. */
interface StateRecord {
  hardState: HardState;
  base: SnapshotMeta;
  lastIndex: number;
  lastTerm: number;
  restoring: SnapshotMeta | undefined;
}

const packr = new Packr({ useRecords: false });
const kinds: readonly Entry['kind'][] = ['normal', 'membership', 'empty'];
const stateKey = Buffer.from('state');
const entryPrefix = 'e'.charCodeAt(0);
/** CRC32, term as a 64-bit number, kind. */
const entryHeaderBytes = 13;

function entryKey(index: number): Buffer {
  const key = Buffer.alloc(9);
  key[0] = entryPrefix;
  key.writeBigUInt64BE(BigInt(index), 1);
  return key;
}

function encodeEntry(key: Buffer, entry: Entry): Buffer {
  const record = Buffer.allocUnsafe(entryHeaderBytes + entry.data.byteLength);
  record.writeBigUInt64BE(BigInt(entry.term), 4);
  record[12] = kinds.indexOf(entry.kind);
  record.set(entry.data, entryHeaderBytes);
  record.writeUInt32BE(crc32(record.subarray(4), crc32(key)), 0);
  return record;
}

function corrupt(problem: string, fields: Record<string, unknown>): ConsensusError {
  const where = 'index' in fields ? `entry ${fields.index}: ` : '';
  return new ConsensusError('LogCorrupt', `the log on disk is damaged: ${where}${problem}`, { problem, ...fields });
}

function decodeEntry(key: Buffer, record: Buffer): Entry {
  const index = Number(key.readBigUInt64BE(1));
  if (record.length < entryHeaderBytes) throw corrupt('record too short', { index, bytes: record.length });
  if (record.readUInt32BE(0) !== crc32(record.subarray(4), crc32(key))) throw corrupt('checksum mismatch', { index });
  const kind = kinds[record[12]!];
  if (!kind) throw corrupt('unknown kind', { index, kind: record[12] });
  return { index, term: Number(record.readBigUInt64BE(4)), kind, data: new Uint8Array(record.subarray(entryHeaderBytes)) };
}

function encodeState(state: StateRecord): Buffer {
  const content = packr.pack(state);
  const record = Buffer.allocUnsafe(4 + content.length);
  record.set(content, 4);
  record.writeUInt32BE(crc32(content, crc32(stateKey)), 0);
  return record;
}

function decodeState(record: Buffer): StateRecord {
  const content = record.subarray(4);
  if (record.length < 4 || record.readUInt32BE(0) !== crc32(content, crc32(stateKey)))
    throw corrupt('checksum mismatch', { record: 'state' });
  const state = packr.unpack(content) as StateRecord;
  state.base.membership = checkedMembership(state.base.membership);
  return {
    ...state,
    hardState: { ...state.hardState, vote: state.hardState.vote ?? undefined },
    restoring: state.restoring ?? undefined,
  };
}

const isEntryKey = (key: Buffer) => key.length === 9 && key[0] === entryPrefix;

export class LevelLogStorage implements LogStorage {
  readonly #db: Level<Buffer, Buffer>;
  #state: StateRecord = {
    hardState: { term: 0, vote: undefined, commit: 0 },
    base: { index: 0, term: 0, membership: noMembers },
    lastIndex: 0,
    lastTerm: 0,
    restoring: undefined,
  };

  private constructor(db: Level<Buffer, Buffer>) {
    this.#db = db;
  }

  /** Opens or creates the database in a folder of its own. Throws ConsensusError 'StorageFailed' or 'LogCorrupt'. */
  static async open(folder: string): Promise<LevelLogStorage> {
    try {
      await checkWriteAheadLogs(folder);
      // Not before: a Level begins to open by itself as soon as it is made, and would drop the rot, or the log under the check.
      const db = new Level<Buffer, Buffer>(folder, { keyEncoding: 'buffer', valueEncoding: 'buffer', cacheSize: 1 << 20 });
      await db.open();
      return new LevelLogStorage(db);
    } catch (error) {
      if (error instanceof ConsensusError) throw error;
      const reason = error instanceof Error && error.cause !== undefined ? error.cause : error;
      const code = isRot(reason) ? 'LogCorrupt' : 'StorageFailed';
      throw new ConsensusError(code, `the log in ${folder} cannot be opened: ${errorMessage(reason)}`, { folder }, error);
    }
  }

  async load(): Promise<StoredLog | undefined> {
    const entries: Entry[] = [];
    let record: Buffer | undefined;
    try {
      record = await this.#db.get(stateKey);
      if (record) this.#state = decodeState(record);
      for await (const [key, value] of this.#db.iterator({
        gte: Buffer.from([entryPrefix]),
        lt: Buffer.from([entryPrefix + 1]),
      })) {
        if (!isEntryKey(key)) throw corrupt('unknown key', { key: key.toString('hex') });
        if (!record) throw corrupt('an entry without a state record', { index: Number(key.readBigUInt64BE(1)) });
        entries.push(this.#checked(decodeEntry(key, value), entries.at(-1)));
      }
    } catch (error) {
      if (error instanceof ConsensusError) throw error;
      throw new ConsensusError('LogCorrupt', `the log on disk cannot be read: ${errorMessage(error)}`, {}, error);
    }
    if (!record) return undefined;
    const { hardState, base, lastIndex, lastTerm, restoring } = this.#state;
    const last = entries.at(-1) ?? base;
    if (last.index !== lastIndex)
      throw corrupt(`the log ends here but was written up to ${lastIndex}`, { index: last.index, lastIndex });
    if (last.term !== lastTerm) throw corrupt(`term ${last.term} but written with term ${lastTerm}`, { index: last.index });
    if (hardState.commit > lastIndex) throw corrupt(`commit ${hardState.commit} is past the last entry`, { index: lastIndex });
    return { hardState, base, entries, restoring };
  }

  #checked(entry: Entry, previous: Entry | undefined): Entry {
    const { index, term } = previous ?? this.#state.base;
    if (entry.index !== index + 1)
      throw corrupt(`entries ${index + 1} to ${entry.index - 1} are missing`, { index: index + 1, found: entry.index });
    if (entry.term < term) throw corrupt(`term ${entry.term} after term ${term}`, { index: entry.index });
    return entry;
  }

  async write(batch: LogBatch): Promise<void> {
    const operations: ({ type: 'put'; key: Buffer; value: Buffer } | { type: 'del'; key: Buffer })[] = [];
    const next = { ...this.#state, hardState: batch.hardState ?? this.#state.hardState };
    const dropFrom = (index: number) => {
      for (let each = index; each <= next.lastIndex; each++) operations.push({ type: 'del', key: entryKey(each) });
    };
    if (batch.snapshot) {
      dropFrom(next.base.index + 1);
      Object.assign(next, { base: batch.snapshot, lastIndex: batch.snapshot.index, lastTerm: batch.snapshot.term });
    }
    const last = batch.entries?.at(-1);
    if (batch.entries && last) {
      dropFrom(last.index + 1);
      for (const entry of batch.entries) {
        const key = entryKey(entry.index);
        operations.push({ type: 'put', key, value: encodeEntry(key, entry) });
      }
      Object.assign(next, { lastIndex: last.index, lastTerm: last.term });
    }
    if (batch.compactTo) {
      for (let each = next.base.index + 1; each <= batch.compactTo.index; each++)
        operations.push({ type: 'del', key: entryKey(each) });
      next.base = batch.compactTo;
    }
    if (batch.restoring !== undefined) next.restoring = batch.restoring ?? undefined;
    operations.push({ type: 'put', key: stateKey, value: encodeState(next) });
    try {
      await this.#db.batch(operations, { sync: true });
      this.#state = next;
    } catch (error) {
      throw new ConsensusError('StorageFailed', `the log could not be written: ${errorMessage(error)}`, {}, error);
    }
  }

  async close(): Promise<void> {
    await this.#db.close();
  }
}
