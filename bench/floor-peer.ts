/**
 * One process of the floor (floor.ts): what a put costs in Node without any consensus, store or check. The first one takes puts on its
 * main thread, its worker sends them to the two others over TLS and writes them to a file; two fdatasyncs of three confirm them.
 * Whatever comes at the same time shares a message, a frame and an fdatasync.
 */
import { closeSync, fdatasync, openSync, write } from 'node:fs';
import http2 from 'node:http2';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { fields, framed, message, paths, Unframer } from './kv-wire.ts';

export interface FloorOptions {
  /** Left out: this process takes no puts, it listens on `peerPort`. */
  clientPort?: number;
  /** Of the others. */
  peerPorts: number[];
  peerPort: number;
  file: string;
  keys: Keys;
}

interface Keys {
  cert: string;
  key: string;
  ca: string;
}

interface Put {
  id: number;
  bytes: Uint8Array;
}

if (isMainThread) main(JSON.parse(process.argv[2] as string) as FloorOptions);
else worker(workerData as FloorOptions);

function main(options: FloorOptions): void {
  const thread = new Worker(new URL(import.meta.url), { workerData: options });
  thread.on('error', (error) => {
    console.error(error);
    process.exit(1);
  });
  const waiting = new Map<number, http2.ServerHttp2Stream>();
  let lastId = 0;
  let gathered: Put[] = [];
  thread.on('message', (done: 'ready' | number[]) => {
    if (done === 'ready') process.send?.('ready');
    else for (const id of done) finish(waiting.get(id), id);
  });
  const finish = (stream: http2.ServerHttp2Stream | undefined, id: number) => {
    waiting.delete(id);
    if (stream && !stream.destroyed) answer(stream, Buffer.alloc(0));
  };
  const put = (stream: http2.ServerHttp2Stream, request: Buffer) => {
    waiting.set(++lastId, stream);
    gathered.push({ id: lastId, bytes: new Uint8Array(request) });
    if (gathered.length > 1) return;
    setImmediate(() => {
      thread.postMessage(gathered);
      gathered = [];
    });
  };
  process.on('disconnect', () => process.exit(0));
  if (options.clientPort === undefined) return;
  const server = http2.createServer({ settings: { maxConcurrentStreams: 1_000 } });
  server.on('stream', (stream, headers) => {
    const unframer = new Unframer();
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => {
      for (const request of unframer.push(chunk)) {
        if (headers[':path'] === paths.put) put(stream, request);
        else if (headers[':path'] === paths.status) answer(stream, leads());
        else stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      }
    });
  });
  server.listen(options.clientPort, '127.0.0.1');
}

function answer(stream: http2.ServerHttp2Stream, content: Buffer): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
  stream.end(framed(content));
}

function leads(): Buffer {
  const header = message([[fields.header.memberId, 1]]);
  return message([
    [fields.statusResponse.header, header],
    [fields.statusResponse.leader, 1],
  ]);
}

/** Appends what is queued, with one fdatasync for all of it, one after the other. */
function appender(file: string, onSynced: (last: number) => void): (bytes: Uint8Array, last: number) => void {
  const fd = openSync(file, 'a');
  process.on('exit', () => closeSync(fd));
  let queue: Uint8Array[] = [];
  let last = 0;
  let busy = false;
  const run = () => {
    if (queue.length === 0) return;
    busy = true;
    const [bytes, upTo] = [queue.length === 1 ? (queue[0] as Uint8Array) : Buffer.concat(queue), last];
    queue = [];
    write(fd, bytes, (failed) => {
      if (failed) throw failed;
      fdatasync(fd, (error) => {
        if (error) throw error;
        busy = false;
        onSynced(upTo);
        run();
      });
    });
  };
  return (bytes, upTo) => {
    queue.push(bytes);
    last = upTo;
    if (!busy) run();
  };
}

/** The number of the last put, the length, the puts. */
const headerBytes = 8;

function worker({ clientPort, peerPorts, peerPort, file, keys }: FloorOptions): void {
  const ready = () => parentPort?.postMessage('ready');
  if (clientPort !== undefined) lead(peerPorts, keys, file, ready);
  else follow(peerPort, keys, file, ready);
}

function lead(peerPorts: readonly number[], keys: Keys, file: string, ready: () => void): void {
  /** Up to where each of the three has it on disk; the first is this process. */
  const synced = [0, 0, 0];
  let confirmed = 0;
  const advance = (index: number, last: number) => {
    synced[index] = last;
    const now = [...synced].sort((a, b) => a - b)[1] as number;
    if (now <= confirmed) return;
    parentPort?.postMessage(Array.from({ length: now - confirmed }, (_, at) => confirmed + 1 + at));
    confirmed = now;
  };
  const append = appender(file, (last) => advance(0, last));
  let connected = 0;
  const peers = peerPorts.map((port, at) => {
    const socket = connect({ port, host: '127.0.0.1', ...keys, checkServerIdentity: () => undefined }, () => {
      socket.setNoDelay(true);
      if (++connected === peerPorts.length) ready();
    });
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const whole = rest.length - (rest.length % 4);
      if (whole > 0) advance(at + 1, rest.readUInt32BE(whole - 4));
      rest = rest.subarray(whole);
    });
    return socket;
  });
  parentPort?.on('message', (puts: Put[]) => {
    const bytes = puts.reduce((sum, put) => sum + put.bytes.length, 0);
    const frame = Buffer.allocUnsafe(headerBytes + bytes);
    const last = puts.at(-1)?.id ?? 0;
    frame.writeUInt32BE(last, 0);
    frame.writeUInt32BE(bytes, 4);
    let at = headerBytes;
    for (const put of puts) {
      frame.set(put.bytes, at);
      at += put.bytes.length;
    }
    for (const peer of peers) peer.write(frame);
    append(frame, last);
  });
}

function follow(port: number, keys: Keys, file: string, ready: () => void): void {
  const serve = (socket: TLSSocket) => {
    socket.setNoDelay(true);
    const append = appender(file, (last) => {
      const ack = Buffer.allocUnsafe(4);
      ack.writeUInt32BE(last, 0);
      socket.write(ack);
    });
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (rest.length >= headerBytes && rest.length >= headerBytes + rest.readUInt32BE(4)) {
        const end = headerBytes + rest.readUInt32BE(4);
        append(rest.subarray(0, end), rest.readUInt32BE(0));
        rest = rest.subarray(end);
      }
    });
  };
  createServer({ ...keys, requestCert: true }, serve).listen(port, '127.0.0.1', ready);
}
