/** Messages between the agent and its executor process, over Node's IPC channel. Every request has an id of its own. */

/** Cut after this many bytes of standard output, and the same of standard error. */
export const outputBytesMax = 1024 * 1024;
/** Between SIGTERM and SIGKILL. */
export const killGraceMs = 2_000;
/** How long output may still come after the command itself has ended (a child of it may hold the pipe). */
export const outputGraceMs = 1_000;
export const syncLineBytesMax = 64 * 1024;
export const syncLineTimeoutMs = 60_000;

export interface RunRequest {
  kind: 'run';
  id: number;
  command: string;
  args: readonly string[];
  stdin?: string | Uint8Array;
  env?: Record<string, string>;
  cwd?: string;
  timeoutMs: number;
}

export interface DetachRequest {
  kind: 'detach';
  id: number;
  command: string;
  args: readonly string[];
  env?: Record<string, string>;
  cwd?: string;
  syncPipe: boolean;
}

/** Ends the command of an earlier request: its process group gets SIGTERM, then SIGKILL. The command's answer still comes. */
export interface KillRequest {
  kind: 'kill';
  id: number;
}

export type ExecutorRequest = RunRequest | DetachRequest | KillRequest;

export type ExecutorReply =
  /** The process group to end should the executor itself be lost. */
  | { kind: 'started'; id: number; pid: number }
  | { kind: 'ended'; id: number; exitCode: number; signal: string | undefined; stdout: string; stderr: string; timedOut: boolean }
  | { kind: 'detached'; id: number; pid: number; line: string }
  /** The command could not be started. */
  | { kind: 'failed'; id: number; message: string };
