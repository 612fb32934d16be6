/**
 * One question and one answer between peers that need not know each other: how a machine asks to join. Frame against
 * frame, bounded in bytes, time and number.
 */
import type { Connection, Stream } from '@libp2p/interface';
import { abortable } from '../lib/deferred.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { toDuplex } from './duplex.ts';
import { readFrame } from './duplex-frame.ts';
import { TransportError } from './errors.ts';
import { encodeFrame } from './frames.ts';
import type { PeerId } from './types.ts';

export const askProtocol = '/kontiki/ask/1';
export const askBytesMax = 64 * 1024;
export const askTimeoutMs = 10_000;
/** Questions answered at the same time; more are turned away. */
const asksMax = 16;

const outcome = { failed: 0, answered: 1 } as const;

export type AskHandler = (from: PeerId, request: Uint8Array) => Promise<Uint8Array>;

/** Asks over an open connection. Rejects with TransportError 'AskFailed', or the signal's reason. */
export async function askOver(
  connection: Connection,
  request: Uint8Array,
  signal: AbortSignal,
  logger: Logger,
): Promise<Uint8Array> {
  if (request.length > askBytesMax) throw new TransportError('AskFailed', `a question of ${request.length} bytes is too long`);
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(askTimeoutMs)]);
  const duplex = toDuplex(await connection.newStream(askProtocol, { signal: bounded }));
  duplex.on('error', (error) => logger.debug({ error: errorMessage(error) }, 'a question was cut'));
  try {
    duplex.write(encodeFrame(request));
    const reply = await readFrame(duplex, 1 + askBytesMax, bounded);
    if (reply[0] !== outcome.answered) throw new TransportError('AskFailed', 'the peer does not answer this question');
    return reply.subarray(1);
  } finally {
    duplex.destroy();
  }
}

export class Answerer {
  readonly #logger: Logger;
  #handler: AskHandler | undefined;
  #underWay = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  handle(handler: AskHandler): void {
    this.#handler = handler;
  }

  /** The libp2p handler of askProtocol. */
  async accept(stream: Stream, connection: Connection): Promise<void> {
    const from = connection.remotePeer.toString();
    const duplex = toDuplex(stream);
    duplex.on('error', (error) => this.#logger.debug({ peer: from, error: errorMessage(error) }, 'an answer was cut'));
    const signal = AbortSignal.timeout(askTimeoutMs);
    this.#underWay++;
    try {
      const request = await readFrame(duplex, askBytesMax, signal);
      const answer = await this.#answer(from, request, signal);
      duplex.end(encodeFrame(answer));
      duplex.resume();
    } catch (error) {
      this.#logger.debug({ peer: from, error: errorMessage(error) }, 'a question could not be read');
      duplex.destroy();
    } finally {
      this.#underWay--;
    }
  }

  async #answer(from: PeerId, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const failed = Uint8Array.of(outcome.failed);
    if (!this.#handler || this.#underWay > asksMax) return failed;
    try {
      const answer = await abortable(this.#handler(from, request), signal);
      if (answer.length > askBytesMax) throw new TransportError('AskFailed', `an answer of ${answer.length} bytes is too long`);
      return Buffer.concat([Uint8Array.of(outcome.answered), answer]);
    } catch (error) {
      this.#logger.warn({ peer: from, error }, 'a question could not be answered');
      return failed;
    }
  }
}
