/** Looks into the data folders of peers that do not run: what log and state each holds. Works on copies: nothing is touched. */
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type OfflineLog, readOfflineLog } from '../../consensus/index.ts';
import { errorMessage } from '../../lib/errors.ts';
import { Store } from '../../store/index.ts';
import { decodeRecord, type MemberRecord, memberPrefix, type SettingsRecord, settingsKey } from '../cluster-records.ts';
import { pathsOf } from '../config.ts';
import { readIfExists } from '../durable-file.ts';
import type { Identity } from '../identity.ts';

/** What one data folder holds. `problem` says why it cannot be gone on from; then the rest is missing. */
export interface Inspected {
  folder: string;
  peer: string | undefined;
  nodeName: string | undefined;
  incarnation: number;
  problem: string | undefined;
  found: Found | undefined;
}

export interface Found {
  log: OfflineLog;
  /** What the state holds. */
  applied: { index: number; term: number };
  revision: number;
  clusterId: string;
  members: MemberRecord[];
  /** Why its state is not to be trusted: the disk gave back other bytes than were written. */
  damage: string | undefined;
  /** Copy of the state's folder. */
  storeDir: string;
}

/** `scratch` is a folder of its own; the copies in it stay until the caller removes it. */
export async function inspectFolder(folder: string, scratch: string): Promise<Inspected> {
  const paths = pathsOf(folder);
  let known: Inspected = {
    folder,
    peer: undefined,
    nodeName: undefined,
    incarnation: 0,
    problem: undefined,
    found: undefined,
  };
  try {
    const text = readIfExists(paths.identity);
    if (text === undefined) return { ...known, problem: 'there is no identity.json: this is not the data folder of a peer' };
    const { id: peer, nodeName, incarnation, member } = JSON.parse(text) as Identity;
    known = { ...known, peer, nodeName, incarnation };
    if (!member) return { ...known, problem: 'this machine never became a member of a cluster' };
    if (!existsSync(paths.raft) || !existsSync(paths.store)) return { ...known, problem: 'its log or its state is missing' };
    const found = await inspectCopies(copyOf(paths.raft, scratch, 'raft'), copyOf(paths.store, scratch, 'store'));
    return typeof found === 'string' ? { ...known, problem: found } : { ...known, found };
  } catch (error) {
    // Reported to the person who decides: other folders may still do.
    return { ...known, problem: errorMessage(error) };
  }
}

function copyOf(folder: string, scratch: string, name: string): string {
  const copy = join(scratch, name);
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  cpSync(folder, copy, { recursive: true });
  return copy;
}

async function inspectCopies(raftDir: string, storeDir: string): Promise<Found | string> {
  const store = await Store.open({ dir: storeDir });
  let state: Pick<Found, 'applied' | 'revision' | 'clusterId' | 'members' | 'damage'>;
  try {
    const settings = store.get(settingsKey);
    if (!settings) return 'its state does not show a founded cluster';
    const { clusterId } = decodeRecord<SettingsRecord>(settings.value);
    const members = store.list(memberPrefix).records.map(({ value }) => decodeRecord<MemberRecord>(value));
    state = { applied: store.applied, revision: store.revision, clusterId, members, damage: store.damage };
  } finally {
    await store.close();
  }
  const log = await readOfflineLog(raftDir, state.applied);
  return log ? { ...state, log, storeDir } : 'its log is empty';
}
