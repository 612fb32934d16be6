/** The main thread's end of the peer thread: starts it, answers its calls from the store, and offers consensus to the rest. */
import { Worker } from 'node:worker_threads';
import type { ConsensusStatus, Entry, MembershipChange } from '../consensus/types.ts';
import { assert } from '../lib/assert.ts';
import type { NodeHealthView } from '../machinery/node-health.ts';
import type { StateHash, Store } from '../store/index.ts';
import { entryFile } from './entry.ts';
import { unpackEntries } from './entry-batch.ts';
import { NodeError } from './errors.ts';
import type { MainCalls, MainNotices, Member, PeerCalls, PeerThreadOptions } from './peer-protocol.ts';
import type { StateJudgement } from './state-exchange.ts';
import { ownBytes, ThreadRpc } from './thread-rpc.ts';

export interface PeerThreadEvents {
  /** Applies to the store; resolves when more may come. */
  onEntries(entries: Entry[]): Promise<void>;
  onChanged(status: ConsensusStatus): void;
  /** Consensus is about to replace the store by a snapshot; it waits. */
  beforeRestore(): Promise<void>;
  /** The store was replaced by a snapshot, or the attempt failed. */
  onRestored(restored: boolean): void;
  /** Why the store's state is not for others; undefined when it is. */
  distrusted(): string | undefined;
  onStateJudged(judgement: StateJudgement): void;
  onHealth(views: NodeHealthView[]): void;
  /** Consensus stopped for good: a write or fsync failed, or the thread died. The process must end. */
  onFatal(message: string): void;
  /** A newcomer's request. */
  onAsk(from: string, request: Uint8Array): Promise<Uint8Array>;
}

/** A restore that the peer thread feeds chunk by chunk. */
interface Restore {
  push(chunk: Uint8Array | undefined): Promise<void>;
  done: Promise<void>;
}

export class PeerThread {
  readonly #worker: Worker;
  readonly #rpc: ThreadRpc;
  readonly #store: Store;
  readonly #snapshots = new Map<number, AsyncIterator<Uint8Array>>();
  readonly #restores = new Map<number, Restore>();
  #lastStream = 0;
  #stopping = false;

  constructor(options: PeerThreadOptions, store: Store, events: PeerThreadEvents) {
    this.#store = store;
    // Its own small heap: what it holds is bounded by queues and windows.
    this.#worker = new Worker(entryFile('peer-thread'), { workerData: options, resourceLimits: { maxOldGenerationSizeMb: 512 } });
    const calls: MainCalls = {
      apply: (batch) => events.onEntries(unpackEntries(batch)),
      snapshotOpen: () => this.#snapshotOpen(events.distrusted()),
      snapshotNext: (stream) => this.#snapshotNext(stream),
      snapshotClose: async (stream) => void this.#snapshots.delete(stream),
      restoreOpen: async (meta) => {
        await events.beforeRestore();
        return this.#restoreOpen(meta);
      },
      restoreChunk: ({ stream, chunk }) => this.#restore(stream).push(chunk),
      restoreEnd: async ({ stream, complete }) => {
        let restored = false;
        try {
          await this.#restoreEnd(stream, complete);
          restored = true;
        } finally {
          events.onRestored(restored);
        }
      },
      answerAsk: ({ from, request }) => events.onAsk(from, request),
    };
    const notices: { [Notice in keyof MainNotices]: (argument: MainNotices[Notice]) => void } = {
      changed: events.onChanged,
      health: events.onHealth,
      stateJudged: events.onStateJudged,
      fatal: ({ message }) => events.onFatal(message),
    };
    this.#rpc = new ThreadRpc(this.#worker, { ...calls, ...notices } as unknown as Record<string, (argument: never) => unknown>);
    this.#worker.on('error', (error) => this.#end(error, events));
    this.#worker.on('exit', (code) => this.#end(new Error(`the peer thread ended with code ${code}`), events));
  }

  call<Method extends keyof PeerCalls>(
    method: Method,
    argument: Parameters<PeerCalls[Method]>[0],
    signal?: AbortSignal,
  ): Promise<Awaited<ReturnType<PeerCalls[Method]>>> {
    return this.#rpc.call(method, argument, signal);
  }

  propose(data: Uint8Array, signal?: AbortSignal): Promise<{ index: number }> {
    return this.call('propose', ownBytes(data), signal);
  }

  changeMembership(change: MembershipChange, signal?: AbortSignal): Promise<void> {
    return this.call('changeMembership', change, signal);
  }

  setMembers(members: Member[]): void {
    this.#rpc.notify('members', members);
  }

  /** Where some member is found, when all addresses have changed. */
  hintAddress(multiaddr: string): void {
    this.#rpc.notify('hint', multiaddr);
  }

  setDurable(position: { index: number; term: number }): void {
    this.#rpc.notify('durable', position);
  }

  setDiskLow(low: boolean): void {
    this.#rpc.notify('diskLow', low);
  }

  setStateHashes(hashes: readonly StateHash[]): void {
    this.#rpc.notify('stateHashes', hashes);
  }

  /** Stops transport and consensus, then the thread. */
  async stop(): Promise<void> {
    this.#stopping = true;
    try {
      await this.call('stop', null, AbortSignal.timeout(10_000));
    } finally {
      await this.#worker.terminate();
    }
  }

  #end(error: Error, events: PeerThreadEvents): void {
    this.#rpc.close(error);
    if (!this.#stopping) events.onFatal(error.message);
  }

  async #snapshotOpen(distrusted: string | undefined): Promise<{ stream: number; index: number; term: number }> {
    if (distrusted !== undefined) throw new NodeError('StateDamaged', `this peer gives no snapshot: ${distrusted}`);
    const { index, term, chunks } = this.#store.snapshot();
    const stream = ++this.#lastStream;
    this.#snapshots.set(stream, chunks[Symbol.asyncIterator]());
    return { stream, index, term };
  }

  async #snapshotNext(stream: number): Promise<Uint8Array | undefined> {
    const chunks = this.#snapshots.get(stream);
    assert(chunks, 'a snapshot is read only while it is open');
    const next = await chunks.next();
    return next.done ? undefined : ownBytes(next.value);
  }

  async #restoreOpen(meta: { index: number; term: number }): Promise<number> {
    const stream = ++this.#lastStream;
    const pipe = new TransformStream<Uint8Array, Uint8Array>();
    const writer = pipe.writable.getWriter();
    const done = this.#store.restore(meta, pipe.readable as unknown as AsyncIterable<Uint8Array>);
    // Watched from the start, so that a failure between two chunks is not an unhandled rejection; restoreEnd reports it.
    done.catch((error: unknown) => writer.abort(error).catch(() => undefined));
    this.#restores.set(stream, {
      done,
      push: (chunk) => (chunk === undefined ? writer.close() : writer.write(chunk)),
    });
    return stream;
  }

  #restore(stream: number): Restore {
    const restore = this.#restores.get(stream);
    assert(restore, 'a restore is fed only while it is open');
    return restore;
  }

  async #restoreEnd(stream: number, complete: boolean): Promise<void> {
    const restore = this.#restore(stream);
    this.#restores.delete(stream);
    if (!complete) throw new Error('the snapshot broke off and was not restored');
    await restore.push(undefined);
    await restore.done;
  }
}
