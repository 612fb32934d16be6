/**
 * The protected peer thread: transport, consensus and gossip, apart from everything that may stall. It is composed here, from
 * the options in workerData, and talks with the main thread by peer-protocol.ts.
 */
import { existsSync, rmSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { parentPort, workerData } from 'node:worker_threads';
import { ConsensusNode, LevelLogStorage } from '../consensus/index.ts';
import { assert } from '../lib/assert.ts';
import { systemClock } from '../lib/clock.ts';
import { errorMessage, KontikiError } from '../lib/errors.ts';
import { createLogger } from '../lib/logger.ts';
import { systemRandom } from '../lib/random.ts';
import { createTransport } from '../transport/index.ts';
import { GossipLoop } from './gossip-loop.ts';
import type { MainCalls, MainNotices, Member, PeerCalls, PeerNotices, PeerThreadOptions } from './peer-protocol.ts';
import { RemoteStateMachine } from './remote-state-machine.ts';
import { ThreadRpc } from './thread-rpc.ts';

assert(parentPort, 'the peer thread must be a worker');
/** Ten to twenty ticks without a leader start an election: with this, the cluster has a new one within a second. */
const tickMs = 40;

const options = workerData as PeerThreadOptions;
const logger = createLogger('peer', options.logLevel);

const transport = await createTransport({
  privateKey: Buffer.from(options.privateKey, 'base64'),
  listen: [`/ip4/${options.nodeIp}/tcp/${options.peerPort}`],
  logger: logger.child({ part: 'transport' }),
  clock: systemClock,
});
assert(transport.id === options.id, 'the transport must have the identity of this peer');

const storage = await LevelLogStorage.open(options.raftDir);

const handlers: PeerCalls & { [Notice in keyof PeerNotices]: (argument: PeerNotices[Notice]) => void } = {
  async start({ members, bootstrap }) {
    setMembers(members);
    consensus = newConsensus(bootstrap);
    await consensus.start();
    gossip.start();
  },
  addresses: async () => transport.addresses(),
  propose: (data) => started().propose(data),
  readIndex: () => started().readIndex(),
  changeMembership: (change) => started().changeMembership(change),
  transferLeadership: (to) => started().transferLeadership(to),
  status: async () => started().status(),
  ask: ({ address, request }) => transport.ask(address, request, AbortSignal.timeout(10_000)),
  stop,
  durable: (position) => stateMachine.setDurable(position),
  members: setMembers,
};
const rpc = new ThreadRpc(parentPort, handlers as unknown as Record<string, (argument: never) => unknown>);
const tell = <Name extends keyof MainNotices>(name: Name, argument: MainNotices[Name]) => rpc.notify(name, argument);
const ask: MainCaller = (method, argument) => rpc.call(method, argument) as never;
type MainCaller = <Method extends keyof MainCalls>(
  method: Method,
  argument: Parameters<MainCalls[Method]>[0],
) => ReturnType<MainCalls[Method]>;

const stateMachine = new RemoteStateMachine(ask, options.durable);

function setMembers(members: Member[]): void {
  transport.setMembers(members);
  gossip.setMembers(members);
}

let consensus: ConsensusNode | undefined;

function started(): ConsensusNode {
  if (!consensus) throw new KontikiError('NoLeader', 'this peer does not take part in consensus yet');
  return consensus;
}

function newConsensus(bootstrap: boolean): ConsensusNode {
  const node = new ConsensusNode({
    id: options.id,
    bootstrap,
    storage,
    network: {
      send: (to, frame) => transport.send(to, 'consensus', frame),
      onFrame: (handler) => transport.onFrame('consensus', handler),
    },
    stateMachine,
    clock: systemClock,
    random: systemRandom,
    logger: logger.child({ part: 'consensus' }),
    tickMs,
    onFatal: (error) => {
      logger.error({ error }, 'consensus stopped: this peer takes no further part');
      tell('fatal', { message: errorMessage(error) });
    },
  });
  node.onChange((status) => tell('changed', status));
  return node;
}

const gossip = new GossipLoop({
  options,
  transport,
  clock: systemClock,
  logger: logger.child({ part: 'gossip' }),
  onHealth: (views) => tell('health', views),
});

transport.onAsk((from, request) => ask('answerAsk', { from, request }));

// Streams to this machine's agent: what another member opened goes to the agent's socket.
transport.handleStream('agent', (_from, stream) => join(stream, connectSocket(options.agentSocket)));

// Streams to other machines' agents: the main thread connects here, names the peer in one line, then the bytes pass through.
if (existsSync(options.streamsSocket)) rmSync(options.streamsSocket);
const streamsServer = createServer((socket) => {
  void passThrough(socket).catch((error: unknown) => {
    logger.debug({ error }, 'a stream to another machine failed');
    socket.destroy();
  });
});
streamsServer.listen(options.streamsSocket);

async function passThrough(socket: Duplex): Promise<void> {
  const { line, rest } = await firstLine(socket);
  const stream = await transport.openStream(line, 'agent', AbortSignal.timeout(5_000));
  if (rest.length > 0) stream.write(rest);
  join(socket, stream);
}

/** Reads up to the first line feed; at most 256 bytes. */
function firstLine(socket: Duplex): Promise<{ line: string; rest: Buffer }> {
  return new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      const end = seen.indexOf(10);
      if (end < 0 && seen.length < 256) return;
      socket.off('data', onData);
      socket.pause();
      if (end < 0) reject(new Error('no peer was named'));
      else resolve({ line: seen.subarray(0, end).toString(), rest: seen.subarray(end + 1) });
    };
    socket.on('data', onData);
    socket.once('error', reject);
  });
}

/** Pipes both ways with half-close; an error of one side destroys the other. */
function join(left: Duplex, right: Duplex): void {
  left.on('error', () => right.destroy());
  right.on('error', () => left.destroy());
  left.on('close', () => right.writable && right.end());
  right.on('close', () => left.writable && left.end());
  left.pipe(right);
  right.pipe(left);
}

async function stop(): Promise<void> {
  streamsServer.close();
  await gossip.stop();
  await consensus?.stop();
  await storage.close();
  await transport.close();
}
