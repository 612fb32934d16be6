/** A client of one member, over one HTTP/2 connection without TLS. */
import http2 from 'node:http2';
import { fields, framed, message, paths, read, Unframer } from './kv-wire.ts';

export class KvClient {
  readonly #session: http2.ClientHttp2Session;

  constructor(port: number) {
    this.#session = http2.connect(`http://127.0.0.1:${port}`);
    this.#session.setMaxListeners(0);
    // Every request on a broken connection fails by itself.
    this.#session.on('error', () => undefined);
  }

  async put(key: string, value: Buffer, signal?: AbortSignal): Promise<void> {
    const { request } = fields;
    await this.#call(
      paths.put,
      message([
        [request.key, Buffer.from(key)],
        [request.valueOrRangeEnd, value],
      ]),
      signal,
    );
  }

  /** Linearizable. */
  async get(key: string): Promise<Buffer | undefined> {
    const answer = await this.#call(paths.range, message([[fields.request.key, Buffer.from(key)]]));
    const found = read(answer, fields.rangeResponse.kvs);
    return found && read(found.bytes, fields.keyValue.value)?.bytes;
  }

  /** Whether the member says that it leads. */
  async leads(): Promise<boolean> {
    const answer = await this.#call(paths.status, Buffer.alloc(0), AbortSignal.timeout(1_000));
    const header = read(answer, fields.statusResponse.header);
    const own = header && read(header.bytes, fields.header.memberId)?.number;
    return own !== undefined && read(answer, fields.statusResponse.leader)?.number === own;
  }

  /** Calls `onEvents` at each answer with events, until `close`. Resolves when the watch stands. */
  async watch(prefix: string, onEvents: () => void): Promise<void> {
    const stream = this.#session.request(headersOf(paths.watch));
    const unframer = new Unframer();
    const { request, watchRequest, watchResponse } = fields;
    const end = `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
    const create = message([
      [request.key, Buffer.from(prefix)],
      [request.valueOrRangeEnd, Buffer.from(end)],
    ]);
    stream.write(framed(message([[watchRequest.create, create]])));
    await new Promise<void>((resolve, reject) => {
      stream.on('error', reject);
      stream.on('data', (chunk: Buffer) => {
        for (const answer of unframer.push(chunk)) {
          resolve();
          if (read(answer, watchResponse.events)) onEvents();
        }
      });
    });
  }

  close(): void {
    this.#session.destroy();
  }

  #call(path: string, body: Buffer, signal?: AbortSignal): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const stream = this.#session.request(headersOf(path), signal ? { signal } : {});
      const unframer = new Unframer();
      let answer: Buffer | undefined;
      let status = '';
      stream.on('response', (headers) => {
        status = String(headers['grpc-status'] ?? (headers[':status'] === 200 ? '0' : headers[':status']));
      });
      stream.on('trailers', (trailers) => {
        status = String(trailers['grpc-status'] ?? status);
      });
      stream.on('data', (chunk: Buffer) => {
        for (const whole of unframer.push(chunk)) answer = whole;
      });
      stream.on('error', reject);
      stream.on('close', () => {
        if (status === '0' && answer) resolve(answer);
        else reject(new Error(`${path} was answered with status ${status || 'none'}`));
      });
      stream.end(framed(body));
    });
  }
}

function headersOf(path: string) {
  return { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
}
