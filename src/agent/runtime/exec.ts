/**
 * Further processes in a running container. Each gets a description file made from the container's own (same user, capabilities,
 * environment, folder) and a pid file, by which it is killed when its time is over: the runtime's client may die without it.
 */
import { randomUUID } from 'node:crypto';
import { readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorMessage } from '../../lib/errors.ts';
import { isAgentError } from '../errors.ts';
import { ignoring } from '../host/cgroup-hierarchies.ts';
import type { Executor } from '../types.ts';
import type { ContainerRuntime } from './container-runtime.ts';
import { processStart, signalProcess } from './process-identity.ts';
import { execProcess, type OciSpec } from './spec.ts';

export interface ExecCommand {
  command: string;
  args: string[];
  /** Kills the process inside, if it still runs, and removes the files. Idempotent. */
  cleanUp(): Promise<void>;
}

/** The host command that runs `argv` in the container whose bundle is given. */
export async function prepareExec(
  runtime: ContainerRuntime,
  target: { id: string; bundle: string },
  argv: string[],
  options: { tty: boolean },
): Promise<ExecCommand> {
  const spec = JSON.parse(await readFile(join(target.bundle, 'config.json'), 'utf8')) as OciSpec;
  const process_ = execProcess(spec, argv, options.tty);
  const base = join(target.bundle, `exec-${randomUUID()}`);
  const description = `${base}.json`;
  const pidFile = `${base}.pid`;
  await writeFile(description, JSON.stringify(process_), { mode: 0o600 });
  const line = await runtime.commandFor(target.id, 'exec', '--process', description, '--pid-file', pidFile, target.id);
  let cleaned: Promise<void> | undefined;
  return {
    ...line,
    cleanUp: () => {
      cleaned ??= end(target.bundle, base);
      return cleaned;
    },
  };
}

/** What an agent that is gone ran in a container has nobody who waits for it. */
export async function endOrphans(bundle: string): Promise<void> {
  const names = await readdir(bundle).catch(ignoring('ENOENT'));
  for (const name of names ?? []) {
    if (name.startsWith('exec-') && name.endsWith('.json')) await end(bundle, join(bundle, name.slice(0, -'.json'.length)));
  }
}

async function end(bundle: string, base: string): Promise<void> {
  const [description, pidFile] = [`${base}.json`, `${base}.pid`];
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => ''));
  const start = pid > 0 ? await processStart(pid) : undefined;
  // The number may have been used again after the process ended; then it is in another namespace than the container's.
  if (start !== undefined && (await sharesNamespace(pid, bundle))) await signalProcess({ pid, start }, 'SIGKILL');
  await Promise.all([rm(description, { force: true }), rm(pidFile, { force: true })]);
}

async function sharesNamespace(pid: number, bundle: string): Promise<boolean> {
  try {
    const containerPid = Number(await readFile(join(bundle, 'pidfile'), 'utf8'));
    const [mine, theirs] = await Promise.all([readlink(`/proc/${pid}/ns/mnt`), readlink(`/proc/${containerPid}/ns/mnt`)]);
    return mine === theirs;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return false;
    throw error;
  }
}

export interface ExecOutcome {
  exitCode: number;
  /** Standard output and error, at most 10 KiB. */
  output: string;
  timedOut: boolean;
}

const outputBytesMax = 10 * 1024;

/** A command whose executor died says nothing of the container, so it is run again. */
const tries = 3;

/** Runs a short command in a container, for probes and hooks: at least once, and once where nothing is killed. */
export async function execOnce(
  runtime: ContainerRuntime,
  executor: Executor,
  target: { id: string; bundle: string },
  argv: string[],
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<ExecOutcome> {
  for (let left = tries; ; left--) {
    try {
      return await tryExec(runtime, executor, target, argv, options);
    } catch (error) {
      if (!isAgentError(error, 'ExecutorLost')) throw error;
      if (left === 1) return { exitCode: -1, output: errorMessage(error), timedOut: false };
    }
  }
}

async function tryExec(
  runtime: ContainerRuntime,
  executor: Executor,
  target: { id: string; bundle: string },
  argv: string[],
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<ExecOutcome> {
  const exec = await prepareExec(runtime, target, argv, { tty: false });
  try {
    const result = await executor.run(exec.command, exec.args, { timeoutMs: options.timeoutMs, signal: options.signal });
    return { exitCode: result.exitCode, output: (result.stdout + result.stderr).slice(0, outputBytesMax), timedOut: false };
  } catch (error) {
    options.signal.throwIfAborted();
    if (isAgentError(error, 'ExecutorLost')) throw error;
    if (isAgentError(error, 'CommandFailed') && 'timeoutMs' in error.fields) {
      return { exitCode: -1, output: `command timed out after ${options.timeoutMs / 1000}s`, timedOut: true };
    }
    return { exitCode: -1, output: errorMessage(error), timedOut: false };
  } finally {
    await exec.cleanUp();
  }
}
