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
import { type CgroupLimits, type Cgroups, type Executor, type RuntimeName, runtimeNames } from '../types.ts';
import { unmountBelow } from '../volumes/mounts.ts';
import { type ProcessIdentity, processStart } from './process-identity.ts';
import { limitResources, type OciSpec } from './spec.ts';

export interface ContainerRuntimeOptions {
  executor: Executor;
  cgroups: Cgroups;
  /** For containers of which nobody says which runtime makes them. It must be installed. */
  runtime: RuntimeName;
  dataDir: string;
}

export interface CreateOptions {
  id: string;
  podUid: string;
  /** Left out: the configured runtime. */
  handler?: RuntimeName | undefined;
  /** Folder for config.json, pid files, sockets of this run. Made here. */
  bundle: string;
  logFile: string;
  spec: OciSpec;
  /** Keeps standard input open for attach. */
  stdin: boolean;
  /** Closes it when the first attached client goes. */
  stdinOnce: boolean;
}

/** Empty on the machine itself. */
const openRoot = '/run/kontiki-root';

/** How the monitor saw the end. */
export interface MonitorExit {
  code: number;
  /** The kernel killed a process of the container for memory. */
  oom: boolean;
  finishedAtMs: number;
}

/** Of each runtime: they do not understand each other's state. */
const stateFolders: Record<RuntimeName, string> = { runc: 'runtime', crun: 'runtime-crun' };

interface Home {
  readonly root: string;
  /** What to run; a mere name while it is not known to be installed. */
  binary: string;
  installed: boolean;
}

export class ContainerRuntime {
  readonly exitDir: string;
  readonly #options: ContainerRuntimeOptions;
  readonly #homes: ReadonlyMap<RuntimeName, Home>;

  constructor(options: ContainerRuntimeOptions) {
    this.#options = options;
    this.#homes = new Map(
      runtimeNames.map((name) => [name, { root: join(options.dataDir, stateFolders[name]), binary: name, installed: false }]),
    );
    this.exitDir = join(options.dataDir, 'exits');
  }

  /** Once, before anything else. */
  async prepare(): Promise<void> {
    await mkdir(this.exitDir, { recursive: true, mode: 0o700 });
    for (const [name, home] of this.#homes) {
      await mkdir(home.root, { recursive: true, mode: 0o700 });
      const found = await this.#options.executor.run('sh', ['-c', 'command -v "$1"', 'sh', name]);
      home.installed = found.exitCode === 0;
      if (!home.installed) continue;
      const binary = found.stdout.trim();
      home.binary = name === 'crun' ? await this.#wrapForHybridCgroups(binary) : binary;
      await this.#wrapForOwnUsers(home);
    }
    const { runtime } = this.#options;
    if (!this.#homes.get(runtime)?.installed) {
      throw new AgentError('CommandFailed', `the container runtime ${runtime} is not installed`, { runtime });
    }
  }

  /**
   * What creates containers: the command, its environment, and what `config.json` must call the root. With user ids of its own
   * (`ownUsers`) the container has no right to walk to a root below our data folder: the command shows it in a place all may see.
   */
  async forRoot(
    handler: RuntimeName | undefined,
    root: string,
    ownUsers: boolean,
  ): Promise<{ command: string; env: Record<string, string>; rootPath: string }> {
    const home = this.#home(handler);
    if (!ownUsers) return { command: home.binary, env: inheritedEnv(), rootPath: root };
    await mkdir(openRoot, { recursive: true, mode: 0o755 });
    return { command: ownUsersCommand(home), env: { ...inheritedEnv(), KONTIKI_ROOT: root }, rootPath: openRoot };
  }

  /** In a mount namespace of the command's own: nobody else sees what is mounted there. */
  async #wrapForOwnUsers(home: Home): Promise<void> {
    const inside = `mount --rbind "$KONTIKI_ROOT" ${openRoot} && exec "$0" "$@"`;
    const script = `#!/bin/sh\nexec unshare --mount --propagation slave sh -c '${inside}' ${home.binary} "$@"\n`;
    await writeFile(ownUsersCommand(home), script, { mode: 0o700 });
  }

  #home(handler: RuntimeName | undefined): Home {
    return this.#homes.get(handler ?? this.#options.runtime)!;
  }

  /** The runtimes that are installed. Only after `prepare`. */
  get handlers(): RuntimeName[] {
    return [...this.#homes].filter(([, { installed }]) => installed).map(([name]) => name);
  }

  /** Arguments that put a command of a runtime on our state folder, for commands that callers spawn themselves. */
  commandLine(handler: RuntimeName | undefined, ...args: string[]): { command: string; args: string[] } {
    return lineOf(this.#home(handler), args);
  }

  /** The same, of the runtime that made the container. */
  async commandFor(id: string, ...args: string[]): Promise<{ command: string; args: string[] }> {
    const home = (await this.#homeOf(id)) ?? this.#home(undefined);
    return lineOf(home, args);
  }

  /**
   * Creates the container; its process waits for `start`. AgentError 'ContainerStart' with the runtime's own words, for
   * example when the program is not there; nothing is left then.
   */
  async create(options: CreateOptions): Promise<ProcessIdentity> {
    const { id, podUid, handler, bundle, logFile, spec } = options;
    const { executor } = this.#options;
    await mkdir(bundle, { recursive: true, mode: 0o700 });
    await mkdir(dirname(logFile), { recursive: true, mode: 0o700 });
    const { command, env, rootPath } = await this.forRoot(handler, spec.root.path, 'uidMappings' in spec.linux);
    const described = { ...spec, root: { ...spec.root, path: rootPath } };
    await writeFile(join(bundle, 'config.json'), JSON.stringify(described), { mode: 0o600 });
    const { line } = await executor.detach('conmon', this.#monitorArgs(options, command), {
      env: { ...env, _OCI_SYNCPIPE: '3' },
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
    const { command, args } = await this.commandFor(id, 'start', id);
    const result = await this.#options.executor.run(command, args);
    if (result.exitCode !== 0) throw new AgentError('ContainerStart', runtimeMessage(result.stderr), { id });
  }

  /** Other limits for a container that runs. What `limits` leaves out stays as it was. AgentError 'CommandFailed'. */
  async update(id: string, bundle: string, limits: CgroupLimits): Promise<void> {
    const file = join(bundle, 'resources.json');
    await writeFile(file, JSON.stringify(limitResources(limits)), { mode: 0o600 });
    const { command, args } = await this.commandFor(id, 'update', '--resources', file, id);
    const result = await this.#options.executor.run(command, args);
    if (result.exitCode !== 0) throw new AgentError('CommandFailed', runtimeMessage(result.stderr), { id });
  }

  /** Removes the runtime's state and cgroup; kills what is still there. Idempotent. The bundle stays. */
  async delete(id: string): Promise<void> {
    const home = await this.#homeOf(id);
    if (home) {
      const { command, args } = lineOf(home, ['delete', '--force', id]);
      const result = await this.#options.executor.run(command, args);
      const gone = result.exitCode === 0 || /does not exist|no such file/i.test(result.stderr);
      if (!gone) throw new AgentError('CommandFailed', `${command} delete: ${result.stderr.trim()}`, { id });
      // A runtime that died while it made the container leaves a folder that it does not take for one.
      await rm(join(home.root, id), { recursive: true, force: true });
    }
    await rm(join(this.exitDir, id), { force: true });
  }

  /**
   * Removes a container whose creation somebody else began and did not live to finish: its monitor or the runtime may be in the middle
   * of it. Ends them first, for what they make after a removal would belong to nobody. Idempotent.
   */
  async abandon(podUid: string, id: string): Promise<void> {
    const { cgroups, executor } = this.#options;
    await this.#endMonitors((argument) => argument === id);
    await endProcesses(() => cgroups.containerProcesses(podUid, id));
    // A runtime that was killed while it began has a copy of itself mounted here.
    for (const { root } of this.#homes.values()) await unmountBelow(join(root, id), executor);
    await this.delete(id);
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

  /** Every container the runtimes know below our state folders. */
  async #list(): Promise<{ id: string; bundle: string }[]> {
    const all: { id: string; bundle: string }[] = [];
    for (const handler of this.handlers) {
      const { command, args } = this.commandLine(handler, 'list', '--format', 'json');
      const text = await this.#options.executor.check(command, args);
      all.push(...((JSON.parse(text) as typeof all | null) ?? []));
    }
    return all;
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
   * v2 mount; the containers' cgroups are the same. Gives the command that does it.
   */
  async #wrapForHybridCgroups(binary: string): Promise<string> {
    const unified = '/sys/fs/cgroup/unified';
    if (!(await readFile('/proc/self/mountinfo', 'utf8')).includes(` ${unified} `)) return binary;
    const wrapper = join(this.#options.dataDir, 'crun-v1');
    const inside = `umount ${unified} && exec "$0" "$@"`;
    const script = `#!/bin/sh\nexec unshare --mount --propagation slave sh -c '${inside}' ${binary} "$@"\n`;
    await writeFile(wrapper, script, { mode: 0o700 });
    return wrapper;
  }

  /** Where the container's state is; undefined: no runtime has made it. */
  async #homeOf(id: string): Promise<Home | undefined> {
    for (const home of this.#homes.values()) if (await isThere(join(home.root, id))) return home;
    return undefined;
  }

  #monitorArgs({ id, handler, bundle, logFile, spec, stdin, stdinOnce }: CreateOptions, command: string): string[] {
    const { root } = this.#home(handler);
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
      command,
      '--runtime-arg',
      '--root',
      '--runtime-arg',
      root,
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

/** Shows a container's root where those may walk to it who have other user ids than the machine. */
function ownUsersCommand({ root }: Home): string {
  return `${root}-own-users`;
}

function lineOf({ binary, root }: Home, args: string[]): { command: string; args: string[] } {
  return { command: binary, args: ['--root', root, ...args] };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
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
