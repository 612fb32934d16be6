/** One process at a time works on a data folder: the daemon, or a command that replaces the daemon's files. */
import { mkdirSync, rmSync } from 'node:fs';
import { errorCode } from '../lib/errors.ts';
import type { NodePaths } from './config.ts';
import { readIfExists, writeDurably } from './durable-file.ts';
import { NodeError } from './errors.ts';

/** Commands that hold the lock, as they stand in a process's arguments. */
const holders = ['up', 'restore', 'recover'];

/** Throws NodeError 'AlreadyRunning'. */
export function takeLock(paths: NodePaths): void {
  const holder = Number(readIfExists(paths.lock) ?? 0);
  if (holder > 0 && holder !== process.pid && isKontiki(holder)) {
    throw new NodeError('AlreadyRunning', `a daemon already runs here (process ${holder}); stop it first: kill ${holder}`);
  }
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  writeDurably(paths.lock, String(process.pid));
}

export function releaseLock(paths: NodePaths): void {
  rmSync(paths.lock, { force: true });
}

/** A process id may have been given to another program since. */
function isKontiki(pid: number): boolean {
  try {
    const words = (readIfExists(`/proc/${pid}/cmdline`) ?? '').split('\0');
    return holders.some((holder) => words.includes(holder));
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false;
    throw error;
  }
}
