/**
 * This machine's way to one that holds the state, through the peer thread: byte streams to its API, and calls of its control socket.
 * Which machine that is, and what happens when it is lost, is the peer thread's matter (voter-door.ts).
 */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { LogPlace, MemberRecord } from './cluster-records.ts';
import type { ClusterFacts } from './cluster-routes.ts';
import { NodeError } from './errors.ts';
import { type DoorService, takenByte } from './voter-door.ts';

/** Longer than a command of the administrator may take. */
const callMs = 100_000;

export class ClusterDoor {
  readonly #streamsSocket: string;

  constructor(streamsSocket: string) {
    this.#streamsSocket = streamsSocket;
  }

  /** Resolves when the other machine's daemon has taken the stream. Rejects with NodeError 'NoVoter': nothing was sent. */
  async connect(service: DoorService, signal: AbortSignal, except = ''): Promise<Socket> {
    signal.throwIfAborted();
    const socket = connect({ path: this.#streamsSocket });
    try {
      await once(socket, 'connect', { signal });
      socket.write(`* ${service} ${except}`.trimEnd().concat('\n'));
      await takenByte(socket, signal);
      return socket;
    } catch (error) {
      socket.destroy();
      signal.throwIfAborted();
      throw new NodeError('NoVoter', 'no machine that holds the state can be reached', {}, error);
    }
  }

  facts(signal: AbortSignal): Promise<ClusterFacts> {
    return this.call('GET', '/cluster', undefined, signal);
  }

  /** False: this machine has no record any more. */
  async putRecord(record: MemberRecord, signal: AbortSignal): Promise<boolean> {
    return (await this.call<{ known: boolean }>('POST', '/cluster/record', { record }, signal)).known;
  }

  /** False: the record says something else by now. */
  async setLogPlace(id: string, from: LogPlace, to: LogPlace, signal: AbortSignal): Promise<boolean> {
    return (await this.call<{ done: boolean }>('POST', '/cluster/log', { id, from, to }, signal)).done;
  }

  async announce(nodeName: string, away: boolean, signal: AbortSignal): Promise<void> {
    await this.call('POST', '/cluster/away', { nodeName, away }, signal);
  }

  /** Answers a question that was put to this machine. */
  async answer(asked: string, from: string, bytes: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const body = { asked, from, request: Buffer.from(bytes).toString('base64') };
    const { answer } = await this.call<{ answer: string }>('POST', '/cluster/ask', body, signal);
    return Buffer.from(answer, 'base64');
  }

  /** A call of the other machine's control socket. Throws its own words, or NodeError 'NoVoter'. */
  async call<T>(method: string, path: string, body: unknown, signal: AbortSignal, except?: string): Promise<T> {
    const answer = await this.stream(method, path, body, AbortSignal.any([signal, AbortSignal.timeout(callMs)]), except);
    return JSON.parse((await readAll(answer)).toString()) as T;
  }

  /** The same for an answer of bytes, as they come. */
  async stream(method: string, path: string, body: unknown, signal: AbortSignal, except?: string): Promise<IncomingMessage> {
    const socket = await this.connect('door-control', signal, except);
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const call = request({ createConnection: () => socket, method, path, signal }, resolve);
      call.once('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
    if (answer.statusCode === 200) return answer;
    const { error } = JSON.parse((await readAll(answer)).toString()) as { error?: string };
    throw new NodeError('MemberRefused', error ?? `the other machine answered ${answer.statusCode}`);
  }
}

async function readAll(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
