/**
 * The agent's side of the executor: see Executor in ../types.ts and executor-process.ts.
 *
 * Bounds: 32 commands run at once, 1,000 wait; the next is refused with 'ExecutorBusy'. When the executor process dies, its
 * commands are killed and fail with 'ExecutorLost', and a new process is started at once for those that wait.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BoundedQueue } from '../../lib/bounded-queue.ts';
import { type Deferred, deferred } from '../../lib/deferred.ts';
import type { Logger } from '../../lib/logger.ts';
import { AgentError } from '../errors.ts';
import type { CommandOptions, CommandResult, Executor } from '../types.ts';
import type { ExecutorReply, ExecutorRequest } from './executor-protocol.ts';

export interface ExecutorOptions {
  logger: Logger;
  /** Commands that run at once. Default 32. */
  concurrency?: number;
  /** Commands that wait. Default 1,000. */
  queueLength?: number;
  /** Given each new executor process before it gets its first command: whatever the one before it left must be over then. */
  prepare?: (pid: number) => Promise<void>;
}

type Ended = Extract<ExecutorReply, { kind: 'ended' }>;
type Detached = Extract<ExecutorReply, { kind: 'detached' }>;

interface Job {
  request: Exclude<ExecutorRequest, { kind: 'kill' }>;
  answer: Deferred<Ended | Detached>;
  /** Known once the command runs. */
  pid: number | undefined;
  state: 'waiting' | 'running' | 'done';
}

const timeoutMsDefault = 60_000;
/** A process that dies again within this time of its start is not replaced before the time is over. */
const restartIntervalMs = 1_000;

const isSource = import.meta.url.endsWith('.ts');

/** A small heap and few threads. Without a compiler it is a little smaller yet; Node needs one to read TypeScript. */
const executorFlags = [
  '--max-old-space-size=64',
  '--max-semi-space-size=1',
  '--single-threaded-gc',
  '--v8-pool-size=0',
  '--disable-warning=ExperimentalWarning',
  ...(isSource ? [] : ['--jitless']),
];

/** The other entry: beside this file in the sources, beside the bundle in a build. */
function executorEntry(): string {
  const name = isSource ? './executor-process.ts' : './executor.js';
  return fileURLToPath(new URL(name, import.meta.url));
}

/** Resolves when the executor process runs. */
export async function createExecutor(options: ExecutorOptions): Promise<Executor & { readonly pid: number | undefined }> {
  const executor = new ExecutorClient(options);
  await executor.start();
  return executor;
}

class ExecutorClient implements Executor {
  readonly #logger: Logger;
  readonly #concurrency: number;
  readonly #queue: BoundedQueue<Job>;
  readonly #prepare: ExecutorOptions['prepare'];
  readonly #jobs = new Map<number, Job>();
  #child: ChildProcess | undefined;
  /** The child may be given commands. */
  #ready = false;
  #startedMs = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #nextId = 1;
  #closed = false;
  #exited: Promise<void> = Promise.resolve();

  constructor({ logger, concurrency = 32, queueLength = 1_000, prepare }: ExecutorOptions) {
    this.#logger = logger;
    this.#prepare = prepare;
    this.#concurrency = concurrency;
    this.#queue = new BoundedQueue(queueLength);
  }

  /** Of the executor process. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): Promise<void> {
    const child = fork(executorEntry(), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: executorFlags,
    });
    this.#child = child;
    this.#startedMs = performance.now();
    child.on('message', (message) => this.#receive(message as ExecutorReply));
    // A failed start, kill or send; 'exit' or the send callback tells the rest.
    child.on('error', (error) => this.#logger.warn({ error }, 'executor process'));
    // Only when its last messages have been read is it known which commands it had started.
    const read = new Promise<void>((resolve) => child.once('disconnect', resolve));
    const exited = new Promise<void>((resolve) => {
      child.once('exit', async (exitCode, signal) => {
        await read;
        this.#lost(child, `exit code ${exitCode}, signal ${signal}`);
        resolve();
      });
    });
    this.#exited = exited;
    const spawned = new Promise<void>((resolve, reject) => {
      child.once('spawn', () => resolve());
      child.once('error', (error) => {
        // No 'exit' follows when the process was never there.
        if (child.pid === undefined) this.#lost(child, error.message);
        reject(new AgentError('ExecutorLost', `the executor process did not start: ${error.message}`, {}, error));
      });
    });
    return spawned.then(() => this.#prepared(child));
  }

  async #prepared(child: ChildProcess): Promise<void> {
    try {
      await this.#prepare?.(child.pid!);
    } catch (error) {
      // Its end starts another.
      child.kill('SIGKILL');
      throw error;
    }
    if (this.#child !== child) return;
    this.#ready = true;
    this.#pump();
  }

  async run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const { stdin, env, cwd, timeoutMs = timeoutMsDefault, signal } = options;
    signal?.throwIfAborted();
    const id = this.#nextId++;
    const job: Job = {
      request: { kind: 'run', id, command, args, stdin, env, cwd, timeoutMs },
      answer: deferred(),
      pid: undefined,
      state: 'waiting',
    };
    const abort = () => this.#abort(job, signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const ended = (await this.#submit(job)) as Ended;
      // The command is gone by now: an aborted caller never races with what it left running.
      signal?.throwIfAborted();
      const details = { command, args, exitCode: ended.exitCode, stderr: ended.stderr };
      if (ended.timedOut) {
        throw new AgentError('CommandFailed', `${command}: did not end within ${timeoutMs} ms`, { ...details, timeoutMs });
      }
      return { exitCode: ended.exitCode, signal: ended.signal, stdout: ended.stdout, stderr: ended.stderr };
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  async check(command: string, args: readonly string[], options?: CommandOptions): Promise<string> {
    const { exitCode, signal, stdout, stderr } = await this.run(command, args, options);
    if (exitCode === 0) return stdout;
    const why = stderr.trim().slice(-2_000) || stdout.trim().slice(-2_000) || 'no output';
    const how = signal ? `signal ${signal}` : `exit code ${exitCode}`;
    throw new AgentError('CommandFailed', `${command} ${args[0] ?? ''}: ${how}: ${why}`, {
      command,
      args,
      exitCode,
      signal,
      stderr,
    });
  }

  async detach(
    command: string,
    args: readonly string[],
    options: { env?: Record<string, string>; cwd?: string; syncPipe?: boolean },
  ): Promise<{ pid: number; line: string }> {
    const { env, cwd, syncPipe = false } = options;
    const id = this.#nextId++;
    const job: Job = {
      request: { kind: 'detach', id, command, args, env, cwd, syncPipe },
      answer: deferred(),
      pid: undefined,
      state: 'waiting',
    };
    const { pid, line } = (await this.#submit(job)) as Detached;
    return { pid, line };
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#restartTimer);
    for (const job of this.#queue.drain()) this.#settle(job, new AgentError('ExecutorLost', 'the executor is closed'));
    const child = this.#child;
    if (child?.connected) child.disconnect();
    await this.#exited;
  }

  #submit(job: Job): Promise<Ended | Detached> {
    if (this.#closed) throw new AgentError('ExecutorLost', 'the executor is closed');
    if (!this.#queue.push(job)) {
      throw new AgentError('ExecutorBusy', `${this.#queue.size} commands wait already`, { command: job.request.command });
    }
    this.#pump();
    return job.answer.promise;
  }

  #pump(): void {
    const child = this.#child;
    while (this.#ready && child?.connected && this.#jobs.size < this.#concurrency) {
      const job = this.#queue.shift();
      if (!job) return;
      if (job.state === 'done') continue;
      job.state = 'running';
      this.#jobs.set(job.request.id, job);
      // When the send fails the process is going; its exit settles the job.
      child.send(job.request, undefined, undefined, () => {});
    }
  }

  #abort(job: Job, reason: unknown): void {
    if (job.state === 'waiting') this.#settle(job, reason);
    else if (job.state === 'running' && this.#child?.connected) {
      this.#child.send({ kind: 'kill', id: job.request.id }, undefined, undefined, () => {});
    }
  }

  #receive(message: ExecutorReply): void {
    const job = this.#jobs.get(message.id);
    if (!job) return;
    if (message.kind === 'started') {
      job.pid = message.pid;
      return;
    }
    this.#jobs.delete(message.id);
    if (message.kind === 'failed') {
      const { command, args } = job.request;
      this.#settle(job, new AgentError('CommandFailed', `${command}: ${message.message}`, { command, args }));
    } else {
      job.state = 'done';
      job.answer.resolve(message);
    }
    this.#pump();
  }

  #settle(job: Job, error: unknown): void {
    job.state = 'done';
    job.answer.reject(error);
  }

  #lost(child: ChildProcess, why: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#ready = false;
    const jobs = [...this.#jobs.values()];
    this.#jobs.clear();
    for (const job of jobs) {
      if (job.pid !== undefined) killGroup(job.pid);
      this.#settle(job, new AgentError('ExecutorLost', `the executor process ended (${why})`, { command: job.request.command }));
    }
    if (this.#closed) return;
    this.#logger.warn({ why, commands: jobs.length }, 'executor process ended; starting another');
    const waitMs = Math.max(0, this.#startedMs + restartIntervalMs - performance.now());
    this.#restartTimer = setTimeout(() => this.#restart(), waitMs);
  }

  #restart(): void {
    this.start().catch((error) => this.#logger.error({ error }, 'executor process did not start'));
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already: the group ended with the executor.
  }
}
