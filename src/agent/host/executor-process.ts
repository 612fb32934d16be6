/**
 * The executor process: runs host commands for the agent, because a fork stalls a process in proportion to its memory and
 * this one stays small. It lives exactly as long as its IPC channel: when the agent is gone it ends what still runs and
 * exits. Detached processes (conmon) are in sessions of their own and live on. Imports only Node, to stay small.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import {
  type DetachRequest,
  type ExecutorReply,
  type ExecutorRequest,
  killGraceMs,
  outputBytesMax,
  outputGraceMs,
  type RunRequest,
  syncLineBytesMax,
  syncLineTimeoutMs,
} from './executor-protocol.ts';

interface Running {
  child: ChildProcess;
  kill(): void;
}

const running = new Map<number, Running>();

function reply(message: ExecutorReply): void {
  // The error goes to the callback when the agent is already gone; 'disconnect' follows and ends this process.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

/** Signals a whole process group; one that is gone already is fine. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Collects at most `outputBytesMax` bytes and lets the rest pass. */
function collect(stream: Readable): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    const part = chunk.subarray(0, outputBytesMax - size);
    if (part.length > 0) chunks.push(part);
    size += part.length;
  });
  return () => Buffer.concat(chunks).toString();
}

function run(request: RunRequest): void {
  const { id } = request;
  const child = spawn(request.command, request.args, {
    detached: true,
    stdio: 'pipe',
    cwd: request.cwd,
    env: request.env ? { ...process.env, ...request.env } : process.env,
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  let timedOut = false;
  let killTimer: NodeJS.Timeout | undefined;
  let graceTimer: NodeJS.Timeout | undefined;

  const kill = () => {
    const { pid } = child;
    if (pid === undefined || killTimer) return;
    signalGroup(pid, 'SIGTERM');
    killTimer = setTimeout(() => signalGroup(pid, 'SIGKILL'), killGraceMs);
  };
  const timeout = setTimeout(() => {
    timedOut = true;
    kill();
  }, request.timeoutMs);

  const finish = (message: ExecutorReply) => {
    if (!running.delete(id)) return;
    clearTimeout(timeout);
    clearTimeout(graceTimer);
    clearTimeout(killTimer);
    // A killed command may leave members of its group behind that ignore SIGTERM.
    if (killTimer && child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
    child.stdout.destroy();
    child.stderr.destroy();
    reply(message);
  };
  const finishEnded = (exitCode: number | null, signal: NodeJS.Signals | null) =>
    finish({
      kind: 'ended',
      id,
      exitCode: exitCode ?? -1,
      signal: signal ?? undefined,
      stdout: stdout(),
      stderr: stderr(),
      timedOut,
    });

  running.set(id, { child, kill });
  if (child.pid !== undefined) reply({ kind: 'started', id, pid: child.pid });
  child.on('error', (error) => {
    if (child.pid === undefined) finish({ kind: 'failed', id, message: error.message });
  });
  child.on('exit', (exitCode, signal) => {
    graceTimer = setTimeout(() => finishEnded(exitCode, signal), outputGraceMs);
  });
  child.on('close', finishEnded);
  // The command may end, or close its input, before it has read all of it.
  child.stdin.on('error', () => {});
  child.stdin.end(request.stdin);
}

function detach(request: DetachRequest): void {
  const { id } = request;
  const env = { ...process.env, ...request.env };
  const child = spawn(request.command, request.args, {
    detached: true,
    stdio: request.syncPipe ? ['ignore', 'ignore', 'ignore', 'pipe'] : 'ignore',
    cwd: request.cwd,
    env: request.syncPipe ? { _OCI_SYNCPIPE: '3', ...env } : env,
  });
  child.unref();
  let answered = false;
  const answer = (message: ExecutorReply) => {
    if (answered) return;
    answered = true;
    reply(message);
  };
  child.on('error', (error) => answer({ kind: 'failed', id, message: error.message }));
  const { pid } = child;
  if (pid === undefined) return;
  const pipe = child.stdio[3] as Readable | undefined | null;
  if (!pipe) {
    answer({ kind: 'detached', id, pid, line: '' });
    return;
  }

  let text = Buffer.alloc(0);
  const finish = () => {
    clearTimeout(timer);
    const end = text.indexOf(10);
    answer({ kind: 'detached', id, pid, line: (end < 0 ? text : text.subarray(0, end)).toString() });
    pipe.destroy();
  };
  const timer = setTimeout(finish, syncLineTimeoutMs);
  pipe.on('data', (chunk: Buffer) => {
    text = Buffer.concat([text, chunk]).subarray(0, syncLineBytesMax);
    if (text.includes(10) || text.length === syncLineBytesMax) finish();
  });
  pipe.on('end', finish);
  pipe.on('error', finish);
}

function receive(request: ExecutorRequest): void {
  if (request.kind === 'kill') {
    running.get(request.id)?.kill();
    return;
  }
  try {
    if (request.kind === 'run') run(request);
    else detach(request);
  } catch (error) {
    // spawn throws for bad arguments (a NUL in a string) and when file descriptors run out.
    reply({ kind: 'failed', id: request.id, message: error instanceof Error ? error.message : String(error) });
  }
}

/** The agent is gone: nobody waits for the answers. */
function endAll(): void {
  for (const { kill } of running.values()) kill();
  const check = setInterval(() => {
    if (running.size === 0) process.exit(0);
  }, 20);
  setTimeout(() => {
    clearInterval(check);
    for (const { child } of running.values()) if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
    process.exit(0);
  }, killGraceMs + 500);
}

// A signal for the whole foreground group or service is for the agent, which then closes the channel.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('message', receive);
process.on('disconnect', endAll);
