/**
 * LevelDB forgives a damaged record in its write-ahead log: it drops that record and the rest of its block and opens, which
 * would take confirmed entries for never written. So the log is checked before LevelDB sees it. Every write of ours is synced
 * before the next one begins; hence only the last one can be torn, and a bad record with the beginning of another write behind
 * it is rot. Format: doc/log_format.md of LevelDB.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConsensusError } from './errors.ts';

const blockBytes = 32 << 10;
const headerBytes = 7;
const [full, first, last] = [1, 2, 4];

// CRC-32C (Castagnoli), reflected; zlib has only the other polynomial.
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}

/** Checksums are stored rotated and shifted, because a checksum over data with checksums in it is weak. */
const masked = (crc: number) => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

/** The offset of a bad record that cannot be the torn end of the log; undefined: there is none. */
export function findRot(log: Buffer): number | undefined {
  let bad: number | undefined;
  let at = 0;
  while (at + headerBytes <= log.length) {
    const blockEnd = (Math.floor(at / blockBytes) + 1) * blockBytes;
    if (blockEnd - at < headerBytes) {
      at = blockEnd;
      continue;
    }
    const type = log[at + 6]!;
    const end = at + headerBytes + log.readUInt16LE(at + 4);
    const fits = end <= blockEnd && end <= log.length;
    const good = fits && type >= full && type <= last && log.readUInt32LE(at) === masked(crc32c(log.subarray(at + 6, end)));
    if (!good) bad ??= at;
    else if (bad !== undefined && (type === full || type === first)) return bad;
    at = fits ? end : blockEnd;
  }
  return undefined;
}

/** Throws ConsensusError 'LogCorrupt' when a write-ahead log in the database's folder is rotten. A missing folder is fine. */
export async function checkWriteAheadLogs(folder: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new ConsensusError('StorageFailed', `the log in ${folder} cannot be read`, { folder }, error);
  }
  for (const name of names.filter((each) => each.endsWith('.log'))) {
    const file = join(folder, name);
    const offset = findRot(await readFile(file));
    if (offset === undefined) continue;
    const problem = `bad record at byte ${offset} of the write-ahead log, before intact ones`;
    throw new ConsensusError('LogCorrupt', `the log on disk is damaged: ${problem}`, { problem, file, offset });
  }
}
