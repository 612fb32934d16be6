/**
 * The daemon of a client: a machine that holds no log and no state. It has a place in the transport and in gossip and runs its agent;
 * everything else it does through a machine that holds the state (cluster-door.ts), so nothing here grows with the cluster.
 */
import { createRelay } from '../api/index.ts';
import { delay, systemClock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import { createLogger } from '../lib/logger.ts';
import { agentOptions } from './agent-options.ts';
import { AgentProcess } from './agent-process.ts';
import { clientRoutes } from './client-routes.ts';
import { ClusterDoor } from './cluster-door.ts';
import type { MemberRecord } from './cluster-records.ts';
import type { ClusterFacts, MemberNews } from './cluster-routes.ts';
import { pathsOf } from './config.ts';
import { ControlServer } from './control-server.ts';
import { commonPeerOptions, type Daemon, type DaemonOptions, watchStanding } from './daemon.ts';
import { depart } from './departure.ts';
import { readIfExists, writeDurably } from './durable-file.ts';
import { NodeError } from './errors.ts';
import type { Identity } from './identity.ts';
import { multiaddrOf } from './join.ts';
import { releaseLock } from './machine-lock.ts';
import { MemberFeed } from './member-feed.ts';
import type { Member } from './peer-protocol.ts';
import { PeerThread } from './peer-thread-handle.ts';
import { agentUser, keepKubeconfig, servingCertificate } from './serving.ts';

const retryMs = 500;
const farewellMs = 2_000;
/** How long a newcomer that asks this machine waits. */
const askMs = 8_000;

export interface ClientOptions extends DaemonOptions {
  identity: Identity;
  /** The leader calls this machine to hold the log, and the record says that it does. It goes on as a client until it is stopped. */
  onCalled(): void;
}

/** With the lock taken. Resolves when the agent runs and commands are taken; the API listens as soon as any other machine is found. */
export async function startClient({ config, identity, join, onFatal, onRemoved, onCalled }: ClientOptions): Promise<Daemon> {
  const clock = systemClock;
  const logger = createLogger('node', config.log.level).child({ node: config.nodeName });
  const paths = pathsOf(config.dataDir);
  const { id, incarnation } = identity;
  const stopping = new AbortController();
  const { signal } = stopping;
  const door = new ClusterDoor(paths.streamsSocket);
  let members = JSON.parse(readIfExists(paths.members) ?? '[]') as Member[];

  const unused = () => Promise.reject(new NodeError('NoVoter', 'a client takes no part in consensus'));
  const peer = new PeerThread(
    { ...commonPeerOptions(config, identity, paths), raftDir: undefined, durable: { index: 0, term: 0 } },
    undefined,
    {
      onEntries: unused,
      beforeRestore: unused,
      onRestored: () => undefined,
      distrusted: () => 'it holds none',
      onChanged: () => undefined,
      onStateJudged: () => undefined,
      onHealth: () => undefined,
      onFatal,
      onAsk: (from, request) => door.answer(id, from, request, AbortSignal.any([signal, AbortSignal.timeout(askMs)])),
    },
  );
  const self: MemberRecord = {
    id,
    nodeName: config.nodeName,
    addresses: await peer.call('addresses', null),
    apiAddress: config.nodeIp,
    apiPort: config.api.port,
    incarnation,
    log: 'none',
  };
  const hint = join && multiaddrOf(join.address);
  if (hint && !self.addresses.includes(hint)) peer.hintAddress(hint);
  await peer.call('start', { members, bootstrap: false, expectsLog: false });

  const relay = createRelay({
    connect: (stop) => door.connect('door-api', AbortSignal.any([stop, signal])),
    logger: logger.child({ part: 'relay' }),
  });
  await relay.listenSocket(paths.apiSocket, agentUser(config));
  const agent = new AgentProcess({ agent: agentOptions(config, paths), clock, logger });
  agent.start();

  const standing = watchStanding({
    ...{ peer, clock, logger, members: () => members },
    async onRemoved() {
      const parts = [{ stop: () => feed.stop() }, { stop: () => relay.close() }, agent, peer];
      onRemoved(await depart({ config, paths, identity, parts, clock, logger }));
    },
  });

  let called = false;
  /** What the leader wants of this machine, and whether it is so already. */
  const follow = async (log: MemberRecord['log']): Promise<void> => {
    if (log === 'dismissed') await door.setLogPlace(id, 'dismissed', 'none', signal);
    const taken = log === 'held' || (log === 'called' && (await door.setLogPlace(id, 'called', 'held', signal)));
    if (!taken || called) return;
    called = true;
    logger.info({}, 'this machine is called to hold the log');
    onCalled();
  };
  const feed = new MemberFeed({
    door,
    onNews: async (news: MemberNews) => {
      const text = JSON.stringify(news.members);
      if (text !== JSON.stringify(members)) {
        members = news.members;
        writeDurably(paths.members, text);
        peer.setMembers(members);
      }
      await follow(members.find((member) => member.id === id)?.log);
    },
    clock,
    logger: logger.child({ part: 'feed' }),
  });
  feed.start();

  const routes = clientRoutes({ config, door, peer, agent, members: () => members, clock });
  const control = new ControlServer(routes, logger);
  await control.listen(paths.controlSocket);

  const serving = serve().catch((error: unknown) => {
    if (!signal.aborted) onFatal(`the API cannot be served: ${errorMessage(error)}`);
  });
  logger.info({ peer: id, api: config.api.port }, 'the daemon is ready, as a client');

  /** Certificate and key of the authority are kept in memory only, for as long as they are needed. */
  async function serve(): Promise<void> {
    const facts = await repeated('what the cluster is', () => door.facts(signal));
    await listen(facts);
    await repeated('the own record', () => door.putRecord(self, signal));
    await repeated('the return', () => door.announce(config.nodeName, false, signal));
  }

  async function listen({ settings, authority }: ClusterFacts): Promise<void> {
    const server = await servingCertificate({ config, settings, authority, clock });
    signal.throwIfAborted();
    await relay.listen({ host: config.api.address, port: config.api.port, tls: { ca: authority.cert, ...server } });
    await keepKubeconfig(config, authority, paths, clock);
  }

  /** Until it succeeds, or the daemon stops: the others may be down for long. */
  async function repeated<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        signal.throwIfAborted();
        logger.warn({ what, error: errorMessage(error) }, 'no other machine serves this one yet');
      }
      await delay(clock, retryMs, signal);
    }
  }

  return {
    async stop(openly = true) {
      logger.info({}, 'stopping; containers go on');
      stopping.abort(new NodeError('Stopped', 'the daemon is stopping'));
      await serving;
      await feed.stop();
      await standing.stop();
      if (openly) {
        await door.announce(config.nodeName, true, AbortSignal.timeout(farewellMs)).catch((error: unknown) => {
          logger.warn({ error }, 'the others could not be told that this daemon stops');
        });
      }
      await agent.stop();
      await control.close();
      await relay.close();
      await peer.stop();
      releaseLock(paths);
    },
  };
}
