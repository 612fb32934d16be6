/**
 * One peer of the benchmark, as a process: the daemon's own store, replicated store and peer thread (transport, consensus, log),
 * without the API. Puts, gets and watches come in by the words of kv-wire.ts; the parent asks and tells the rest over IPC.
 */
import http2 from 'node:http2';
import { join } from 'node:path';
import type { MembershipChange } from '../src/consensus/types.ts';
import { systemClock } from '../src/lib/clock.ts';
import { errorMessage } from '../src/lib/errors.ts';
import { systemRandom } from '../src/lib/random.ts';
import { ReplicatedStore } from '../src/node/cluster-store.ts';
import type { Member } from '../src/node/peer-protocol.ts';
import { PeerThread } from '../src/node/peer-thread-handle.ts';
import { Store } from '../src/store/index.ts';
import { fields, framed, message, paths, read, Unframer } from './kv-wire.ts';

export interface PeerOptions {
  id: string;
  privateKey: string;
  name: string;
  dir: string;
  peerPort: number;
  clientPort: number;
  members: Member[];
  bootstrap: boolean;
}

const options = JSON.parse(process.argv[2] as string) as PeerOptions;
const { id, dir } = options;
const fatal = (why: string) => {
  console.error(`${options.name}: ${why}`);
  process.exit(1);
};
const store = await Store.open({ dir: join(dir, 'store'), onFailure: (error) => fatal(error.message) });
let leader: string | undefined;

const peer = new PeerThread(
  {
    ...{ id, privateKey: options.privateKey, incarnation: 1, nodeName: options.name, nodeIp: '127.0.0.1' },
    ...{ peerPort: options.peerPort, raftDir: join(dir, 'raft'), durable: store.durable(), logLevel: 'warn' as const },
    ...{ agentSocket: join(dir, 'agent.sock'), streamsSocket: join(dir, 'streams.sock'), leaseSocket: join(dir, 'lease.sock') },
  },
  store,
  {
    onEntries: (entries) => {
      cluster.apply(entries);
      return store.settled();
    },
    onChanged: (status) => {
      leader = status.leader;
    },
    beforeRestore: async () => undefined,
    onRestored: () => cluster.notifyApplied(),
    distrusted: () => undefined,
    onStateJudged: () => undefined,
    onHealth: () => undefined,
    onFatal: fatal,
    onAsk: async () => new Uint8Array(),
  },
);
const cluster = new ReplicatedStore({
  store,
  consensus: {
    propose: (data, signal) => peer.propose(data, signal),
    readIndex: (signal) => peer.call('readIndex', null, signal),
  },
  requestPrefix: `${options.name}-${process.pid}`,
  clock: systemClock,
  random: systemRandom,
});
store.onDurable((position) => peer.setDurable(position));
await peer.call('start', { members: options.members, bootstrap: options.bootstrap, expectsLog: false });

const server = http2.createServer({ settings: { maxConcurrentStreams: 1_000 } });
server.on('stream', (stream, headers) => {
  const unframer = new Unframer();
  stream.on('error', () => undefined);
  stream.on('data', (chunk: Buffer) => {
    for (const request of unframer.push(chunk)) {
      answer(stream, String(headers[':path']), request).catch((error: unknown) => refuse(stream, error));
    }
  });
});
server.listen(options.clientPort, '127.0.0.1');

function refuse(stream: http2.ServerHttp2Stream, error: unknown): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ ':status': 503, 'grpc-message': errorMessage(error).slice(0, 200) });
  stream.end();
}

async function answer(stream: http2.ServerHttp2Stream, path: string, request: Buffer): Promise<void> {
  const finish = (content: Buffer) => {
    if (stream.destroyed) return;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.end(framed(content));
  };
  const text = (field: number) => read(request, field)?.bytes ?? Buffer.alloc(0);
  if (path === paths.put) {
    const key = text(fields.request.key).toString();
    await cluster.write({ conditions: [], operations: [{ type: 'put', key, value: text(fields.request.valueOrRangeEnd) }] });
    return finish(Buffer.alloc(0));
  }
  if (path === paths.range) {
    const key = text(fields.request.key).toString();
    await cluster.barrier();
    const record = cluster.get(key);
    if (!record) return finish(Buffer.alloc(0));
    const kv = message([
      [fields.keyValue.key, Buffer.from(key)],
      [fields.keyValue.value, record.value],
    ]);
    return finish(message([[fields.rangeResponse.kvs, kv]]));
  }
  if (path === paths.status) {
    const header = message([[fields.header.memberId, 1]]);
    return finish(
      message([
        [fields.statusResponse.header, header],
        [fields.statusResponse.leader, leader === id ? 1 : 2],
      ]),
    );
  }
  const prefix = read(text(fields.watchRequest.create), fields.request.key)?.bytes.toString() ?? '';
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
  stream.write(framed(message([[1, Buffer.alloc(0)]])));
  const watch = cluster.watch(prefix, cluster.revision, {
    onEvents: (events) => {
      const kvs = events.map(({ record }) =>
        message([
          [fields.keyValue.key, Buffer.from(record.key)],
          [fields.keyValue.value, record.value],
        ]),
      );
      stream.write(framed(message(kvs.map((kv) => [fields.watchResponse.events, message([[2, kv]])] as const))));
    },
    onEnd: () => stream.end(),
  });
  stream.on('close', () => watch.cancel());
}

process.on('message', (change: MembershipChange) => {
  peer.changeMembership(change).then(
    () => process.send?.({ error: undefined }),
    (error: unknown) => process.send?.({ error: errorMessage(error) }),
  );
});
for (const end of ['disconnect', 'SIGTERM'] as const) process.on(end as 'SIGTERM', () => process.exit(0));
process.send?.({ error: undefined });
