/** Consensus nodes in one process: a network in memory that can be cut, disks in memory that outlive their node, a list as state. */
import { setImmediate as turn } from 'node:timers/promises';
import { decode, encode } from 'msgpackr';
import { emptyState } from '../../src/consensus/core.ts';
import {
  ConsensusNode,
  type ConsensusNodeOptions,
  type ConsensusStatus,
  type Entry,
  type LogBatch,
  type LogStorage,
  type StateMachine,
  type StoredLog,
} from '../../src/consensus/index.ts';
import { storedAfter } from '../../src/consensus/log-batch.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { seededRandom } from '../../src/lib/random.ts';

/** Keeps what was written whole; can be told to fail once, or to take its time. */
export class MemoryLogStorage implements LogStorage {
  stored: StoredLog | undefined;
  writes = 0;
  failure: Error | undefined;
  /** Writes wait for it. */
  held: Promise<void> | undefined;

  async load(): Promise<StoredLog | undefined> {
    return this.stored;
  }

  async write(batch: LogBatch): Promise<void> {
    await turn();
    await this.held;
    const { failure } = this;
    this.failure = undefined;
    if (failure) throw failure;
    this.writes++;
    this.stored = storedAfter(this.stored ?? { ...emptyState(), restoring: undefined }, batch);
  }
}

/** The texts of all normal entries, in order. Durable at once. */
export class ListMachine implements StateMachine {
  items: string[] = [];
  index = 0;
  term = 0;
  restores = 0;

  async apply(entries: Entry[]): Promise<void> {
    await turn();
    for (const entry of entries) {
      if (entry.index !== this.index + 1) throw new Error(`entry ${entry.index} after ${this.index}`);
      if (entry.kind === 'normal') this.items.push(Buffer.from(entry.data).toString());
      this.index = entry.index;
      this.term = entry.term;
    }
  }

  durable() {
    return { index: this.index, term: this.term };
  }

  async snapshot() {
    const image = encode(this.items);
    async function* chunks() {
      for (let at = 0; at < image.length; at += 1 << 20) yield image.subarray(at, at + (1 << 20));
    }
    return { index: this.index, term: this.term, chunks: chunks() };
  }

  async restore(meta: { index: number; term: number }, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    this.items = decode(Buffer.concat(parts));
    Object.assign(this, { index: meta.index, term: meta.term, restores: this.restores + 1 });
  }
}

export interface Member {
  id: string;
  node: ConsensusNode;
  storage: MemoryLogStorage;
  machine: ListMachine;
  fatal: unknown[];
}

export class Cluster {
  readonly members = new Map<string, Member>();
  /** Ids that neither send nor receive. */
  readonly cut = new Set<string>();
  readonly #handlers = new Map<string, (from: string, frame: Uint8Array) => void>();
  readonly #options: Partial<ConsensusNodeOptions>;
  #loses: (() => boolean) | undefined;

  constructor(options: Partial<ConsensusNodeOptions> = {}) {
    this.#options = options;
  }

  /** Starts a node; with the disk and the state it had when it ran before. */
  async start(id: string, bootstrap = false): Promise<Member> {
    const before = this.members.get(id);
    const storage = before?.storage ?? new MemoryLogStorage();
    const machine = before?.machine ?? new ListMachine();
    const fatal: unknown[] = [];
    const node = new ConsensusNode({
      id,
      bootstrap,
      storage,
      stateMachine: machine,
      network: {
        send: (to, frame) => this.#deliver(id, to, frame),
        onFrame: (handler) => this.#handlers.set(id, handler),
      },
      clock: systemClock,
      random: seededRandom(id.charCodeAt(0)),
      logger: silentLogger,
      onFatal: (error) => fatal.push(error),
      tickMs: 10,
      ...this.#options,
    });
    const member = { id, node, storage, machine, fatal };
    this.members.set(id, member);
    await node.start();
    return member;
  }

  async kill(id: string): Promise<void> {
    this.#handlers.delete(id);
    await this.members.get(id)!.node.stop();
  }

  /** `ids` as voters, the first of them having made the cluster. */
  async startVoters(...ids: string[]): Promise<Member[]> {
    const first = await this.start(ids[0]!, true);
    const all = [first];
    for (const id of ids.slice(1)) {
      all.push(await this.start(id));
      await first.node.changeMembership({ type: 'addLearner', peer: id });
      await first.node.changeMembership({ type: 'promote', peer: id });
    }
    return all;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.members.values()].map(({ node }) => node.stop()));
  }

  /** Resolves with the member that leads and is followed by itself, not being one of `others`. */
  async leader(...others: string[]): Promise<Member> {
    let found: Member | undefined;
    await until(() => {
      found = [...this.members.values()].find(
        ({ id, node }) => !others.includes(id) && this.#handlers.has(id) && node.status().role === 'leader',
      );
      return found !== undefined;
    });
    return found!;
  }

  /** Loses each frame for which `loses` returns true. */
  lose(loses: () => boolean): { restore: () => void } {
    this.#loses = loses;
    return {
      restore: () => {
        this.#loses = undefined;
      },
    };
  }

  #deliver(from: string, to: string, frame: Uint8Array): boolean {
    if (this.cut.has(from) || this.cut.has(to) || this.#loses?.()) return true;
    const copy = new Uint8Array(frame);
    setImmediate(() => this.#handlers.get(to)?.(from, copy));
    return this.#handlers.has(to);
  }
}

/** Resolves when `condition` holds; it is tried in each turn of the event loop. The test runner bounds the wait. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

export const text = (value: string) => Buffer.from(value);
export const statusOf = (member: Member): ConsensusStatus => member.node.status();
