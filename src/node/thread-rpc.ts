/**
 * Calls between the main thread and the peer thread, both ways, over a message port. What one round of the event loop says goes
 * over in one message, since waking the other thread costs more than what is said. Bounded: a call beyond `callsMax` under way
 * is refused at once. Errors keep their message, and their code where they have one.
 */
import type { MessagePort, Worker } from 'node:worker_threads';
import { abortable } from '../lib/deferred.ts';
import { errorCode, errorMessage, KontikiError } from '../lib/errors.ts';

const callsMax = 20_000;

type Handler = (argument: never) => unknown;

type Message =
  | { call: number; method: string; argument: unknown }
  | { answer: number; value: unknown }
  | { answer: number; error: { message: string; code: string | undefined } }
  | { notice: string; argument: unknown };

export class ThreadRpc {
  readonly #port: MessagePort | Worker;
  readonly #handlers: Record<string, Handler>;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>();
  #lastCall = 0;
  #outgoing: Message[] = [];
  #closed: Error | undefined;

  /** `handlers` answer calls and take notices from the other side, by name. */
  constructor(port: MessagePort | Worker, handlers: Record<string, Handler>) {
    this.#port = port;
    this.#handlers = handlers;
    (port as MessagePort).on('message', (messages: Message[]) => {
      for (const message of messages) this.#onMessage(message);
    });
  }

  /** The other side's handler's answer. With a signal: stops waiting, the call itself goes on. */
  call<T>(method: string, argument: unknown, signal?: AbortSignal): Promise<T> {
    if (this.#closed) return Promise.reject(this.#closed);
    if (this.#waiting.size >= callsMax) {
      return Promise.reject(new KontikiError('Busy', `more than ${callsMax} calls to the other thread are under way`));
    }
    const call = ++this.#lastCall;
    const answer = new Promise<T>((resolve, reject) => {
      this.#waiting.set(call, { resolve: resolve as (value: unknown) => void, reject });
    });
    this.#post({ call, method, argument });
    return abortable(answer, signal);
  }

  /** Tells the other side something, without an answer. */
  notify(notice: string, argument: unknown): void {
    if (!this.#closed) this.#post({ notice, argument });
  }

  /** Every call under way, and every later one, is rejected with `error`. */
  close(error: Error): void {
    this.#closed = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #post(message: Message): void {
    this.#outgoing.push(message);
    if (this.#outgoing.length > 1) return;
    setImmediate(() => {
      const messages = this.#outgoing;
      this.#outgoing = [];
      this.#port.postMessage(messages);
    });
  }

  #onMessage(message: Message): void {
    if ('call' in message) {
      void this.#answer(message.call, message.method, message.argument);
    } else if ('notice' in message) {
      this.#handlers[message.notice]?.(message.argument as never);
    } else {
      const waiting = this.#waiting.get(message.answer);
      this.#waiting.delete(message.answer);
      if (!waiting) return;
      if ('error' in message) waiting.reject(new KontikiError(message.error.code ?? 'Failed', message.error.message));
      else waiting.resolve(message.value);
    }
  }

  async #answer(call: number, method: string, argument: unknown): Promise<void> {
    try {
      const handler = this.#handlers[method];
      if (!handler) throw new KontikiError('UnknownMethod', `no handler for ${method}`);
      const value = await handler(argument as never);
      this.#post({ answer: call, value });
    } catch (error) {
      const { message, code } = { message: errorMessage(error), code: errorCode(error) };
      this.#post({ answer: call, error: { message, code } });
    }
  }
}

/** A copy with a buffer of its own: posting a view of a pooled buffer would copy the whole pool. */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength && bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes);
}
