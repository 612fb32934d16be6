/** The composition root of one machine: starts everything in order, stops it in reverse. */
import { randomBytes } from 'node:crypto';
import { createApi } from '../api/index.ts';
import { kinds } from '../api/kinds/index.ts';
import type { Api } from '../api/types.ts';
import type { ConsensusStatus } from '../consensus/types.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { deferred } from '../lib/deferred.ts';
import { errorCode } from '../lib/errors.ts';
import { createLogger, type Logger } from '../lib/logger.ts';
import { systemRandom } from '../lib/random.ts';
import { Decisions } from '../scheduler/index.ts';
import type { Store } from '../store/index.ts';
import type { ClusterStore } from '../store/types.ts';
import { StreamConnector } from './agent-connector.ts';
import { agentOptions } from './agent-options.ts';
import { AgentProcess } from './agent-process.ts';
import { openAudit } from './audit.ts';
import { announceAway, announceBack, awayUntilMs } from './away.ts';
import { certificateSigner } from './certificate-requests.ts';
import { ClusterDoor } from './cluster-door.ts';
import { openClusterKey } from './cluster-key.ts';
import { type MemberRecord, memberPrefix, type SettingsRecord } from './cluster-records.ts';
import { clusterRoutes, membersOf } from './cluster-routes.ts';
import { ReplicatedStore } from './cluster-store.ts';
import { type NodeConfig, type NodePaths, pathsOf } from './config.ts';
import { ControlServer } from './control-server.ts';
import { depart } from './departure.ts';
import type { DiskRoom } from './disk-room.ts';
import { readIfExists, writeDurably } from './durable-file.ts';
import { NodeError } from './errors.ts';
import { awaitFoundation, foundCluster, refreshMember } from './founding.ts';
import { HealthTable } from './health-table.ts';
import { type Identity, openIdentity, saveIdentity } from './identity.ts';
import { type AskPeer, authorityOf, JoinService, joinCluster, multiaddrOf } from './join.ts';
import { Leadership } from './leadership.ts';
import { releaseLock, takeLock } from './machine-lock.ts';
import { machineRoutes } from './machine-routes.ts';
import { MemberAdministration } from './member-administration.ts';
import { MemberAsks } from './member-asks.ts';
import { memberRoutes } from './member-routes.ts';
import type { Member, PeerThreadOptions } from './peer-protocol.ts';
import { PeerThread } from './peer-thread-handle.ts';
import { PlaceWatch } from './place-watch.ts';
import { SnapshotSource } from './recovery/backup.ts';
import { finishStaging } from './recovery/staging.ts';
import { askForReplacement, finishReplacement, logDamage, openState } from './replacement.ts';
import { growthRefusal, voterRooms, watchRoom } from './room-watch.ts';
import { Sealing } from './sealing.ts';
import { frontProxyOf, openApi } from './serving.ts';
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

export interface HolderOptions extends DaemonOptions {
  room: DiskRoom;
  /** This machine is to hold the log no longer: see Forgotten. It goes on until it is stopped. */
  onDismissed(index: number): void;
}

/** The way to end a daemon. */
export interface Daemon {
  /** Not `openly`: nobody is told, for whoever stops it has done that. */
  stop(openly?: boolean): Promise<void>;
}

/**
 * The daemon of a machine that holds the log and the state. Resolves when the API answers and the agent is started. Throws NodeError
 * when it cannot be, among them 'BecomesClient' when this machine is not to hold the log.
 */
export async function startHolder({ config, join, room, onFatal, onRemoved, onDismissed }: HolderOptions): Promise<Daemon> {
  const clock = systemClock;
  const logger = createLogger('node', config.log.level).child({ node: config.nodeName });
  const paths = pathsOf(config.dataDir);
  const audit = openAudit(config, clock, logger);
  takeLock(paths);
  finishStaging(config.dataDir);
  const identity = await openIdentity(config.dataDir, paths, config.nodeName);

  const stopping = new AbortController();
  const store = await openState(paths, config.dataDir, { onFailure: (error) => onFatal(error.message) }, clock, logger);
  const health = new HealthTable((nodeName) => (awayUntilMs(store, nodeName) ?? 0) > clock.wallMs());
  let status: ConsensusStatus | undefined;
  let leadership: Leadership | undefined;
  let agent: AgentProcess | undefined;
  let clusterKey: Buffer | undefined;
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
  const opened = deferred<ClusterStore>();
  const joinService = new JoinService(opened.promise, clock);
  const askStatus = () => peer.call('status', null);
  const asks = new MemberAsks({
    ...{ id: identity.id, store: clusterStore, joinService, status: askStatus },
    clusterKey: () => clusterKey,
  });
  const self: MemberRecord = {
    id: identity.id,
    nodeName: config.nodeName,
    addresses: await peer.call('addresses', null),
    apiAddress: config.nodeIp,
    apiPort: config.api.port,
    incarnation: identity.incarnation,
    log: 'held',
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
    return await startHolder({ config, ...(join && { join }), room, onFatal, onRemoved, onDismissed });
  }
  const roomWatch = watchRoom(room, { peer, clock, logger });
  roomWatch.start();
  const standing = watchStanding({
    ...{ peer, clock, logger },
    members: () => {
      const now = membersOf(store);
      return now.length > 0 ? now : members;
    },
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
  const place = new PlaceWatch({
    ...{ id: identity.id, status: askStatus, door: new ClusterDoor(paths.streamsSocket), clock },
    logger: logger.child({ part: 'place' }),
    onDismissed: (index) => {
      stopping.abort(new NodeError('BecomesClient', 'this machine is to hold the log no longer'));
      onDismissed(index);
    },
  });
  place.start();
  let settings: SettingsRecord;
  let opening: Promise<Sealing> | undefined;
  const openSealing = async (): Promise<Sealing> => {
    clusterKey = await openClusterKey({
      ...{ file: paths.clusterKey, store: clusterStore, ownId: identity.id, clock, logger, signal: stopping.signal },
      ask: (address, request) => peer.call('ask', { address, request }),
    });
    return new Sealing({ store: clusterStore, clusterKey, resources: config.encryption.resources, logger });
  };
  try {
    await guard.checkLoaded();
    const sealed = async () => {
      opening ??= openSealing();
      return (await opening).store;
    };
    if (identity.founder) await foundCluster(clusterStore, sealed, config, self, clock, stopping.signal);
    settings = await awaitFoundation(clusterStore, clock, stopping.signal);
    followMembers(store, peer, paths);
    opened.resolve(await sealed());
  } catch (error) {
    if (!stopping.signal.aborted && errorCode(error) !== 'ClusterKeyMissing') throw error;
    // It was dismissed before it had anything, or cannot serve what it has.
    for (const part of [place, standing, roomWatch, guard.repair, peer]) await part.stop();
    await store.close();
    releaseLock(paths);
    throw error;
  }
  const sealing = await (opening ?? openSealing());
  const authority = authorityOf(sealing.store);

  const api = createApi({
    store: sealing.store,
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
    audit,
    frontProxy: await frontProxyOf(authority, clock),
  });
  serving = api;
  await openApi({ api, config, settings, authority, paths, clock });

  leadership = new Leadership({
    api,
    store: clusterStore,
    sealing,
    peer,
    nodeHealth: health,
    decisions: new Decisions(),
    podCidr: settings.podCidr,
    rootCertificate: authority.cert,
    certificates: certificateSigner(authority, clock),
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
      ...machineRoutes({ api, guard, room, peer, joinService, authority, config, store, snapshots, sealing, agent, clock }),
      ...memberRoutes({ administration, joinService, config, store: sealing.store, clock }),
      ...clusterRoutes({ store: sealing.store, applied: () => store.applied.index, asks, clock }),
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
    async stop(openly = true) {
      logger.info({}, 'stopping; containers go on');
      stopping.abort(new NodeError('Stopped', 'the daemon is stopping'));
      await place.stop();
      await standing.stop();
      await roomWatch.stop();
      await guard.repair.stop();
      if (openly) await sayGoodbye(clusterStore, config.nodeName, clock, logger);
      await handOver(peer, logger);
      await leadership?.stop();
      await startedAgent.stop();
      await control.close();
      await api.close();
      await audit?.log.flush();
      sealing.close();
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

function peerOptions(config: NodeConfig, identity: Identity, paths: NodePaths, store: Store): PeerThreadOptions {
  return {
    ...commonPeerOptions(config, identity, paths),
    raftDir: paths.raft,
    forgotten: identity.forgotten,
    durable: store.durable(),
  };
}

/** What the peer thread of any machine is told. */
export function commonPeerOptions(config: NodeConfig, identity: Identity, paths: NodePaths) {
  return {
    id: identity.id,
    privateKey: identity.privateKey,
    incarnation: identity.incarnation,
    nodeName: config.nodeName,
    nodeIp: config.nodeIp,
    peerPort: config.peer.port,
    agentSocket: paths.agentSocket,
    streamsSocket: paths.streamsSocket,
    leaseSocket: paths.leaseSocket,
    doorSockets: { 'door-api': paths.doorSocket, 'door-control': paths.controlSocket },
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
  const client = members.find(({ id }) => id === self.id)?.log === 'none';
  writeDurably(paths.members, JSON.stringify(members));
  identity.member = true;
  if (client) identity.client = true;
  saveIdentity(paths, identity);
  if (client) throw new NodeError('BecomesClient', 'enough machines hold the log; this one works through them');
  return members;
}

/** Keeps transport and the copy on disk in step with the member records. */
function followMembers(store: Store, peer: PeerThread, paths: NodePaths): void {
  let last = '';
  const tell = () => {
    const members = membersOf(store);
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

/** Whether this peer still belongs to its cluster. */
export function watchStanding(context: {
  peer: PeerThread;
  /** Those that are known now. */
  members: () => Member[];
  onRemoved: () => Promise<void>;
  clock: Clock;
  logger: Logger;
}): StandingWatch {
  const { peer, members, onRemoved, clock, logger } = context;
  const refusers = async (): Promise<Member[]> => {
    const ids = new Set(await peer.call('refusedBy', null));
    return members().filter(({ id }) => ids.has(id));
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
