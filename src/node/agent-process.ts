/** Keeps the agent running as a child process. Its death costs no container; it is started again with growing pauses. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { AgentOptions } from '../agent/types.ts';
import { type Clock, delay } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { entryFile } from './entry.ts';

const pauseMs = { first: 200, most: 10_000, resetAfter: 60_000 };
const stopPatienceMs = 10_000;

export interface AgentProcessOptions {
  agent: AgentOptions;
  clock: Clock;
  logger: Logger;
}

export class AgentProcess {
  readonly #options: AgentProcessOptions;
  readonly #abort = new AbortController();
  #child: ChildProcess | undefined;
  #loop: Promise<void> | undefined;

  constructor(options: AgentProcessOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    this.#loop = this.#keepRunning();
  }

  /** SIGTERM, and SIGKILL after a while: containers stay in either case. */
  async stop(): Promise<void> {
    this.#abort.abort(new Error('stopped'));
    const child = this.#child;
    child?.kill('SIGTERM');
    const timer = this.#options.clock.setTimer(stopPatienceMs, () => child?.kill('SIGKILL'));
    await this.#loop;
    timer.cancel();
  }

  async #keepRunning(): Promise<void> {
    const { clock, logger, agent } = this.#options;
    const { signal } = this.#abort;
    let waitMs = pauseMs.first;
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs();
      const outcome = await this.#runOnce(agent);
      if (signal.aborted) return;
      waitMs = clock.monotonicMs() - startedMs > pauseMs.resetAfter ? pauseMs.first : Math.min(waitMs * 2, pauseMs.most);
      logger.warn({ outcome, waitMs }, 'the agent ended and will be started again');
      // The only rejection is the stop itself, which ends the loop.
      await delay(clock, waitMs, signal).catch(() => undefined);
    }
  }

  /** Resolves with how it ended. Its standard input is a pipe from us: when we die, it notices. */
  #runOnce(agent: AgentOptions): Promise<string> {
    return new Promise((resolve) => {
      const flags = ['--max-semi-space-size=2', '--max-old-space-size=384', '--disable-warning=ExperimentalWarning'];
      const child = spawn(process.execPath, [...flags, entryFile('agent'), JSON.stringify(agent)], {
        stdio: ['pipe', 'inherit', 'inherit'],
      });
      this.#child = child;
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
  }
}
