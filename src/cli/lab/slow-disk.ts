/**
 * Makes the disk of a daemon slow: strace holds back the end of each sync. Only the threads that touch files are traced, so that
 * everything else of the daemon keeps its pace. Nothing is written down: who traces a thread is told by the system, and a tracer
 * ends with the daemon.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { delay, systemClock } from '../../lib/clock.ts';
import { errorCode } from '../../lib/errors.ts';
import { CliError } from '../errors.ts';
import { commandOf, type LabPeer, pidOf } from './state.ts';

export const slowDiskMsMax = 60_000;

/** What the system calls the threads of Node.js's pool, which do all work on files, LevelDB's too. */
const poolThread = 'libuv-worker';
const pollMs = 50;
const patienceMs = 60_000;

/** Each sync of the peer's daemon takes `ms` longer, until `healDisk`. Throws CliError 'Usage', 'CommandFailed' or 'NotReady'. */
export async function slowDisk(peer: LabPeer, ms: number): Promise<void> {
  const pid = pidOf(peer);
  if (pid === undefined) throw new CliError('Usage', `${peer.name} does not run`);
  if (tracersOf(pid).size > 0)
    throw new CliError('Usage', `the disk of ${peer.name} is slow already; undo it with: kontiki dev heal`);
  const pool = threadsOf(pid).filter((thread) => aboutThread(pid, thread, 'comm').trim() === poolThread);
  const calls = 'fsync,fdatasync';
  const inject = `inject=${calls}:delay_exit=${Math.round(ms * 1000)}`;
  const args = [
    '-qq',
    '-o',
    '/dev/null',
    '-e',
    `trace=${calls}`,
    '-e',
    inject,
    ...pool.flatMap((thread) => ['-p', String(thread)]),
  ];
  const child = spawn('strace', args, { detached: true, stdio: 'ignore' });
  let failure: string | undefined;
  child.on('error', ({ message }) => {
    failure = `cannot be started: ${message}`;
  });
  child.on('exit', (code, signal) => {
    failure = `ended: ${signal ?? code}`;
  });
  child.unref();
  await until(`strace did not attach to ${peer.name}`, () => {
    if (failure !== undefined) throw new CliError('CommandFailed', `strace ${failure}`);
    return pool.every((thread) => tracerOf(pid, thread) === child.pid);
  });
}

/** Idempotent. Resolves when nothing holds the daemon back any more. Throws CliError 'NotReady'. */
export async function healDisk(peer: LabPeer): Promise<void> {
  const pid = pidOf(peer);
  if (pid === undefined) return;
  for (const tracer of tracersOf(pid)) unlessGone(() => process.kill(tracer, 'SIGTERM'));
  await until(`strace did not let go of ${peer.name}`, () => tracersOf(pid).size === 0);
}

/** The straces at a process; a debugger of the user's is none of ours. */
function tracersOf(pid: number): Set<number> {
  const tracers = threadsOf(pid).map((thread) => tracerOf(pid, thread));
  return new Set(tracers.filter((tracer) => tracer > 0 && commandOf(tracer)[0] === 'strace'));
}

/** Zero: nobody. */
function tracerOf(pid: number, thread: number): number {
  return Number(/^TracerPid:\s*(\d+)$/m.exec(aboutThread(pid, thread, 'status'))?.[1] ?? 0);
}

/** Empty when the process is gone. */
function threadsOf(pid: number): number[] {
  return unlessGone(() => readdirSync(`/proc/${pid}/task`).map(Number)) ?? [];
}

/** Empty when the thread is gone. */
function aboutThread(pid: number, thread: number, file: 'comm' | 'status'): string {
  return unlessGone(() => readFileSync(`/proc/${pid}/task/${thread}/${file}`, 'utf8')) ?? '';
}

/** Threads and processes may end at any time. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return undefined;
    throw error;
  }
}

async function until(late: string, holds: () => boolean): Promise<void> {
  const patience = AbortSignal.timeout(patienceMs);
  while (!holds()) {
    if (patience.aborted) throw new CliError('NotReady', `${late} within ${patienceMs / 1000} s`);
    await delay(systemClock, pollMs);
  }
}
