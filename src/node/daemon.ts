/** The composition root of one machine: starts everything in order, stops it in reverse. */
import { randomBytes } from 'node:crypto';
import { frontProxyName } from '../api/aggregation/front-proxy.ts';
import { createApi } from '../api/index.ts';
import { kinds } from '../api/kinds/index.ts';
import type { Api } from '../api/types.ts';
import type { ConsensusStatus } from '../consensus/types.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { createLogger, type Logger } from '../lib/logger.ts';
import { systemRandom } from '../lib/random.ts';
import { Decisions } from '../scheduler/index.ts';
import type { Store } from '../store/index.ts';
import { StreamConnector } from './agent-connector.ts';
import { agentOptions } from './agent-options.ts';
import { AgentProcess } from './agent-process.ts';
import { announceAway, announceBack, awayUntilMs } from './away.ts';
import { type AuthorityRecord, decodeRecord, type MemberRecord, memberPrefix, type SettingsRecord } from './cluster-records.ts';
import { ReplicatedStore } from './cluster-store.ts';
import { type NodeConfig, type NodePaths, pathsOf } from './config.ts';
import { ControlServer } from './control-server.ts';
import { depart } from './departure.ts';
import { DiskRoom } from './disk-room.ts';
import { readIfExists, writeDurably } from './durable-file.ts';
import { NodeError } from './errors.ts';
import { awaitFoundation, foundCluster, refreshMember } from './founding.ts';
import { HealthTable } from './health-table.ts';
import { type Identity, openIdentity, saveIdentity } from './identity.ts';
import { type AskPeer, JoinService, joinCluster, multiaddrOf } from './join.ts';
import { Leadership } from './leadership.ts';
import { releaseLock, takeLock } from './machine-lock.ts';
import { machineRoutes } from './machine-routes.ts';
import { MemberAdministration } from './member-administration.ts';
import { MemberAsks } from './member-asks.ts';
import { memberRoutes } from './member-routes.ts';
import type { Member } from './peer-protocol.ts';
import { PeerThread } from './peer-thread-handle.ts';
import { adminKubeconfig, issueCertificate } from './pki.ts';
import { SnapshotSource } from './recovery/backup.ts';
import { finishStaging } from './recovery/staging.ts';
import { askForReplacement, finishReplacement, logDamage, openState } from './replacement.ts';
import { growthRefusal, voterRooms, watchRoom } from './room-watch.ts';
import { StandingWatch } from './standing-watch.ts';
import { StateGuard } from './state-guard.ts';

export interface DaemonOptions {
  config: NodeConfig;
  /** The token only for the first start of a machine that joins; later the address helps to find the others again. */
  join?: { address: string; token?: string };
  /** Something failed that only a restart can mend. */
  onFatal(message: string): void;
  /** The cluster has removed this machine; everything is stopped, the process should end. */
  onRemoved(message: string): void;
}

/** What startDaemon gives: the way to end it. */
export interface Daemon {
  stop(): Promise<void>;
}

const serverCertificateDays = 365;
const frontProxyDays = 365;

/** Resolves when the API answers and the agent is started. Throws NodeError when it cannot be. */
export async function startDaemon({ config, join, onFatal, onRemoved }: DaemonOptions): Promise<Daemon> {
  const clock = systemClock;
  const logger = createLogger('node', config.log.level).child({ node: config.nodeName });
  const paths = pathsOf(config.dataDir);
  // First of all: on a full disk nothing can be written before the reserve is given up.
  const room = new DiskRoom(config.dataDir, logger.child({ part: 'disk' }));
  takeLock(paths);
  finishStaging(config.dataDir);
  const identity = await openIdentity(config.dataDir, paths, config.nodeName);

  const stopping = new AbortController();
  const store = await openState(paths, config.dataDir, { onFailure: (error) => onFatal(error.message) }, clock, logger);
  const health = new HealthTable((nodeName) => (awayUntilMs(store, nodeName) ?? 0) > clock.wallMs());
  let status: ConsensusStatus | undefined;
  let leadership: Leadership | undefined;
  let agent: AgentProcess | undefined;
  let serving: Api | undefined;

  const peer: PeerThread = new PeerThread(peerOptions(config, identity, paths, store), store, {
    onEntries: (entries) => guard.repair.take(entries),
    beforeRestore: () => guard.repair.beforeRestore(),
    onRestored: (restored) => {
      guard.repair.afterRestore(restored);
      tellStateHashes();
      clusterStore.notifyApplied();
    },
    distrusted: () => guard.reason,
    onStateJudged: (judgement) => guard.judged(judgement),
    onChanged: (next) => {
      status = next;
      updateLeadership();
    },
    onHealth: (views) => health.update(views),
    onFatal,
    onAsk: (from, request) => asks.answer(from, request),
  });
  const guard: StateGuard = new StateGuard({
    store,
    streamsSocket: paths.streamsSocket,
    apply: (entries) => {
      clusterStore.apply(entries);
      tellStateHashes();
      // The disk may fall behind by so much and no more.
      return store.settled();
    },
    status: () => peer.call('status', null),
    handOver: () => handOver(peer, logger),
    onChange: (reason) => {
      clusterStore.suspend(reason);
      clusterStore.notifyApplied();
      tellStateHashes();
      updateLeadership();
      // During a repair consensus must keep its log: what the store had on disk will be replaced by something older or newer.
      if (reason === undefined) peer.setDurable(store.durable());
    },
    clock,
    logger: logger.child({ part: 'state' }),
  });
  let toldHashes = store.stateHashes();
  /** What the peer thread puts into its heartbeats. */
  function tellStateHashes(): void {
    if (store.stateHashes() === toldHashes) return;
    toldHashes = store.stateHashes();
    peer.setStateHashes(toldHashes);
  }
  /** A peer that does not trust its own state runs no control loop, whatever its place in consensus. */
  function updateLeadership(): void {
    if (status) leadership?.update(guard.reason === undefined ? status : { ...status, role: 'follower' });
  }
  const clusterStore = new ReplicatedStore({
    store,
    consensus: {
      propose: (data, signal) => peer.propose(data, signal),
      readIndex: (signal) => peer.call('readIndex', null, signal),
    },
    requestPrefix: `${identity.id.slice(-8)}-${identity.incarnation}-${randomBytes(3).toString('hex')}`,
    clock,
    random: systemRandom,
  });
  const joinService = new JoinService(clusterStore, clock);
  const askStatus = () => peer.call('status', null);
  const asks = new MemberAsks({ id: identity.id, store: clusterStore, joinService, status: askStatus });
  const self: MemberRecord = {
    id: identity.id,
    nodeName: config.nodeName,
    addresses: await peer.call('addresses', null),
    apiAddress: config.nodeIp,
    apiPort: config.api.port,
    incarnation: identity.incarnation,
  };

  const hint = join && identity.member ? multiaddrOf(join.address) : undefined;
  if (hint && !self.addresses.includes(hint)) peer.hintAddress(hint);
  let members: Member[];
  try {
    members = await becomeMember({ identity, join, paths, peer, self });
  } catch (error) {
    // A refused machine must be free to ask again: nothing of this start may stay behind.
    await peer.stop();
    await store.close();
    releaseLock(paths);
    throw error;
  }
  const damage = identity.replacement?.reason ?? (await startConsensus(peer, { identity, members, paths }));
  if (damage !== undefined) {
    try {
      const ask: AskPeer = (address, request) => peer.call('ask', { address, request });
      await askForReplacement({ paths, identity, self, members, reason: damage, ask, clock, logger });
    } finally {
      await peer.stop();
      await store.close();
      releaseLock(paths);
    }
    finishReplacement(config.dataDir, paths, identity);
    return await startDaemon({ config, ...(join && { join }), onFatal, onRemoved });
  }
  const roomWatch = watchRoom(room, { peer, clock, logger });
  roomWatch.start();
  const standing = watchStanding({
    ...{ peer, members, store, clock, logger },
    async onRemoved() {
      onRemoved(
        await depart({
          config,
          paths,
          identity,
          parts: [{ stop: async () => serving?.close() }, leadership, agent, peer],
          clock,
          logger,
        }),
      );
    },
  });
  await guard.checkLoaded();
  if (identity.founder) await foundCluster(clusterStore, config, self, clock, stopping.signal);
  const { settings, authority } = await awaitFoundation(clusterStore, clock, stopping.signal);
  followMembers(store, peer, paths);

  const api = createApi({
    store: clusterStore,
    kinds,
    agents: new StreamConnector({
      ownNodeName: config.nodeName,
      agentSocket: paths.agentSocket,
      streamsSocket: paths.streamsSocket,
      store,
    }),
    nodeHealth: health,
    growthRefusal: () => growthRefusal(voterRooms({ status, store, health, ownId: identity.id, ownLow: room.state.low })),
    clock,
    random: systemRandom,
    logger: logger.child({ part: 'api' }),
    serviceCidr: settings.serviceCidr,
    nodePortRange: settings.nodePorts,
    frontProxy: await frontProxyOf(authority, clock),
  });
  serving = api;
  await openApi({ api, config, settings, authority, paths, clock });

  leadership = new Leadership({
    api,
    store: clusterStore,
    peer,
    nodeHealth: health,
    decisions: new Decisions(),
    podCidr: settings.podCidr,
    rootCertificate: authority.cert,
    clock,
    random: systemRandom,
    logger,
  });
  updateLeadership();

  const startedAgent = new AgentProcess({ agent: agentOptions(config, paths), clock, logger });
  agent = startedAgent;
  agent.start();
  const snapshots = new SnapshotSource({ store, cluster: clusterStore, nodeName: config.nodeName, peer: identity.id, clock });
  const administration = new MemberAdministration({
    ...{ ownId: identity.id, store: clusterStore, nodeHealth: health, client: api.client(), clock },
    ask: (member, request) => peer.call('askMember', { peer: member, request }),
    status: askStatus,
  });
  const control = new ControlServer(
    {
      ...machineRoutes({ api, guard, room, peer, joinService, authority, config, store, snapshots, agent, clock }),
      ...memberRoutes({ administration, joinService, config, store: clusterStore, clock }),
    },
    logger,
  );
  await control.listen(paths.controlSocket);
  store.onDurable((position) => {
    if (guard.reason === undefined) peer.setDurable(position);
  });
  announcePresence(clusterStore, self, clock, stopping.signal).catch((error: unknown) => {
    if (!stopping.signal.aborted)
      logger.warn({ error }, 'this machine could not refresh its own record; the others use the addresses that they know');
  });
  logger.info({ peer: identity.id, api: config.api.port }, 'the daemon is ready');

  return {
    async stop() {
      logger.info({}, 'stopping; containers go on');
      stopping.abort(new NodeError('Stopped', 'the daemon is stopping'));
      await standing.stop();
      await roomWatch.stop();
      await guard.repair.stop();
      await sayGoodbye(clusterStore, config.nodeName, clock, logger);
      await handOver(peer, logger);
      await leadership?.stop();
      await startedAgent.stop();
      await control.close();
      await api.close();
      await peer.stop();
      await store.close();
      releaseLock(paths);
    },
  };
}

/** Resolves when this peer takes part. Gives what is wrong with its log when it cannot, under this identity. */
async function startConsensus(
  peer: PeerThread,
  context: { identity: Identity; members: Member[]; paths: NodePaths },
): Promise<string | undefined> {
  const { identity, members, paths } = context;
  try {
    await peer.call('start', { members, bootstrap: identity.founder, expectsLog: identity.logged === true });
  } catch (error) {
    const damage = logDamage(error);
    if (damage === undefined) throw error;
    return damage;
  }
  if (!identity.logged) {
    identity.logged = true;
    saveIdentity(paths, identity);
  }
  return undefined;
}

function peerOptions(config: NodeConfig, identity: Identity, paths: NodePaths, store: Store) {
  return {
    id: identity.id,
    privateKey: identity.privateKey,
    incarnation: identity.incarnation,
    nodeName: config.nodeName,
    nodeIp: config.nodeIp,
    peerPort: config.peer.port,
    raftDir: paths.raft,
    agentSocket: paths.agentSocket,
    streamsSocket: paths.streamsSocket,
    leaseSocket: paths.leaseSocket,
    durable: store.durable(),
    logLevel: config.log.level,
  };
}

/** Founds, joins, or goes on as the member that this machine already is. Gives the members to connect to. */
async function becomeMember(context: {
  identity: Identity;
  join: DaemonOptions['join'];
  paths: NodePaths;
  peer: PeerThread;
  self: MemberRecord;
}): Promise<Member[]> {
  const { identity, join, paths, peer, self } = context;
  const known = readIfExists(paths.members);
  if (identity.member && known) return JSON.parse(known) as Member[];
  let members: Member[] = [{ id: self.id, addresses: self.addresses, nodeName: self.nodeName }];
  if (join && !identity.member) {
    const { address, token } = join;
    if (token === undefined) {
      throw new NodeError('JoinRefused', 'this machine is no member yet: give a token too, from: kontiki token create');
    }
    members = await joinCluster({ address, token, self, ask: (address, request) => peer.call('ask', { address, request }) });
  } else if (!identity.member) {
    identity.founder = true;
  }
  writeDurably(paths.members, JSON.stringify(members));
  identity.member = true;
  saveIdentity(paths, identity);
  return members;
}

/** Keeps transport and the copy on disk in step with the member records. */
function followMembers(store: Store, peer: PeerThread, paths: NodePaths): void {
  let last = '';
  const tell = () => {
    const members = store.list(memberPrefix).records.map((record) => {
      const { id, addresses, nodeName } = decodeRecord<MemberRecord>(record.value);
      return { id, addresses, nodeName };
    });
    const text = JSON.stringify(members);
    if (text === last) return;
    last = text;
    writeDurably(paths.members, text);
    peer.setMembers(members);
  };
  const follow = () => {
    store.watch(memberPrefix, store.revision, {
      onEvents: tell,
      onEnd: (reason) => {
        if (reason === 'restored') follow();
      },
    });
    tell();
  };
  follow();
}

/** Extension API servers believe whoever shows this when it says for whom it asks. */
async function frontProxyOf(authority: AuthorityRecord, clock: Clock) {
  const request = { commonName: frontProxyName, organizations: [], usage: 'client' as const, days: frontProxyDays };
  return { ca: authority.cert, ...(await issueCertificate(authority, request, clock)) };
}

async function openApi(context: {
  api: Api;
  config: NodeConfig;
  settings: SettingsRecord;
  authority: AuthorityRecord;
  paths: NodePaths;
  clock: Clock;
}): Promise<void> {
  const { api, config, settings, authority, paths, clock } = context;
  const base = settings.serviceCidr.split('/')[0]?.split('.') ?? [];
  const serviceIp = [...base.slice(0, 3), '1'].join('.');
  const server = await issueCertificate(
    authority,
    {
      commonName: config.nodeName,
      organizations: [],
      usage: 'server',
      names: [
        ...['localhost', '127.0.0.1', config.nodeName, config.nodeIp, serviceIp],
        ...['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'],
        ...config.api.extraNames,
      ],
      days: serverCertificateDays,
    },
    clock,
  );
  await api.listen({ host: config.api.address, port: config.api.port, tls: { ca: authority.cert, ...server } });
  await api.listenSocket(paths.apiSocket, {
    name: `system:node:${config.nodeName}`,
    groups: ['system:nodes', 'system:authenticated'],
  });
  const ownUrl = `https://${config.nodeIp}:${config.api.port}`;
  if (!readIfExists(paths.kubeconfig)?.includes(`${ownUrl}\n`)) {
    writeDurably(paths.kubeconfig, await adminKubeconfig(authority, ownUrl, clock));
  }
}

/** Whether this peer still belongs to its cluster. */
function watchStanding(context: {
  peer: PeerThread;
  /** Known at the start; later the records tell. */
  members: Member[];
  store: Store;
  onRemoved: () => Promise<void>;
  clock: Clock;
  logger: Logger;
}): StandingWatch {
  const { peer, members, store, onRemoved, clock, logger } = context;
  const refusers = async (): Promise<Member[]> => {
    const ids = new Set(await peer.call('refusedBy', null));
    const records = store.list(memberPrefix).records.map((record) => decodeRecord<MemberRecord>(record.value));
    return (records.length > 0 ? records : members).filter(({ id }) => ids.has(id));
  };
  const watch = new StandingWatch({
    ...{ clock, logger, refusers },
    ask: (address, request) => peer.call('ask', { address, request }),
    onRemoved: (toldBy) => {
      logger.warn({ toldBy }, 'a member says that this machine was removed');
      onRemoved().catch((error: unknown) => logger.error({ error }, 'leaving the cluster was not completed'));
    },
  });
  watch.start();
  return watch;
}

async function announcePresence(store: ReplicatedStore, self: MemberRecord, clock: Clock, signal: AbortSignal): Promise<void> {
  await announceBack(store, self.nodeName, signal);
  await refreshMember(store, self, clock, signal);
}

/** Without a quorum nobody can be told: then the silence is judged as any other. */
async function sayGoodbye(store: ReplicatedStore, nodeName: string, clock: Clock, logger: Logger): Promise<void> {
  try {
    await announceAway(store, nodeName, clock, AbortSignal.timeout(2_000));
  } catch (error) {
    logger.warn({ error }, 'the others could not be told that this daemon stops');
  }
}

/** A leader that stops gives its office to the most advanced other voter first, so that nobody waits for an election. */
async function handOver(peer: PeerThread, logger: Logger): Promise<void> {
  try {
    const status = await peer.call('status', null, AbortSignal.timeout(1_000));
    if (status.role !== 'leader') return;
    const candidates = status.membership.voters.filter((id) => id !== status.id && status.progress[id]?.active);
    const best = candidates.sort((a, b) => (status.progress[b]?.match ?? 0) - (status.progress[a]?.match ?? 0))[0];
    if (best) await peer.call('transferLeadership', best, AbortSignal.timeout(2_000));
  } catch (error) {
    logger.warn({ error }, 'leadership was not handed over; the others will elect a leader');
  }
}
