/** Saving a snapshot from a running daemon to a file, and checking such a file anywhere. */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import type { Store } from '../../store/index.ts';
import { surveySnapshot } from '../../store/index.ts';
import type { ClusterStore } from '../../store/types.ts';
import { decodeRecord, type MemberRecord, memberPrefix, type SettingsRecord, settingsKey } from '../cluster-records.ts';
import { NodeError } from '../errors.ts';
import { RecoveryError } from './errors.ts';
import { encodeSnapshotFile, readSnapshotFile, type SnapshotFileHeader, snapshotFileFormat } from './snapshot-file.ts';

/** Each holds on to the records that are replaced while it lasts. */
const savesMax = 2;
const readBytes = 1024 * 1024;

export interface SnapshotSourceOptions {
  store: Store;
  cluster: Pick<ClusterStore, 'barrier'>;
  nodeName: string;
  peer: string;
  clock: Clock;
}

/** The daemon's side: the bytes of a snapshot file, as of a moment after the call. */
export class SnapshotSource {
  readonly #options: SnapshotSourceOptions;
  #saves = 0;

  constructor(options: SnapshotSourceOptions) {
    this.#options = options;
  }

  /** Holds every write that was acknowledged before the call. Throws RecoveryError 'Busy', or 503 without a quorum. */
  async open(): Promise<AsyncIterable<Uint8Array>> {
    const { store, cluster } = this.#options;
    if (this.#saves >= savesMax)
      throw new RecoveryError('Busy', `${savesMax} snapshots are being saved already; try again later`);
    this.#saves++;
    try {
      await cluster.barrier();
      // In one turn: the header tells of the same state as the chunks.
      const header = this.#header();
      return this.#counted(encodeSnapshotFile(header, store.snapshot().chunks));
    } catch (error) {
      this.#saves--;
      throw error;
    }
  }

  #header(): SnapshotFileHeader {
    const { store, nodeName, peer, clock } = this.#options;
    const settings = store.get(settingsKey);
    if (!settings) throw new NodeError('NotAMember', 'this machine has not joined its cluster yet');
    return {
      format: snapshotFileFormat,
      clusterId: decodeRecord<SettingsRecord>(settings.value).clusterId,
      revision: store.revision,
      ...store.applied,
      savedAt: new Date(clock.wallMs()).toISOString(),
      nodeName,
      peer,
      members: store.list(memberPrefix).records.map((record) => {
        const { id, nodeName: name, addresses } = decodeRecord<MemberRecord>(record.value);
        return { id, nodeName: name, addresses };
      }),
    };
  }

  /** A save ends when its reader has had everything or went away; a generator that was never begun would not notice the latter. */
  #counted(bytes: AsyncGenerator<Uint8Array>): AsyncIterable<Uint8Array> {
    let ended = false;
    const end = () => {
      if (!ended) this.#saves--;
      ended = true;
    };
    return {
      [Symbol.asyncIterator]: () => ({
        async next() {
          const result = await bytes.next();
          if (result.done) end();
          return result;
        },
        async return() {
          end();
          return bytes.return(undefined);
        },
      }),
    };
  }
}

export interface VerifiedSnapshot {
  file: string;
  bytes: number;
  sha256: string;
  header: SnapshotFileHeader;
  /** All records: Kubernetes objects, and what the cluster keeps about itself. */
  records: number;
  /** Kubernetes objects by kind, as kubectl names it: `pods`, `deployments.apps`. */
  objects: Record<string, number>;
}

/** Reads every byte. Throws what readSnapshotFile throws, and the system's errors. */
export async function verifySnapshotFile(file: string): Promise<VerifiedSnapshot> {
  const objects: Record<string, number> = {};
  let records = 0;
  const { header, bytes, sha256 } = await readSnapshotFile(bytesOf(file), async (claimed, chunks) => {
    const inner = await surveySnapshot(chunks, ({ key }) => {
      records++;
      const kind = kindOf(key);
      if (kind) objects[kind] = (objects[kind] ?? 0) + 1;
    });
    for (const name of ['revision', 'index', 'term'] as const) {
      if (inner[name] === claimed[name]) continue;
      throw new RecoveryError(
        'SnapshotDamaged',
        `the header tells of ${name} ${claimed[name]}, the content is of ${inner[name]}`,
      );
    }
  });
  const sorted = Object.fromEntries(Object.entries(objects).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { file: resolve(file), bytes, sha256, header, records, objects: sorted };
}

export function bytesOf(file: string): AsyncIterable<Uint8Array> {
  return createReadStream(file, { highWaterMark: readBytes }) as AsyncIterable<Uint8Array>;
}

function kindOf(key: string): string | undefined {
  const [, root, group, resource] = key.split('/');
  if (root !== 'registry' || !group || !resource) return undefined;
  return group === 'core' ? resource : `${resource}.${group}`;
}

/**
 * Writes what a daemon sends to a temporary file beside `file`, reads it back and checks it, and only then gives it its name: an
 * older file of that name stands until there is a whole new one. Readable by its owner only: it holds the cluster's keys.
 */
export async function saveSnapshotFile(file: string, bytes: AsyncIterable<Uint8Array>): Promise<VerifiedSnapshot> {
  const temporary = `${file}.${randomBytes(4).toString('hex')}.partial`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      for await (const piece of bytes) await handle.writeFile(piece);
      await handle.sync();
    } finally {
      await handle.close();
    }
    const verified = await verifySnapshotFile(temporary);
    await rename(temporary, file);
    await syncFolder(dirname(resolve(file)));
    return { ...verified, file: resolve(file) };
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
