/**
 * Byte streams to named services of other members. The opener sends the service's name as one frame, the other side answers
 * with one frame of one byte, and from then on the stream belongs to both ends as it is.
 */
import type { Duplex } from 'node:stream';
import type { Connection, Stream } from '@libp2p/interface';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { toDuplex } from './duplex.ts';
import { readFrame } from './duplex-frame.ts';
import { TransportError } from './errors.ts';
import { encodeFrame } from './frames.ts';
import type { PeerId } from './types.ts';

export const serviceProtocol = '/kontiki/stream/1';
/** Streams of one connection and direction; more are refused. */
export const serviceStreamsMax = 1024;

const nameBytesMax = 1024;
const openTimeoutMs = 5000;
const answer = { refused: 0, accepted: 1, unknown: 2 } as const;

export type ServiceHandler = (from: PeerId, stream: Duplex) => void;

export class Services {
  readonly #logger: Logger;
  readonly #isMember: (connection: Connection) => boolean;
  readonly #handlers = new Map<string, ServiceHandler>();
  readonly #streams = new Set<Duplex>();

  constructor(logger: Logger, isMember: (connection: Connection) => boolean) {
    this.#logger = logger;
    this.#isMember = isMember;
  }

  handle(service: string, handler: ServiceHandler): void {
    this.#handlers.set(service, handler);
  }

  /** Rejects with TransportError 'NotMember', 'NoSuchService' or 'StreamReset', or with the signal's reason. */
  async open(connection: Connection, service: string, signal: AbortSignal): Promise<Duplex> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(openTimeoutMs)]);
    const duplex = this.#track(
      await connection.newStream(serviceProtocol, { signal: bounded, maxOutboundStreams: serviceStreamsMax }),
    );
    try {
      duplex.write(encodeFrame(Buffer.from(service)));
      const [code] = await readFrame(duplex, 1, bounded);
      if (code === answer.refused) throw new TransportError('NotMember', 'the other side does not know this peer as a member');
      if (code !== answer.accepted) throw new TransportError('NoSuchService', `the peer has no service ${service}`, { service });
      return duplex;
    } catch (error) {
      duplex.destroy();
      throw error;
    }
  }

  /** The libp2p handler of serviceProtocol. */
  async accept(stream: Stream, connection: Connection): Promise<void> {
    const from = connection.remotePeer.toString();
    const duplex = this.#track(stream);
    try {
      const name = (await readFrame(duplex, nameBytesMax, AbortSignal.timeout(openTimeoutMs))).toString();
      const handler = this.#handlers.get(name);
      if (!this.#isMember(connection)) {
        duplex.end(encodeFrame(Uint8Array.of(answer.refused)));
      } else if (!handler) {
        duplex.end(encodeFrame(Uint8Array.of(answer.unknown)));
      } else {
        duplex.write(encodeFrame(Uint8Array.of(answer.accepted)));
        handler(from, duplex);
        return;
      }
      duplex.resume();
    } catch (error) {
      this.#logger.warn({ peer: from, error }, 'a stream could not be taken');
      duplex.destroy();
    }
  }

  closeAll(reason: Error): void {
    for (const duplex of [...this.#streams]) duplex.destroy(reason);
  }

  #track(stream: Stream): Duplex {
    const duplex = toDuplex(stream);
    this.#streams.add(duplex);
    duplex.once('close', () => this.#streams.delete(duplex));
    // A connection may be lost at any time, also before the stream's user listens: that must not crash the process.
    duplex.on('error', (error) => this.#logger.debug({ error: errorMessage(error) }, 'a stream was cut'));
    return duplex;
  }
}
