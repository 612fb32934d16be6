/**
 * A peer whose log is damaged or gone has forgotten what it promised: votes, a term, entries that counted as its own. It never
 * speaks for its old identity again. It takes a new one, asks a member to put the new one into the place of the old one, sets the
 * damaged files aside, and comes back as a newcomer that the leader makes a voter when it has caught up. See
 * docs/adr/0006-damaged-log.md for why this is sound.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, delay } from '../lib/clock.ts';
import { errorCode, errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { isRot } from '../lib/rot.ts';
import { Store, type StoreOptions } from '../store/index.ts';
import { generateIdentity } from '../transport/index.ts';
import type { MemberRecord } from './cluster-records.ts';
import type { NodePaths } from './config.ts';
import { writeDurably } from './durable-file.ts';
import { NodeError } from './errors.ts';
import { type Identity, removedMessage, saveIdentity } from './identity.ts';
import type { AskPeer } from './join.ts';
import { decodeAnswer, encodeQuestion, type ReplacementAnswer } from './member-asks.ts';
import type { Member } from './peer-protocol.ts';

/** Without a quorum nobody can take the machine in: then it ends, and says what to do. */
const patienceMs = 60_000;
const roundMs = 1_000;
const addressesMax = 4;
/** Folders of damaged files that are kept; older ones are deleted. */
const keptMax = 3;

const damageCodes: readonly string[] = ['LogCorrupt', 'LogMissing', 'StateMismatch'];

/**
 * Opens the state. One that cannot be read any more is set aside for an empty one: the log fills it, or does not fit it any more,
 * and then counts as damaged too.
 */
export async function openState(paths: NodePaths, dataDir: string, options: StoreOptions, clock: Clock, logger: Logger) {
  try {
    return await Store.open({ ...options, dir: paths.store });
  } catch (error) {
    if (!isRot(error)) throw error;
    const folder = `damaged-${stampOf(clock)}`;
    logger.error({ error, folder }, 'the state on disk cannot be read and is set aside');
    setAside(dataDir, folder, [paths.store]);
    return await Store.open({ ...options, dir: paths.store });
  }
}

const stampOf = (clock: Clock) => new Date(clock.wallMs()).toISOString().replaceAll(/[-:.]/g, '');

/** What is wrong with the log, when that is why consensus did not start. */
export function logDamage(error: unknown): string | undefined {
  return damageCodes.includes(errorCode(error) ?? '') ? errorMessage(error) : undefined;
}

export interface ReplacementOptions {
  paths: NodePaths;
  identity: Identity;
  /** This machine's record under its old identity. */
  self: MemberRecord;
  /** Those that may be asked. */
  members: readonly Member[];
  /** What is damaged. */
  reason: string;
  /** Speaks under the old identity, which proves that the place is this machine's to give away. */
  ask: AskPeer;
  clock: Clock;
  logger: Logger;
  patienceMs?: number;
}

/**
 * Resolves when the cluster has put the new identity into the old one's place; `finishReplacement` follows. Throws NodeError
 * 'LogDamaged' when nobody can do that, 'Removed' when the old identity is no member any more.
 */
export async function askForReplacement(options: ReplacementOptions): Promise<void> {
  const { paths, identity, members, reason, clock, logger } = options;
  const others = members.filter(({ id }) => id !== identity.id);
  if (others.length === 0) {
    const what = 'and no other machine of the cluster is known. The files are as they were';
    throw new NodeError('LogDamaged', `${reason}; ${what}: restore a snapshot (kontiki snapshot restore), see docs/RECOVERY.md`);
  }
  const next = identity.replacement ?? (await newReplacement(reason, clock));
  // On disk before anybody is asked: from here on the old identity is spent, even if the log should be readable next time.
  identity.replacement = next;
  saveIdentity(paths, identity);
  logger.error(
    { reason, former: identity.id, next: next.id },
    'the log of this peer is damaged: it joins anew under a new identity',
  );
  const endMs = clock.monotonicMs() + (options.patienceMs ?? patienceMs);
  for (;;) {
    const refusals: string[] = [];
    for (const member of others) {
      const answer = await askMember(options, member, next.id);
      if (answer === 'replaced') return;
      if (answer === 'unknown') {
        identity.removed = true;
        saveIdentity(paths, identity);
        throw new NodeError('Removed', removedMessage(identity.nodeName));
      }
      refusals.push(`${member.nodeName}: ${answer}`);
    }
    if (clock.monotonicMs() >= endMs) throw new NodeError('LogDamaged', hopeless(reason, refusals));
    await delay(clock, roundMs);
  }
}

async function newReplacement(reason: string, clock: Clock): Promise<NonNullable<Identity['replacement']>> {
  const { id, privateKey } = await generateIdentity();
  return { id, privateKey: Buffer.from(privateKey).toString('base64'), folder: `damaged-${stampOf(clock)}`, reason };
}

const hopeless = (reason: string, refusals: readonly string[]) =>
  `${reason}; no member could take this machine in anew (${refusals.join('; ')}). It tries again at its next start. If most of the ` +
  'voters are lost or damaged, go on from a machine whose log is whole: kontiki recover, see docs/RECOVERY.md';

async function askMember(options: ReplacementOptions, member: Member, id: string): Promise<string> {
  const { self, ask } = options;
  const question = encodeQuestion({ type: 'replace', member: { ...self, id } });
  let refusal = 'it has no address';
  for (const address of member.addresses.slice(0, addressesMax)) {
    try {
      const { from, answer } = await ask(address, question);
      if (from !== member.id) refusal = 'another peer has its address';
      else {
        const { outcome } = decodeAnswer<ReplacementAnswer>('replace', answer) ?? { outcome: 'its answer cannot be read' };
        return outcome;
      }
    } catch (error) {
      refusal = errorMessage(error);
    }
  }
  return refusal;
}

/**
 * Sets the damaged files aside and takes the new identity. Log and state must be closed. Done again after a crash at any point,
 * it goes on where it stopped: the identity comes last.
 */
export function finishReplacement(dataDir: string, paths: NodePaths, identity: Identity): void {
  const { replacement: next } = identity;
  if (!next) throw new TypeError('no replacement was begun');
  setAside(dataDir, next.folder, [paths.raft, paths.store]);
  writeDurably(join(dataDir, next.folder, 'damage.json'), `${JSON.stringify({ peer: identity.id, reason: next.reason })}\n`);
  const { incarnation, nodeName } = identity;
  const { id, privateKey } = next;
  saveIdentity(paths, { id, privateKey, incarnation, nodeName, member: true, founder: false });
  dropOldest(dataDir);
}

/** Moves what is there into a folder below `dataDir`. */
function setAside(dataDir: string, folder: string, pieces: readonly string[]): void {
  const kept = join(dataDir, folder);
  mkdirSync(kept, { recursive: true, mode: 0o700 });
  for (const piece of pieces) {
    const target = join(kept, piece.slice(dataDir.length + 1));
    if (!existsSync(piece)) continue;
    // An interrupted attempt has moved the damaged one already; this one was made since, and holds nothing.
    if (existsSync(target)) rmSync(piece, { recursive: true });
    else renameSync(piece, target);
  }
}

function dropOldest(dataDir: string): void {
  const folders = readdirSync(dataDir).filter((name) => name.startsWith('damaged-'));
  for (const name of folders.sort().slice(0, -keptMax)) rmSync(join(dataDir, name), { recursive: true });
}
