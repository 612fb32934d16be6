/** Data folders as peers leave them, made without daemons, and snapshot files with a cluster's records in them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Entry, LevelLogStorage, type Membership } from '../../src/consensus/index.ts';
import { parseConfig } from '../../src/node/config.ts';
import { encodeSnapshotFile, type SnapshotFileHeader } from '../../src/node/recovery/snapshot-file.ts';
import { encodeTransaction, type Operation, Store } from '../../src/store/index.ts';

export async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'rec-'));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const configOf = (dataDir: string, nodeName: string) =>
  parseConfig(JSON.stringify({ nodeName, nodeIp: '10.1.0.1', dataDir }), 'a test');

export const json = (value: unknown) => Buffer.from(JSON.stringify(value));
export const put = (key: string, value: unknown = {}): Operation => ({ type: 'put', key, value: json(value) });

/** What a cluster of these machines keeps about itself. */
export function clusterRecords(clusterId: string, members: readonly string[]): Operation[] {
  return [
    put('/kontiki/settings', { clusterId, podCidr: '10.42.0.0/16', serviceCidr: '10.43.0.0/16', nodePorts: { from: 1, to: 2 } }),
    put('/kontiki/authority', { cert: 'cert', key: 'key' }),
    ...members.flatMap((name) => [
      put(`/kontiki/members/id-${name}`, { id: `id-${name}`, nodeName: name, addresses: ['/ip4/10.0.0.9/tcp/7420'], apiPort: 1 }),
      put(`/kontiki/node-names/${name}`, `id-${name}`),
      put(`/registry/core/nodes/${name}`, { kind: 'Node', metadata: { name } }),
    ]),
    put('/kontiki/tokens/t1', { id: 't1' }),
    put('/registry/core/configmaps/default/first', { metadata: { name: 'first' } }),
  ];
}

/** The write that makes entry `index`. */
export function write(index: number, term: number, operations: Operation[]): Entry {
  return { index, term, kind: 'normal', data: encodeTransaction({ requestId: `r${index}-${term}`, conditions: [], operations }) };
}

export const empty = (index: number, term: number): Entry => ({ index, term, kind: 'empty', data: new Uint8Array() });

export interface PeerFiles {
  nodeName: string;
  members: readonly string[];
  term: number;
  /** From 1 on. */
  entries: readonly Entry[];
  committed: number;
  /** How many the state holds. */
  applied: number;
}

/** The data folder of a member whose daemon was killed. Its peer id is `id-NAME`. */
export async function writePeer(
  dataDir: string,
  { nodeName, members, term, entries, committed, applied }: PeerFiles,
): Promise<void> {
  mkdirSync(dataDir, { recursive: true });
  const identity = { id: `id-${nodeName}`, privateKey: 'a2V5', incarnation: 3, nodeName, member: true, founder: true };
  writeFileSync(join(dataDir, 'identity.json'), JSON.stringify(identity));
  writeFileSync(join(dataDir, 'members.json'), '[]');
  const membership: Membership = { voters: members.map((name) => `id-${name}`), votersOutgoing: [], learners: [] };
  const log = await LevelLogStorage.open(join(dataDir, 'raft'));
  await log.write({ snapshot: { index: 0, term: 0, membership } });
  await log.write({ hardState: { term, vote: undefined, commit: committed }, entries: [...entries] });
  await log.close();
  const store = await Store.open({ dir: join(dataDir, 'store') });
  store.apply(entries.slice(0, applied));
  await store.close();
}

/** The bytes of a snapshot file, in the pieces in which they are made. */
export async function snapshotPieces(entries: readonly Entry[], header: Partial<SnapshotFileHeader> = {}): Promise<Buffer[]> {
  const store = await Store.open();
  store.apply(entries);
  const full: SnapshotFileHeader = {
    format: 1,
    clusterId: 'old',
    revision: store.revision,
    ...store.applied,
    savedAt: '2024-05-06T07:08:09.000Z',
    nodeName: 'one',
    peer: 'id-one',
    members: [],
    ...header,
  };
  const pieces: Buffer[] = [];
  for await (const piece of encodeSnapshotFile(full, store.snapshot().chunks)) pieces.push(Buffer.from(piece));
  return pieces;
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: { code?: string }) => error.code ?? String(error),
  );
}
