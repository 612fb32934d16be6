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
  demandUnlocked(paths);
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  writeDurably(paths.lock, String(process.pid));
}

/** Throws NodeError 'AlreadyRunning' while another process works on the data folder. */
export function demandUnlocked(paths: NodePaths): void {
  const pid = Number(readIfExists(paths.lock) ?? 0);
  const command = pid > 0 && pid !== process.pid ? commandOf(pid) : undefined;
  if (command) {
    throw new NodeError('AlreadyRunning', `kontiki ${command} already runs here (process ${pid}); stop it first: kill ${pid}`);
  }
}

export function releaseLock(paths: NodePaths): void {
  rmSync(paths.lock, { force: true });
}

/** Undefined: the process is gone, or its number was given to another program since. */
function commandOf(pid: number): string | undefined {
  try {
    const words = (readIfExists(`/proc/${pid}/cmdline`) ?? '').split('\0');
    return holders.find((holder) => words.includes(holder));
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return undefined;
    throw error;
  }
}
