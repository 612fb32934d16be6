/**
 * A watch over WebSocket: each event is one text message, in the form that a line of the ordinary answer has. What the client
 * says is not listened to. The end of the watch closes the connection.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { tokenProtocolPrefix } from '../authentication.ts';
import { acceptWebSocket, offeredProtocols } from '../streams/websocket.ts';
import type { RequestLine } from './exchange.ts';
import type { Asked } from './negotiation.ts';
import type { WatchOutput } from './watch-stream.ts';

const normalClosure = 1000;

/** What was asked for by the upgrade. */
export function askedBy({ query }: RequestLine, { headers }: IncomingMessage): Asked {
  return {
    query,
    header: (name) => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(', ') : (value ?? '');
    },
  };
}

/** Answers the upgrade. StatusError 400 when the request is no WebSocket handshake. */
export async function openWatchSocket(upgrade: { request: IncomingMessage; socket: Duplex; head: Buffer }): Promise<WatchOutput> {
  // There is nothing to agree on: a client that names protocols gets the first. A token among them is none.
  const [protocol = ''] = offeredProtocols(upgrade.request).filter((name) => !name.startsWith(tokenProtocolPrefix));
  return new SocketOutput(await acceptWebSocket(upgrade, protocol));
}

class SocketOutput implements WatchOutput {
  readonly messages = true;
  readonly #socket: WebSocket;
  readonly #gone = new AbortController();

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', () => {});
    // An error is followed by 'close'.
    socket.on('error', () => socket.terminate());
    socket.on('close', () => this.#gone.abort(new Error('the client has gone')));
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get pendingBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** The head was the answer to the upgrade. */
  open(): void {}

  write(event: Buffer): boolean {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(event, { binary: false });
    return true;
  }

  end(): void {
    this.#socket.close(normalClosure);
  }

  destroy(): void {
    this.#socket.terminate();
  }
}
