/**
 * The first process of a process namespace that the containers of a pod share. It holds the namespace open and leaves no
 * zombies: with SIGCHLD ignored the kernel reaps whatever is handed to it. The program is so small that we write its file
 * ourselves: a static executable with nothing else in its root, so that a container that may look at every process of the pod
 * finds nothing of the machine behind `/proc/1/root`.
 */
import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage } from '../../lib/errors.ts';
import { AgentError } from '../errors.ts';
import type { Executor, RuntimeName } from '../types.ts';
import type { ContainerRuntime } from './container-runtime.ts';
import { type ProcessIdentity, processStart, signalProcess } from './process-identity.ts';
import { idMappings } from './spec.ts';

export interface PauseOptions {
  runtime: ContainerRuntime;
  /** Left out: the configured runtime. */
  handler?: RuntimeName | undefined;
  executor: Executor;
  podUid: string;
  id: string;
  /** Folder of its own, made here. */
  bundle: string;
  /** The program's root, made here; empty but for the program and what it mounts. */
  rootfs: string;
  cgroupsPath: string;
  /** A file to which the new namespace is bound. */
  namespaceFile: string;
  /** Files of the namespaces that the pod has already. */
  namespaces: { net?: string; ipc?: string; uts?: string; user?: string };
  /** The machine's id that is 0 in the user namespace; only with one. */
  firstUserId?: number;
}

/** Neither root nor anyone in an image. */
const nobody = 65_535;
const loadAddress = 0x400000;
const headerBytes = 64 + 56;

/** True where the program can run. */
export const pauseSupported = process.arch === 'x64';

/** rt_sigaction(SIGCHLD, {SIG_IGN}, NULL, 8), then pause() again and again. The structure (32 bytes) lies behind the code. */
function pauseProgram(): Buffer {
  const actionOffset = 37;
  const code = Buffer.alloc(actionOffset + 32);
  const actionAddress = loadAddress + headerBytes + actionOffset;
  let at = 0;
  const emit = (...bytes: number[]) => {
    for (const byte of bytes) code[at++] = byte;
  };
  const little = (value: number) => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff];
  emit(0xb8, ...little(13)); // mov eax, rt_sigaction
  emit(0xbf, ...little(17)); // mov edi, SIGCHLD
  emit(0xbe, ...little(actionAddress)); // mov esi, the structure
  emit(0x31, 0xd2); // xor edx, edx
  emit(0x41, 0xba, ...little(8)); // mov r10d, bytes of a signal set
  emit(0x0f, 0x05); // syscall
  emit(0xb8, ...little(34)); // mov eax, pause
  emit(0x0f, 0x05); // syscall
  emit(0xeb, 0xf7); // jmp to the mov before
  if (at > actionOffset) throw new RangeError('the code reaches into its data');
  code[actionOffset] = 1; // sa_handler: SIG_IGN
  return Buffer.concat([elfHeader(headerBytes + code.length), code]);
}

/** Header and the one segment of an x86_64 executable (System V ABI): the whole file, readable and executable. */
function elfHeader(fileBytes: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16); // an executable
  header.writeUInt16LE(62, 18); // x86_64
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(loadAddress + headerBytes), 24); // entry
  header.writeBigUInt64LE(64n, 32); // where the segments are listed
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt32LE(1, 64); // loaded
  header.writeUInt32LE(5, 68); // readable, executable
  for (const offset of [80, 88]) header.writeBigUInt64LE(BigInt(loadAddress), offset);
  for (const offset of [96, 104]) header.writeBigUInt64LE(BigInt(fileBytes), offset);
  header.writeBigUInt64LE(0x1000n, 112);
  return header;
}

/** Starts it and binds its namespace to the file. AgentError 'Sandbox'; then nothing is left running. */
export async function startPause(options: PauseOptions): Promise<ProcessIdentity> {
  const { runtime, handler, executor, podUid, id, bundle, rootfs, namespaceFile } = options;
  await mkdir(rootfs, { recursive: true, mode: 0o755 });
  // crun wants these to be there.
  for (const name of ['dev', 'proc']) await mkdir(join(rootfs, name), { recursive: true });
  // The runtime makes files in it as the root of the namespace.
  if (options.firstUserId !== undefined) {
    for (const name of ['.', 'dev']) await chown(join(rootfs, name), options.firstUserId, options.firstUserId);
  }
  await mkdir(bundle, { recursive: true, mode: 0o700 });
  const program = join(rootfs, 'pause');
  await writeFile(program, pauseProgram());
  await chmod(program, 0o555);
  const pidFile = join(bundle, 'pidfile');
  const errors = join(bundle, 'stderr');
  // What stays must not hold the executor's pipes.
  const quiet = 'exec "$@" < /dev/null > /dev/null 2> "$0"';
  const { args } = runtime.commandLine(handler, 'run', '--detach', '--bundle', bundle, '--pid-file', pidFile, id);
  const { command, env, rootPath } = await runtime.forRoot(handler, rootfs, options.firstUserId !== undefined);
  await writeFile(join(bundle, 'config.json'), JSON.stringify(describePause(options, rootPath)), { mode: 0o600 });
  const ended = await executor.run('sh', ['-c', quiet, errors, command, ...args], { env });
  try {
    if (ended.exitCode !== 0) throw new Error((await readFile(errors, 'utf8')).trim());
    const pid = Number(await readFile(pidFile, 'utf8'));
    const start = await processStart(pid);
    if (start === undefined) throw new Error('it ended at once');
    await writeFile(namespaceFile, '');
    await executor.check('mount', ['--bind', `/proc/${pid}/ns/pid`, namespaceFile]);
    return { pid, start };
  } catch (error) {
    await runtime.abandon(podUid, id);
    throw new AgentError('Sandbox', `the pause process of the pod: ${errorMessage(error)}`, { id }, error);
  }
}

/** Everything in its namespace dies with it. `known` spares the runtime's slow way to kill. Idempotent. */
export async function stopPause(
  { runtime, podUid, id, bundle, rootfs }: Pick<PauseOptions, 'runtime' | 'podUid' | 'id' | 'bundle' | 'rootfs'>,
  known: ProcessIdentity | undefined,
): Promise<void> {
  if (known) await signalProcess(known, 'SIGKILL');
  await runtime.abandon(podUid, id);
  await rm(bundle, { recursive: true, force: true });
  await rm(rootfs, { recursive: true, force: true });
}

function describePause({ cgroupsPath, namespaces, firstUserId }: PauseOptions, rootPath: string): object {
  const joined = { network: namespaces.net, ipc: namespaces.ipc, uts: namespaces.uts, user: namespaces.user };
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: nobody, gid: nobody },
      args: ['/pause'],
      env: [],
      cwd: '/',
      capabilities: { bounding: [], effective: [], permitted: [], inheritable: [] },
      noNewPrivileges: true,
    },
    root: { path: rootPath, readonly: true },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      // crun makes its device files there, or fails.
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'noexec', 'mode=755', 'size=64k'] },
    ],
    linux: {
      namespaces: [
        { type: 'mount' },
        { type: 'pid' },
        ...Object.entries(joined).flatMap(([type, path]) => (path ? [{ type, path }] : [])),
      ],
      ...(firstUserId === undefined ? {} : idMappings(firstUserId)),
      cgroupsPath,
      resources: { devices: [{ allow: false, access: 'rwm' }], cpu: { shares: 2 } },
      maskedPaths: ['/proc/kcore', '/proc/keys'],
      readonlyPaths: ['/proc/sys'],
    },
  };
}
