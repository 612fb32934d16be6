/** The composition root of one machine: starts everything in order, stops it in reverse. */
import { randomBytes } from 'node:crypto';
import type { AgentOptions } from '../agent/types.ts';
import { createApi } from '../api/index.ts';
import { kinds } from '../api/kinds/index.ts';
import type { Api } from '../api/types.ts';
import type { ConsensusStatus } from '../consensus/types.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { createLogger, type Logger } from '../lib/logger.ts';
import { systemRandom } from '../lib/random.ts';
import { quantityMilli, quantityValue } from '../machinery/quantity.ts';
import { Decisions } from '../scheduler/index.ts';
import { Store } from '../store/index.ts';
import { StreamConnector } from './agent-connector.ts';
import { AgentProcess } from './agent-process.ts';
import { announceAway, announceBack, awayUntilMs } from './away.ts';
import { type AuthorityRecord, decodeRecord, type MemberRecord, memberPrefix, type SettingsRecord } from './cluster-records.ts';
import { ReplicatedStore } from './cluster-store.ts';
import { type NodeConfig, type NodePaths, pathsOf } from './config.ts';
import { ControlServer } from './control-server.ts';
import { readIfExists, writeDurably } from './durable-file.ts';
import { NodeError } from './errors.ts';
import { awaitFoundation, foundCluster, refreshMember } from './founding.ts';
import { HealthTable } from './health-table.ts';
import { type Identity, openIdentity, saveIdentity } from './identity.ts';
import { JoinService, joinCluster } from './join.ts';
import { Leadership } from './leadership.ts';
import { releaseLock, takeLock } from './machine-lock.ts';
import type { Member } from './peer-protocol.ts';
import { PeerThread } from './peer-thread-handle.ts';
import { issueCertificate, kubeconfig } from './pki.ts';
import { SnapshotSource } from './recovery/backup.ts';
import { finishStaging } from './recovery/staging.ts';

export interface DaemonOptions {
  config: NodeConfig;
  /** Only for the first start of a machine that joins. */
  join?: { address: string; token: string };
  /** Something failed that only a restart can mend. */
  onFatal(message: string): void;
}

/** What startDaemon gives: the way to end it. */
export interface Daemon {
  stop(): Promise<void>;
}

const tokenTtlMs = 3_600_000;
const keyRotationMs = 10_000;
const serverCertificateDays = 365;

/** Resolves when the API answers and the agent is started. Throws NodeError when it cannot be. */
export async function startDaemon({ config, join, onFatal }: DaemonOptions): Promise<Daemon> {
  const clock = systemClock;
  const logger = createLogger('node', config.log.level).child({ node: config.nodeName });
  const paths = pathsOf(config.dataDir);
  takeLock(paths);
  finishStaging(config.dataDir);
  const identity = await openIdentity(config.dataDir, paths, config.nodeName);

  const stopping = new AbortController();
  const store = await Store.open({ dir: paths.store, onFailure: (error) => onFatal(error.message) });
  const health = new HealthTable((nodeName) => (awayUntilMs(store, nodeName) ?? 0) > clock.wallMs());
  let status: ConsensusStatus | undefined;
  let leadership: Leadership | undefined;

  const peer: PeerThread = new PeerThread(peerOptions(config, identity, paths, store), store, {
    onEntries: (entries) => {
      clusterStore.apply(entries);
      // The disk may fall behind by so much and no more.
      return store.settled();
    },
    onRestored: () => clusterStore.notifyApplied(),
    onChanged: (next) => {
      status = next;
      leadership?.update(next);
    },
    onHealth: (views) => health.update(views),
    onFatal,
    onAsk: (from, request) => joinService.answer(identity.id, from, request),
  });
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
  const self: MemberRecord = {
    id: identity.id,
    nodeName: config.nodeName,
    addresses: await peer.call('addresses', null),
    apiAddress: config.nodeIp,
    apiPort: config.api.port,
  };

  const members = await becomeMember({ identity, join, paths, peer, self });
  await peer.call('start', { members, bootstrap: identity.founder });
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
    clock,
    random: systemRandom,
    logger: logger.child({ part: 'api' }),
    serviceCidr: settings.serviceCidr,
    nodePortRange: settings.nodePorts,
  });
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
  if (status) leadership.update(status);

  const agent = new AgentProcess({ agent: agentOptions(config, paths), clock, logger });
  agent.start();
  const snapshots = new SnapshotSource({ store, cluster: clusterStore, nodeName: config.nodeName, peer: identity.id, clock });
  const control = controlServer({ api, peer, joinService, authority, config, store, snapshots, agent, clock, logger });
  await control.listen(paths.controlSocket);
  store.onDurable((position) => peer.setDurable(position));
  announcePresence(clusterStore, self, stopping.signal).catch((error: unknown) => {
    logger.warn({ error }, 'this machine could not refresh its own record; the others use the addresses that they know');
  });
  logger.info({ peer: identity.id, api: config.api.port }, 'the daemon is ready');

  return {
    async stop() {
      logger.info({}, 'stopping; containers go on');
      stopping.abort(new NodeError('Stopped', 'the daemon is stopping'));
      await sayGoodbye(clusterStore, config.nodeName, clock, logger);
      await handOver(peer, logger);
      await leadership.stop();
      await agent.stop();
      await control.close();
      await api.close();
      await peer.stop();
      await store.close();
      releaseLock(paths);
    },
  };
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
    members = await joinCluster({ ...join, self, ask: (address, request) => peer.call('ask', { address, request }) });
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
  if (readIfExists(paths.kubeconfig) === undefined) {
    writeDurably(paths.kubeconfig, await adminKubeconfig(authority, `https://${config.nodeIp}:${config.api.port}`, clock));
  }
}

async function adminKubeconfig(authority: AuthorityRecord, server: string, clock: Clock): Promise<string> {
  const client = await issueCertificate(
    authority,
    { commonName: 'kubernetes-admin', organizations: ['system:masters'], usage: 'client', days: 365 },
    clock,
  );
  return kubeconfig({ server, ca: authority.cert, client, cluster: 'kontiki' });
}

function agentOptions(config: NodeConfig, paths: NodePaths): AgentOptions {
  const { runtime, cgroupRoot, insecureRegistries, systemReserved, capacity, podsMax, labels } = config.agent;
  return {
    nodeName: config.nodeName,
    nodeIp: config.nodeIp,
    dataDir: paths.agent,
    apiSocket: paths.apiSocket,
    agentSocket: paths.agentSocket,
    cgroupRoot,
    runtime,
    insecureRegistries,
    systemReserved: { cpuMilli: quantityMilli(systemReserved.cpu), memoryBytes: quantityValue(systemReserved.memory) },
    capacity: {
      ...(capacity.cpu ? { cpuMilli: quantityMilli(capacity.cpu) } : {}),
      ...(capacity.memory ? { memoryBytes: quantityValue(capacity.memory) } : {}),
    },
    podsMax,
    labels,
    logLevel: config.log.level,
  };
}

function controlServer(context: {
  api: Api;
  peer: PeerThread;
  joinService: JoinService;
  authority: AuthorityRecord;
  config: NodeConfig;
  store: Store;
  snapshots: SnapshotSource;
  agent: AgentProcess;
  clock: Clock;
  logger: Logger;
}): ControlServer {
  const { api, peer, joinService, authority, config, store, snapshots, agent, clock, logger } = context;
  return new ControlServer(
    {
      'GET /status': async () => ({
        nodeName: config.nodeName,
        pid: process.pid,
        agentPid: agent.pid,
        apiPort: config.api.port,
        revision: store.revision,
        consensus: await peer.call('status', null),
      }),
      'GET /members': async () => store.list(memberPrefix).records.map((record) => decodeRecord<MemberRecord>(record.value)),
      'POST /snapshot': () => snapshots.open(),
      'POST /tokens': async (body) => {
        const ttlMs = (body as { ttlMs?: number } | undefined)?.ttlMs ?? tokenTtlMs;
        return { token: await joinService.issueToken(ttlMs) };
      },
      'POST /service-account-keys': async () => {
        await api.rotateServiceAccountKeys(AbortSignal.timeout(keyRotationMs));
        return { rotated: true };
      },
      'POST /kubeconfig': async (body) => {
        const server = (body as { server?: string } | undefined)?.server ?? `https://${config.nodeIp}:${config.api.port}`;
        return { kubeconfig: await adminKubeconfig(authority, server, clock) };
      },
    },
    logger,
  );
}

async function announcePresence(store: ReplicatedStore, self: MemberRecord, signal: AbortSignal): Promise<void> {
  await announceBack(store, self.nodeName, signal);
  await refreshMember(store, self, signal);
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
