/**
 * The daemon of a machine, whatever it holds: begins as what its identity says, and changes when the leader calls it to hold the log,
 * or dismisses it. A change is a restart of everything but the process: containers go on, and the others are told beforehand.
 */
import { rmSync } from 'node:fs';
import { readTerm } from '../consensus/index.ts';
import { assert } from '../lib/assert.ts';
import { errorCode, errorMessage } from '../lib/errors.ts';
import { createLogger, type Logger } from '../lib/logger.ts';
import { startClient } from './client-daemon.ts';
import { ClusterDoor } from './cluster-door.ts';
import { type NodePaths, pathsOf } from './config.ts';
import { type Daemon, type DaemonOptions, startHolder } from './daemon.ts';
import { DiskRoom } from './disk-room.ts';
import { type Identity, openIdentity, readIdentity, saveIdentity } from './identity.ts';
import { takeLock } from './machine-lock.ts';
import { finishStaging } from './recovery/staging.ts';

const farewellMs = 2_000;

/** Resolves when the machine works. Throws NodeError when it cannot. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const machine = new Machine(options);
  await machine.start();
  return machine;
}

class Machine implements Daemon {
  readonly #options: DaemonOptions;
  readonly #paths: NodePaths;
  readonly #logger: Logger;
  #room: DiskRoom | undefined;
  #daemon: Daemon | undefined;
  #stopped = false;
  /** One after the other: starts, changes, the end. */
  #work: Promise<void> = Promise.resolve();

  constructor(options: DaemonOptions) {
    const { config } = options;
    this.#options = options;
    this.#paths = pathsOf(config.dataDir);
    this.#logger = createLogger('node', config.log.level).child({ node: config.nodeName, part: 'machine' });
  }

  start(): Promise<void> {
    const { dataDir } = this.#options.config;
    // First of all: on a full disk nothing can be written before the reserve is given up.
    this.#room = new DiskRoom(dataDir, this.#logger.child({ part: 'disk' }));
    takeLock(this.#paths);
    finishStaging(dataDir);
    this.#work = this.#begin();
    return this.#work;
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#work = this.#work.then(() => this.#daemon?.stop());
    return this.#work;
  }

  async #begin(): Promise<void> {
    if (readIdentity(this.#paths)?.client) return this.#beginClient();
    assert(this.#room, 'the room on the disk is looked at first');
    let dismissedAt: number | undefined;
    try {
      this.#daemon = await startHolder({
        ...this.#options,
        room: this.#room,
        onDismissed: (index) => {
          dismissedAt = index;
          if (this.#daemon) this.#change('is dismissed from holding the log', () => this.#dismiss(index));
        },
      });
    } catch (error) {
      if (errorCode(error) !== 'BecomesClient') throw error;
      if (dismissedAt !== undefined) await this.#forget(dismissedAt);
      return this.#beginClient();
    }
    if (dismissedAt !== undefined) await this.#dismiss(dismissedAt);
  }

  async #beginClient(): Promise<void> {
    const { config } = this.#options;
    takeLock(this.#paths);
    this.#dropState();
    const identity = await openIdentity(config.dataDir, this.#paths, config.nodeName);
    this.#daemon = await startClient({
      ...this.#options,
      identity,
      onCalled: () => this.#change('is called to hold the log', () => this.#answerCall(identity)),
    });
  }

  #change(what: string, change: () => Promise<void>): void {
    this.#work = this.#work
      .then(async () => {
        if (this.#stopped) return;
        this.#logger.info({}, `this machine ${what}`);
        await change();
      })
      .catch((error: unknown) => {
        this.#logger.error({ error }, `this machine ${what}, and failed in it`);
        this.#options.onFatal(errorMessage(error));
      });
  }

  async #answerCall(identity: Identity): Promise<void> {
    const { client: _client, ...holder } = identity;
    await this.#daemon?.stop();
    this.#daemon = undefined;
    saveIdentity(this.#paths, holder);
    await this.#begin();
  }

  async #dismiss(index: number): Promise<void> {
    const { nodeName } = this.#options.config;
    // Its own consensus reaches nobody any more.
    const farewell = new ClusterDoor(this.#paths.streamsSocket).announce(nodeName, true, AbortSignal.timeout(farewellMs));
    await farewell.catch((error: unknown) => this.#logger.warn({ error }, 'the others could not be told of the restart'));
    await this.#daemon?.stop(false);
    this.#daemon = undefined;
    await this.#forget(index);
    await this.#beginClient();
  }

  /** What has to be remembered is on disk before the rest is dropped. */
  async #forget(index: number): Promise<void> {
    const identity = readIdentity(this.#paths);
    if (!identity) throw new Error('a member has an identity');
    const term = Math.max(identity.forgotten?.term ?? 0, await readTerm(this.#paths.raft));
    const forgotten = { term, index: Math.max(identity.forgotten?.index ?? 0, index) };
    // It is known to have none: an empty disk is no loss when it is called again.
    const { logged: _logged, ...kept } = identity;
    saveIdentity(this.#paths, { ...kept, client: true, founder: false, forgotten });
  }

  /** Again at each start: a crash may have come in between. */
  #dropState(): void {
    for (const folder of [this.#paths.raft, this.#paths.store]) rmSync(folder, { recursive: true, force: true });
  }
}
