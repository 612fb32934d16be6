/**
 * Disks of the local cluster's machines that can be full: a tmpfs of its own for each peer. What is on it survives kill -9, as
 * on a real disk, but not the loss of the machine that all peers share.
 */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { errorCode } from '../../lib/errors.ts';
import { CliError } from '../errors.ts';
import { run } from './commands.ts';
import type { LabPeer } from './state.ts';

/** Below this a daemon with its agent has hardly any room. */
export const diskMiBMin = 64;
export const diskMiBMax = 4_096;

/** The file that fills a disk, in pieces that become smaller as the room does. */
const ballast = (disk: string) => `${disk}/ballast`;
const pieceBytes = [1024 * 1024, 4096, 1];

/** Throws CliError 'CommandFailed'. */
export async function mountDisk(disk: string, mebibytes: number): Promise<void> {
  mkdirSync(disk, { recursive: true, mode: 0o700 });
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'kontiki-lab', disk]);
}

/** Idempotent. */
export async function unmountDisk(disk: string): Promise<void> {
  if (readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${disk} `)) await run('umount', [disk]);
}

/** Leaves no byte free on the disk of a peer. Throws CliError 'Usage' when it has none of its own. */
export function fillDisk(peer: LabPeer): void {
  const file = openSync(ballast(diskOf(peer)), 'a', 0o600);
  try {
    for (const bytes of pieceBytes) writeUntilFull(file, Buffer.alloc(bytes));
  } finally {
    closeSync(file);
  }
}

/** Undoes fillDisk. */
export function freeDisk(peer: LabPeer): void {
  rmSync(ballast(diskOf(peer)), { force: true });
}

function diskOf({ name, disk }: LabPeer): string {
  if (disk === undefined)
    throw new CliError('Usage', `${name} has no disk of its own; start the cluster with: kontiki dev up --disk 256`);
  return disk;
}

// Bounded by the size of the disk.
function writeUntilFull(file: number, piece: Buffer): void {
  try {
    for (;;) if (writeSync(file, piece) < piece.length) return;
  } catch (error) {
    if (errorCode(error) !== 'ENOSPC') throw error;
  }
}
