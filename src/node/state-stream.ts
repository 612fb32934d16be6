/** A snapshot of one member's state for another one that has to replace its own: index and term, then the snapshot's bytes. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { type Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { StateMachine } from '../consensus/types.ts';
import type { OfferedSnapshot } from './state-repair.ts';

const headBytes = 16;
const sendTimeoutMs = 120_000;

/** Sends and ends the stream. Rejects, with the stream destroyed, when this peer does not trust its own state. */
export async function sendState(stateMachine: Pick<StateMachine, 'snapshot'>, stream: Duplex): Promise<void> {
  const signal = AbortSignal.timeout(sendTimeoutMs);
  stream.resume();
  try {
    const { index, term, chunks } = await stateMachine.snapshot(signal);
    await pipeline(Readable.from(withHead(index, term, chunks)), stream, { signal });
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

async function* withHead(index: number, term: number, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const head = Buffer.alloc(headBytes);
  head.writeBigUInt64BE(BigInt(index), 0);
  head.writeBigUInt64BE(BigInt(term), 8);
  yield head;
  yield* chunks;
}

/** Asks `peer` by way of the peer thread. Rejects when the peer cannot be reached or has no state to give. */
export async function fetchState(streamsSocket: string, peer: string, signal: AbortSignal): Promise<OfferedSnapshot> {
  signal.throwIfAborted();
  const socket = connect({ path: streamsSocket, signal });
  await once(socket, 'connect');
  socket.write(`${peer} state\n`);
  const parts = socket.iterator() as AsyncIterator<Buffer> & AsyncIterable<Buffer>;
  let head = Buffer.alloc(0);
  while (head.length < headBytes) {
    const next = await parts.next();
    if (next.done) throw new Error(`${peer} gave no snapshot`);
    head = Buffer.concat([head, next.value]);
  }
  const [index, term] = [Number(head.readBigUInt64BE(0)), Number(head.readBigUInt64BE(8))];
  async function* chunks(): AsyncGenerator<Uint8Array> {
    if (head.length > headBytes) yield head.subarray(headBytes);
    yield* parts;
  }
  return { from: peer, index, term, chunks: chunks() };
}
