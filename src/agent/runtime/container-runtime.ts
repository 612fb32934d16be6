/**
 * Containers through the OCI command line under conmon, one monitor per container. conmon holds the standard streams, writes
 * the log, and leaves the exit code in a file, so all of it outlives the agent. The command line was measured; the sequence
 * is create (conmon runs the runtime's create and reports the pid), start, wait for the exit file, delete.
 */
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from '../../lib/errors.ts';
import { AgentError } from '../errors.ts';
import { argumentsOf, endProcesses } from '../host/strays.ts';
import type { CgroupLimits, Cgroups, Executor } from '../types.ts';
import { unmountBelow } from '../volumes/mounts.ts';
import { type ProcessIdentity, processStart } from './process-identity.ts';
import { limitResources, type OciSpec } from './spec.ts';

export interface ContainerRuntimeOptions {
  executor: Executor;
  cgroups: Cgroups;
  runtime: 'runc' | 'crun';
  dataDir: string;
}

export interface CreateOptions {
  id: string;
  podUid: string;
  /** Folder for config.json, pid files, sockets of this run. Made here. */
  bundle: string;
  logFile: string;
  spec: OciSpec;
  /** Keeps standard input open for attach. */
  stdin: boolean;
  /** Closes it when the first attached client goes. */
  stdinOnce: boolean;
}

/** How the monitor saw the end. */
export interface MonitorExit {
  code: number;
  /** The kernel killed a process of the container for memory. */
  oom: boolean;
  finishedAtMs: number;
}

export class ContainerRuntime {
  readonly exitDir: string;
  readonly #options: ContainerRuntimeOptions;
  readonly #root: string;
  #binary: string | undefined;

  constructor(options: ContainerRuntimeOptions) {
    this.#options = options;
    this.#root = join(options.dataDir, 'runtime');
    this.exitDir = join(options.dataDir, 'exits');
  }

  /** Once, before anything else. */
  async prepare(): Promise<void> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    await mkdir(this.exitDir, { recursive: true, mode: 0o700 });
    const found = await this.#options.executor.check('sh', ['-c', 'command -v "$1"', 'sh', this.#options.runtime]);
    this.#binary = found.trim();
    if (this.#options.runtime === 'crun') await this.#wrapForHybridCgroups(this.#binary);
  }

  /** Arguments that put `command` of the runtime on our state folder, for commands that callers spawn themselves. */
  commandLine(...args: string[]): { command: string; args: string[] } {
    return { command: this.#binary ?? this.#options.runtime, args: ['--root', this.#root, ...args] };
  }

  /**
   * Creates the container; its process waits for `start`. AgentError 'ContainerStart' with the runtime's own words, for
   * example when the program is not there; nothing is left then.
   */
  async create(options: CreateOptions): Promise<ProcessIdentity> {
    const { id, podUid, bundle, logFile, spec } = options;
    const { executor } = this.#options;
    await mkdir(bundle, { recursive: true, mode: 0o700 });
    await mkdir(dirname(logFile), { recursive: true, mode: 0o700 });
    await writeFile(join(bundle, 'config.json'), JSON.stringify(spec), { mode: 0o600 });
    const { line } = await executor.detach('conmon', this.#monitorArgs(options), {
      env: { ...inheritedEnv(), _OCI_SYNCPIPE: '3' },
      cwd: bundle,
      syncPipe: true,
    });
    const answer = parseSyncLine(line);
    if (answer.pid <= 0) {
      await this.abandon(podUid, id);
      throw new AgentError('ContainerStart', answer.message, { id });
    }
    const start = await processStart(answer.pid);
    if (start === undefined) {
      await this.abandon(podUid, id);
      throw new AgentError('ContainerStart', 'the container ended before it was started', { id });
    }
    return { pid: answer.pid, start };
  }

  /** Lets the created process go on to the container's program. AgentError 'ContainerStart'. */
  async start(id: string): Promise<void> {
    const { command, args } = this.commandLine('start', id);
    const result = await this.#options.executor.run(command, args);
    if (result.exitCode !== 0) throw new AgentError('ContainerStart', runtimeMessage(result.stderr), { id });
  }

  /** Other limits for a container that runs. What `limits` leaves out stays as it was. AgentError 'CommandFailed'. */
  async update(id: string, bundle: string, limits: CgroupLimits): Promise<void> {
    const file = join(bundle, 'resources.json');
    await writeFile(file, JSON.stringify(limitResources(limits)), { mode: 0o600 });
    const { command, args } = this.commandLine('update', '--resources', file, id);
    const result = await this.#options.executor.run(command, args);
    if (result.exitCode !== 0) throw new AgentError('CommandFailed', runtimeMessage(result.stderr), { id });
  }

  /** Removes the runtime's state and cgroup; kills what is still there. Idempotent. The bundle stays. */
  async delete(id: string): Promise<void> {
    const { command, args } = this.commandLine('delete', '--force', id);
    const result = await this.#options.executor.run(command, args);
    const gone = result.exitCode === 0 || /does not exist|no such file/i.test(result.stderr);
    if (!gone) throw new AgentError('CommandFailed', `${command} delete: ${result.stderr.trim()}`, { id });
    await rm(join(this.exitDir, id), { force: true });
  }

  /**
   * Removes a container whose creation somebody else began and did not live to finish: its monitor or the runtime may be in the middle
   * of it. Ends them first, for what they make after a removal would belong to nobody. Idempotent.
   */
  async abandon(podUid: string, id: string): Promise<void> {
    const { cgroups } = this.#options;
    await this.#endMonitors((argument) => argument === id);
    await endProcesses(() => cgroups.containerProcesses(podUid, id));
    // A runtime that was killed while it began has a copy of itself mounted here, and no state by which it would find the folder.
    const folder = join(this.#root, id);
    await unmountBelow(folder, this.#options.executor);
    await this.delete(id);
    await rm(folder, { recursive: true, force: true });
    await cgroups.removeContainer(podUid, id);
  }

  /** Removes every container whose bundle is below `folder`. Gives their ids. */
  async deleteBelow(folder: string): Promise<string[]> {
    const within = (path: string) => path.startsWith(join(folder, '/'));
    await this.#endMonitors(within);
    const ids = (await this.#list()).filter(({ bundle }) => within(bundle)).map(({ id }) => id);
    for (const id of ids) await this.delete(id);
    return ids;
  }

  /** Monitors, and what they run, with such an argument. Left alive they would tell of the end of a container that nobody knows. */
  async #endMonitors(test: (argument: string) => boolean): Promise<void> {
    await endProcesses(async () => {
      const found = await this.#options.cgroups.monitors();
      const commands = await Promise.all(found.map(argumentsOf));
      return found.filter((_, at) => commands[at]!.some(test));
    });
  }

  /** Every container the runtime knows below our state folder. */
  async #list(): Promise<{ id: string; bundle: string }[]> {
    const { command, args } = this.commandLine('list', '--format', 'json');
    const parsed = JSON.parse(await this.#options.executor.check(command, args)) as { id: string; bundle: string }[] | null;
    return parsed ?? [];
  }

  /** The monitor's record of the container's end; undefined: it has not ended (or the monitor died before it). */
  async readExit(id: string, bundle: string): Promise<MonitorExit | undefined> {
    const file = join(this.exitDir, id);
    const text = await readText(file);
    if (text === undefined || !/^\d+$/.test(text.trim())) return undefined;
    const [info, oom] = await Promise.all([stat(file), readText(join(bundle, 'oom'))]);
    return { code: Number(text), oom: oom !== undefined, finishedAtMs: info.mtimeMs };
  }

  /**
   * crun takes a machine with both cgroup versions mounted for a v2 one. It runs in a mount namespace of its own, without the
   * v2 mount; the containers' cgroups are the same.
   */
  async #wrapForHybridCgroups(binary: string): Promise<void> {
    const unified = '/sys/fs/cgroup/unified';
    if (!(await readFile('/proc/self/mountinfo', 'utf8')).includes(` ${unified} `)) return;
    const wrapper = join(this.#options.dataDir, 'crun-v1');
    const inside = `umount ${unified} && exec "$0" "$@"`;
    const script = `#!/bin/sh\nexec unshare --mount --propagation slave sh -c '${inside}' ${binary} "$@"\n`;
    await writeFile(wrapper, script, { mode: 0o700 });
    this.#binary = wrapper;
  }

  #monitorArgs({ id, bundle, logFile, spec, stdin, stdinOnce }: CreateOptions): string[] {
    return [
      '--api-version',
      '1',
      '-c',
      id,
      '-u',
      id,
      '-n',
      id,
      '-r',
      this.#binary!,
      '--runtime-arg',
      '--root',
      '--runtime-arg',
      this.#root,
      '-b',
      bundle,
      '-p',
      join(bundle, 'pidfile'),
      '-P',
      join(bundle, 'conmon.pid'),
      '--exit-dir',
      this.exitDir,
      '-0',
      bundle,
      '-l',
      `k8s-file:${logFile}`,
      '--full-attach',
      '--no-sync-log',
      ...(stdin ? ['-i'] : []),
      ...(stdin && !stdinOnce ? ['--leave-stdin-open'] : []),
      ...(spec.process.terminal ? ['-t'] : []),
    ];
  }
}

/** Undefined when the file is not there. */
async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** conmon needs to find the runtime's helpers; nothing else of our environment is its business. */
function inheritedEnv(): Record<string, string> {
  return { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin' };
}

/** `{"data": PID}` or `{"data": -1, "message": TEXT}` from conmon's sync pipe; an empty line when conmon itself failed. */
export function parseSyncLine(line: string): { pid: number; message: string } {
  let answer: { data?: unknown; message?: unknown };
  try {
    answer = JSON.parse(line) as typeof answer;
  } catch {
    return { pid: -1, message: line.trim() || 'the monitor ended without an answer' };
  }
  const pid = typeof answer.data === 'number' ? answer.data : -1;
  const message = typeof answer.message === 'string' ? runtimeMessage(answer.message) : 'the runtime gave no reason';
  return { pid, message };
}

/** The message inside the runtime's last log line (`… level=error msg="…"` or JSON), else the text itself. */
export function runtimeMessage(text: string): string {
  const last = text.trim().split('\n').at(-1) ?? '';
  const quoted = /msg=("(?:[^"\\]|\\.)*")/.exec(last)?.[1];
  if (quoted) {
    try {
      return JSON.parse(quoted) as string;
    } catch {
      return quoted.slice(1, -1);
    }
  }
  return last || 'the runtime gave no reason';
}
