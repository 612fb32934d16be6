/**
 * libp2p's TLS, which would make a record, a write and a turn of the event loop of its own out of every piece it is given: yamux
 * gives it twelve bytes of header and then the data, so each frame would travel twice and wake the other side twice. Here the
 * pieces of one send become one write.
 */
import type { ConnectionEncrypter, MessageStream } from '@libp2p/interface';
import { type TLSComponents, tls } from '@libp2p/tls';

/** What @libp2p/tls gives for an encrypted connection, as far as it is used here. */
interface EncryptedStream extends MessageStream {
  socket: { write(bytes: Uint8Array): boolean };
  sendData(pieces: { byteLength: number; subarray(): Uint8Array }): { sentBytes: number; canSendMore: boolean };
}

export function gatheredTls(): (components: TLSComponents) => ConnectionEncrypter {
  return (components) => {
    const encrypter = tls()(components);
    const { secureInbound, secureOutbound } = encrypter;
    encrypter.secureInbound = async (...parts) => gathering(await secureInbound.apply(encrypter, parts));
    encrypter.secureOutbound = async (...parts) => gathering(await secureOutbound.apply(encrypter, parts));
    return encrypter;
  };
}

function gathering<Secured extends { connection: MessageStream }>(secured: Secured): Secured {
  const stream = secured.connection as EncryptedStream;
  const { socket } = stream;
  stream.sendData = (pieces) => ({ sentBytes: pieces.byteLength, canSendMore: socket.write(pieces.subarray()) });
  return secured;
}
