/**
 * What the agent knows of a pod on this machine: the pod as last seen, what was made for it, each container's current and
 * last run. It is one JSON file per pod, written whole and renamed into place after every change that a new agent process
 * must know, so that containers are adopted and never started twice.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorMessage } from '../../lib/errors.ts';
import type { Pod, PodStatus } from '../../machinery/types.ts';
import { AgentError } from '../errors.ts';
import type { ProcessUser } from '../runtime/user.ts';
import type { RuntimeName } from '../types.ts';
import type { Resources } from './resize.ts';

/** How a run ended. */
export interface RunExit {
  code: number;
  reason: string;
  message?: string;
  finishedAtMs: number;
}

/** One run of a container: attempt 0, 1, 2, … */
export interface ContainerRun {
  /** The runtime's container id; a function of pod, container and attempt. */
  id: string;
  attempt: number;
  /** The reference in the spec, and the id and repository digest of what it stood for. */
  image: string;
  imageId: string;
  /** 'creating' until the runtime has started it: an agent that finds this removes it and starts the attempt again. */
  state: 'creating' | 'running' | 'exited';
  startedAtMs: number;
  /** The image in the pod's spec when it was started. */
  wantedImage: string;
  /** What ends it politely: `STOPSIGNAL` of the image or SIGTERM. */
  stopSignal: string;
  /** As whom its first process began. */
  user?: ProcessUser;
  pid?: number;
  /** Start time of `pid` in clock ticks since boot: tells it from a later process with the same number. */
  pidStart?: string;
  exit?: RunExit;
  /** Requests and limits in force for it. */
  resources?: Resources;
  /** What it held on the host has been given back. */
  released?: true;
  /** Ended because the pod's description changed: started again whatever its exit code, and at once. */
  replaced?: boolean;
}

export interface ContainerRecord {
  current?: ContainerRun;
  /** The run before the current one. */
  last?: ContainerRun;
  /** Delay before the next restart, and when it was last raised. See back-off.ts. */
  backOffMs?: number;
  backOffRaisedAtMs?: number;
}

export interface PodRecord {
  version: 1;
  pod: Pod;
  /** From the machine's own folder: the API has at most a mirror of it. */
  static?: boolean;
  /** Set once, when the pod was taken up. */
  startTime: string;
  /**
   * Why this machine refused the pod, or ended it (deadline, eviction). The phase is then Failed for good. An eviction says how long
   * the containers get, and whether the machine's need was the cause.
   */
  failed?: { reason: string; message: string; graceSeconds?: number; disruption?: true };
  /** True from the first sandbox on. */
  hadSandbox: boolean;
  /** Which runtime makes its containers; left out: the configured one. */
  runtimeHandler?: RuntimeName;
  /** The process that holds the shared process namespace. */
  pause?: { pid: number; start: string };
  ip?: string;
  /** The machine's id that is 0 in the pod, for a pod with user ids of its own. */
  firstUserId?: number;
  containers: Record<string, ContainerRecord>;
  /** The status computed last: keeps the transition times of conditions. */
  status?: PodStatus;
  /** True when nothing runs any more and all but logs has been taken down. */
  ended: boolean;
}

const fileName = 'state.json';

/** The same for the same attempt, so that an agent that died in the middle finds what it had begun. */
export function containerId(podUid: string, container: string, attempt: number): string {
  return createHash('sha256').update(`${podUid}/${container}/${attempt}`).digest('hex');
}

/** No container can have this name. */
export const pauseName = '_pause';

/** Folder of one pod. Names that start with `_` or hold a dot can never be a container's, which has its logs in NAME/. */
export function podPaths(dataDir: string, podUid: string) {
  const dir = join(dataDir, 'pods', podUid);
  return {
    uid: podUid,
    dir,
    state: join(dir, fileName),
    netns: join(dir, '_ns', 'net'),
    ipcns: join(dir, '_ns', 'ipc'),
    utsns: join(dir, '_ns', 'uts'),
    pidns: join(dir, '_ns', 'pid'),
    userns: join(dir, '_ns', 'user'),
    pause: join(dir, '_run', pauseName),
    pauseRoot: join(dir, '_pause'),
    shm: join(dir, '_shm'),
    files: join(dir, '_files'),
    volumes: join(dir, '_volumes'),
    /** The volumes again, with the owners of a pod that has user ids of its own. */
    mapped: join(dir, '_mapped'),
    subPaths: join(dir, '_subpaths'),
    bundle: (container: string, attempt: number) => join(dir, '_run', `${container}-${attempt}`),
    subPathsOf: (container: string, attempt: number) => join(dir, '_subpaths', `${container}-${attempt}`),
    log: (container: string, attempt: number) => join(dir, container, `${attempt}.log`),
  };
}
export type PodPaths = ReturnType<typeof podPaths>;

/** Writes the whole record: a reader sees the old or the new one. */
export async function writeRecord(file: string, record: PodRecord): Promise<void> {
  const temporary = `${file}.new`;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(temporary, JSON.stringify(record), { mode: 0o600 });
  await rename(temporary, file);
}

/** AgentError 'CorruptState' when the file does not hold a record; undefined when there is none. */
export async function readRecord(file: string): Promise<PodRecord | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const record = JSON.parse(text) as PodRecord;
    if (record.version !== 1 || typeof record.pod?.metadata?.uid !== 'string') throw new Error('not a pod record');
    return record;
  } catch (error) {
    throw new AgentError('CorruptState', `${file}: ${errorMessage(error)}`, { file }, error);
  }
}
