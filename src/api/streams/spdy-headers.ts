/**
 * Header blocks of SPDY/3: name and value pairs, compressed with one zlib context for each direction of a connection and a
 * dictionary that the protocol prescribes. Source: SPDY Protocol, Draft 3.1, section 2.6.10.
 */
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';
import { StreamError } from './errors.ts';

export type SpdyHeaders = Record<string, string>;

const blockBytesMax = 64 * 1024;
const pairsMax = 256;

/** The first part of the dictionary: words with their length in front. */
const words = [
  ...'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age'.split(' '),
  ...'allow authorization cache-control connection content-base content-encoding content-language content-length'.split(' '),
  ...'content-location content-md5 content-range content-type date etag expect expires from host if-match'.split(' '),
  ...'if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma'.split(' '),
  ...'proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding'.split(' '),
  ...'upgrade user-agent vary via warning www-authenticate method get status'.split(' '),
  ...['200 OK', 'version', 'HTTP/1.1', 'url', 'public', 'set-cookie', 'keep-alive', 'origin'],
];
/** The rest: frequent values without any structure. */
const tail = [
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505',
  '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized',
  '403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable',
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT',
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,',
  'publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.',
];

/** 1,423 bytes; its Adler-32, which zlib streams name, is e3c6a7c2. */
export const spdyDictionary: Buffer = Buffer.concat([
  ...words.flatMap((word) => [uint32(word.length), Buffer.from(word)]),
  Buffer.from(tail.join('')),
]);

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** What is ready may still wait in the stream: reading it gives it to the listener for 'data'. */
function takeAll(stream: Deflate | Inflate): void {
  while (stream.read() !== null);
}

/** One direction's compression. Calls must not overlap, and every block must pass, in order. */
export class HeaderCompressor {
  readonly #deflate: Deflate = createDeflate({ dictionary: spdyDictionary });
  #chunks: Buffer[] = [];

  constructor() {
    this.#deflate.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
  }

  async compress(headers: SpdyHeaders): Promise<Buffer> {
    const pairs = Object.entries(headers);
    const parts = pairs.flat().flatMap((text) => [uint32(Buffer.byteLength(text)), Buffer.from(text)]);
    const deflate = this.#deflate;
    await new Promise<void>((resolve, reject) => {
      deflate.once('error', reject);
      deflate.write(Buffer.concat([uint32(pairs.length), ...parts]));
      deflate.flush(constants.Z_SYNC_FLUSH, () => {
        deflate.off('error', reject);
        resolve();
      });
    });
    takeAll(deflate);
    const block = Buffer.concat(this.#chunks);
    this.#chunks = [];
    return block;
  }

  close(): void {
    this.#deflate.destroy();
  }
}

/** The other direction. As for HeaderCompressor. Rejects with StreamError 'SpdyProtocol'. */
export class HeaderDecompressor {
  readonly #inflate: Inflate = createInflate({ dictionary: spdyDictionary, finishFlush: constants.Z_SYNC_FLUSH });
  #chunks: Buffer[] = [];
  #bytes = 0;
  #failed: StreamError | undefined;

  constructor() {
    this.#inflate.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length;
      if (this.#bytes <= blockBytesMax) this.#chunks.push(chunk);
      else this.#fail(`a header block is larger than ${blockBytesMax} bytes`);
    });
    this.#inflate.on('error', (error) => this.#fail(`a header block cannot be decompressed: ${error.message}`));
  }

  async decompress(block: Buffer): Promise<SpdyHeaders> {
    const inflate = this.#inflate;
    await new Promise<void>((resolve) => {
      inflate.once('close', resolve);
      inflate.write(block, () => {
        inflate.off('close', resolve);
        resolve();
      });
    });
    if (this.#failed) throw this.#failed;
    takeAll(inflate);
    const plain = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#bytes = 0;
    return parsePairs(plain);
  }

  close(): void {
    this.#inflate.destroy();
  }

  #fail(message: string): void {
    this.#failed ??= new StreamError('SpdyProtocol', message);
    this.#inflate.destroy();
  }
}

function parsePairs(block: Buffer): SpdyHeaders {
  let offset = 0;
  const number = (): number => {
    if (offset + 4 > block.length) throw new StreamError('SpdyProtocol', 'a header block ends early');
    offset += 4;
    return block.readUInt32BE(offset - 4);
  };
  const text = (): string => {
    const length = number();
    if (offset + length > block.length) throw new StreamError('SpdyProtocol', 'a header block ends early');
    offset += length;
    return block.toString('utf8', offset - length, offset);
  };
  const count = number();
  if (count > pairsMax) throw new StreamError('SpdyProtocol', `a header block of ${count} pairs is above ${pairsMax}`);
  const headers: SpdyHeaders = {};
  for (let i = 0; i < count; i++) headers[text().toLowerCase()] = text();
  return headers;
}
