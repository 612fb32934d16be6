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
import type { StateHash } from '../store/types.ts';
import { createTransport } from '../transport/index.ts';
import { GossipLoop } from './gossip-loop.ts';
import { LearnedAddresses } from './learned-addresses.ts';
import { LeaseKeeper } from './lease.ts';
import { serveLease } from './lease-server.ts';
import type { MainCalls, MainNotices, Member, PeerCalls, PeerNotices, PeerThreadOptions } from './peer-protocol.ts';
import { RemoteStateMachine } from './remote-state-machine.ts';
import { DiskHandover, MeasuredLogStorage } from './slow-disk.ts';
import { sendState } from './state-stream.ts';
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

let storage: LevelLogStorage | undefined;
let measuredStorage: MeasuredLogStorage | undefined;
const diskMedianMs = () => measuredStorage?.medianMs() ?? 0;
let stateHashes: readonly StateHash[] = [];
let diskLow = false;

const handlers: PeerCalls & { [Notice in keyof PeerNotices]: (argument: PeerNotices[Notice]) => void } = {
  async start({ members, bootstrap, expectsLog }) {
    storage = await LevelLogStorage.open(options.raftDir);
    measuredStorage = new MeasuredLogStorage(storage, systemClock);
    const node = newConsensus(measuredStorage, bootstrap, expectsLog);
    await node.start();
    consensus = node;
    setMembers(members);
    gossip.start();
    lease.start();
    diskHandover.start();
  },
  addresses: async () => transport.addresses(),
  propose: (data) => started().propose(data),
  readIndex: () => started().readIndex(),
  changeMembership: (change) => started().changeMembership(change),
  transferLeadership: (to) => started().transferLeadership(to),
  status: async () => started().status(),
  ask: ({ address, request }) => transport.ask(address, request, AbortSignal.timeout(10_000)),
  askMember: ({ peer, request }) => transport.askMember(peer, request, AbortSignal.timeout(3_000)),
  refusedBy: async () => transport.refusedBy(),
  stop,
  durable: (position) => stateMachine.setDurable(position),
  diskLow: (low) => {
    diskLow = low;
  },
  stateHashes: (hashes) => {
    stateHashes = hashes;
  },
  members: setMembers,
  hint: (address) => {
    learned.hint(address);
    setMembers(recorded);
  },
};
const rpc = new ThreadRpc(parentPort, handlers as unknown as Record<string, (argument: never) => unknown>);
const tell = <Name extends keyof MainNotices>(name: Name, argument: MainNotices[Name]) => rpc.notify(name, argument);
const ask: MainCaller = (method, argument) => rpc.call(method, argument) as never;
type MainCaller = <Method extends keyof MainCalls>(
  method: Method,
  argument: Parameters<MainCalls[Method]>[0],
) => ReturnType<MainCalls[Method]>;

const stateMachine = new RemoteStateMachine(ask, options.durable);

const learned = new LearnedAddresses();
let recorded: Member[] = [];

function setMembers(members: Member[]): void {
  recorded = members;
  transport.setMembers(learned.merge(members));
  gossip.setMembers(members);
}

function learnAddresses(peer: string, addresses: readonly string[]): void {
  if (recorded.some(({ id }) => id === peer) && learned.learn(peer, addresses)) transport.setMembers(learned.merge(recorded));
}

let consensus: ConsensusNode | undefined;

function started(): ConsensusNode {
  if (!consensus) throw new KontikiError('NoLeader', 'this peer does not take part in consensus yet');
  return consensus;
}

function newConsensus(log: MeasuredLogStorage, bootstrap: boolean, expectsLog: boolean): ConsensusNode {
  const node = new ConsensusNode({
    id: options.id,
    bootstrap,
    expectsLog,
    storage: log,
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
  node.onChange((status) => {
    lease.ledSinceMs();
    tell('changed', status);
  });
  return node;
}

const gossip = new GossipLoop({
  options,
  transport,
  clock: systemClock,
  logger: logger.child({ part: 'gossip' }),
  own: () => ({ stateHashes, leaseMs: Math.round(lease.remainingMs()), syncMs: Math.round(diskMedianMs()), diskLow }),
  fencedAtMs: (deadSinceMs) => lease.fencedAtMs(deadSinceMs),
  onStateJudged: (judgement) => tell('stateJudged', judgement),
  onHealth: (views) => tell('health', views),
  onAddresses: learnAddresses,
});

const lease = new LeaseKeeper({
  id: options.id,
  consensus: { status: () => started().status(), readIndex: (signal) => started().readIndex(signal) },
  send: (to, frame) => transport.send(to, 'gossip', frame),
  isDead: (peer) => gossip.isDead(peer),
  clock: systemClock,
  onError: (error) => logger.warn({ error }, 'a round of the lease failed and will be repeated'),
});
transport.onFrame('gossip', (from, frame) => lease.receive(from, frame));
const leaseServer = await serveLease(options.leaseSocket, lease);

const diskHandover = new DiskHandover({
  medianMs: diskMedianMs,
  status: () => started().status(),
  health: (peer) => gossip.voterHealth(peer),
  transfer: (to, signal) => started().transferLeadership(to, signal),
  clock: systemClock,
  logger: logger.child({ part: 'disk' }),
});

transport.onAsk((from, request) => ask('answerAsk', { from, request }));

// Streams to this machine's agent: what another member opened goes to the agent's socket.
transport.handleStream('agent', (_from, stream) => join(stream, connectSocket(options.agentSocket)));

// A member whose state went wrong asks for ours.
transport.handleStream('state', (from, stream) => {
  sendState(stateMachine, stream).catch((error: unknown) => logger.warn({ error, from }, 'a snapshot was not sent to its end'));
});

// Streams to other machines' agents: the main thread connects here, names the peer (and the
// service, when it is not the agent) in one line, then the bytes pass through.
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
  const [peer, service] = line.split(' ') as [string, string?];
  const stream = await transport.openStream(peer, service ?? 'agent', AbortSignal.timeout(5_000));
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
  leaseServer.close();
  await lease.stop();
  await diskHandover.stop();
  await gossip.stop();
  await consensus?.stop();
  await storage?.close();
  await transport.close();
}
