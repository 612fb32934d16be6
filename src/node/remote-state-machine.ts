/** The replicated state machine as the peer thread sees it: the store itself lives in the main thread. */
import type { Entry, StateMachine } from '../consensus/types.ts';
import { packEntries } from './entry-batch.ts';
import type { MainCalls } from './peer-protocol.ts';
import { ownBytes } from './thread-rpc.ts';

type MainCaller = <Method extends keyof MainCalls>(
  method: Method,
  argument: Parameters<MainCalls[Method]>[0],
) => ReturnType<MainCalls[Method]>;

export class RemoteStateMachine implements StateMachine {
  readonly #ask: MainCaller;
  #durable: { index: number; term: number };

  constructor(ask: MainCaller, durable: { index: number; term: number }) {
    this.#ask = ask;
    this.#durable = durable;
  }

  setDurable(position: { index: number; term: number }): void {
    if (position.index > this.#durable.index) this.#durable = position;
  }

  apply(entries: Entry[]): Promise<void> {
    return this.#ask('apply', packEntries(entries));
  }

  durable(): { index: number; term: number } {
    return this.#durable;
  }

  async snapshot(signal: AbortSignal): Promise<{ index: number; term: number; chunks: AsyncIterable<Uint8Array> }> {
    const { stream, index, term } = await this.#ask('snapshotOpen', null);
    const ask = this.#ask;
    async function* chunks(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          signal.throwIfAborted();
          const chunk = await ask('snapshotNext', stream);
          if (chunk === undefined) return;
          yield chunk;
        }
      } finally {
        await ask('snapshotClose', stream);
      }
    }
    return { index, term, chunks: chunks() };
  }

  async restore(meta: { index: number; term: number }, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const stream = await this.#ask('restoreOpen', meta);
    let complete = false;
    try {
      for await (const chunk of chunks) await this.#ask('restoreChunk', { stream, chunk: ownBytes(chunk) });
      complete = true;
    } finally {
      await this.#ask('restoreEnd', { stream, complete });
    }
    this.#durable = { index: meta.index, term: meta.term };
  }
}
