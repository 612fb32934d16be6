/**
 * Replaces a machine's cluster data as a whole. The new files are built in a folder of their own; renaming that folder is the one
 * moment of truth: before it nothing has changed, after it the rest is carried out here or at the daemon's next start. What was
 * replaced is kept in a folder beside, and never deleted.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../durable-file.ts';
import { RecoveryError } from './errors.ts';

/** In this order; all of them are replaced. */
export const stagedPieces = ['raft', 'store', 'members.json', 'identity.json'] as const;
/** Replaced when there is a new one. */
const optionalPieces = ['cluster.key'] as const;

const building = (dataDir: string) => join(dataDir, 'recovery.new');
const ready = (dataDir: string) => join(dataDir, 'recovery.ready');
const planFile = (dataDir: string) => join(ready(dataDir), 'plan.json');

/** Gives an empty folder to build the pieces in. What an interrupted attempt has left there is removed. */
export function beginStaging(dataDir: string): string {
  const folder = building(dataDir);
  abandonStaging(dataDir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

export function abandonStaging(dataDir: string): void {
  rmSync(building(dataDir), { recursive: true, force: true });
}

/**
 * Makes the pieces this machine's data; `replaced` names the folder below dataDir that takes what was there. Gives its path, or
 * undefined when nothing was there.
 */
export function commitStaging(dataDir: string, replaced: string): string | undefined {
  const folder = building(dataDir);
  for (const piece of stagedPieces) {
    if (!existsSync(join(folder, piece))) throw new RecoveryError('StagingBroken', `${join(folder, piece)} is missing`);
  }
  writeDurably(join(folder, 'plan.json'), JSON.stringify({ replaced }));
  syncTree(folder);
  renameSync(folder, ready(dataDir));
  sync(dataDir);
  return finishStaging(dataDir);
}

/**
 * Carries out what a commit decided, however often it was interrupted; what was not committed is removed. Gives the folder of
 * the replaced files, if this call had something to do.
 */
export function finishStaging(dataDir: string): string | undefined {
  abandonStaging(dataDir);
  const from = ready(dataDir);
  if (!existsSync(planFile(dataDir))) {
    // Everything was moved, and only the empty folder is left.
    rmSync(from, { recursive: true, force: true });
    return undefined;
  }
  const { replaced } = JSON.parse(readFileSync(planFile(dataDir), 'utf8')) as { replaced: string };
  const kept = join(dataDir, replaced);
  for (const piece of [...optionalPieces, ...stagedPieces]) {
    const [source, target, old] = [join(from, piece), join(dataDir, piece), join(kept, piece)];
    if (!existsSync(source)) continue;
    if (existsSync(target)) {
      if (existsSync(old)) {
        throw new RecoveryError(
          'StagingBroken',
          `${target} was made anew during a recovery; move it away, then start the daemon again`,
        );
      }
      mkdirSync(kept, { recursive: true, mode: 0o700 });
      renameSync(target, old);
      sync(kept);
    }
    renameSync(source, target);
    sync(dataDir);
  }
  rmSync(planFile(dataDir));
  rmSync(from, { recursive: true });
  sync(dataDir);
  return existsSync(kept) ? kept : undefined;
}

function syncTree(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) syncTree(child);
    else sync(child);
  }
  sync(path);
}

function sync(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
