/** Gives the pure gossip room a clock, a network and real figures: two heartbeats a second, verdicts four times a second. */
import { request } from 'node:http';
import {
  decodeHeartbeat,
  encodeHeartbeat,
  FailureDetector,
  type Heartbeat,
  type QuorumNews,
  type Resources,
  type VerdictChange,
} from '../gossip/index.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { RepeatingTask } from '../lib/repeating-task.ts';
import type { NodeHealthView } from '../machinery/node-health.ts';
import type { StateHash } from '../store/types.ts';
import type { Transport } from '../transport/types.ts';
import type { Member, PeerThreadOptions } from './peer-protocol.ts';
import type { VoterHealth } from './slow-disk.ts';
import { judgeState, type StateJudgement } from './state-exchange.ts';
import type { HeardVoter } from './voter-door.ts';

/** What a heartbeat says of this peer beside the agent's summary. */
export interface OwnState {
  stateHashes: readonly StateHash[];
  leaseMs: number;
  syncMs: number;
  diskLow: boolean;
  /** Undefined on a machine without a log. */
  quorum: QuorumNews | undefined;
}

const topic = 'kontiki/heartbeats/1';
/** Twice a second: a detector that just started knows the network within seconds, and three that are missing prove something. */
const heartbeatMs = 500;
const askAgentMs = 1_000;
const tickMs = 250;
/** The agent answers from memory; a second without an answer means that it is stuck. */
const agentTimeoutMs = 1_000;
/** A connection gets this long to bring heartbeats. One to a machine that hangs ends by itself before. */
const deafMs = 5_000;

interface Summary {
  capacity: Resources;
  allocatable: Resources;
  reserved: Resources;
  usage: Heartbeat['usage'];
}

const nothing: Resources = { cpuMilli: 0, memoryBytes: 0, ephemeralStorageBytes: 0, pods: 0 };
const unknownSummary: Summary = {
  capacity: nothing,
  allocatable: nothing,
  reserved: nothing,
  usage: { cpuMilli: 0, memoryBytes: 0, load1: 0 },
};

export interface GossipLoopOptions {
  options: PeerThreadOptions;
  transport: Transport;
  clock: Clock;
  logger: Logger;
  own: () => OwnState;
  /** From when on, in monotonic time, a machine that is dead since then is surely fenced; undefined when this peer does not lead. */
  fencedAtMs: (deadSinceMs: number) => number | undefined;
  /** How this peer's state compares with that of the others: told when it changes. */
  onStateJudged: (judgement: StateJudgement) => void;
  /** The whole table, after each heartbeat interval and at once after every change of a verdict. */
  onHealth(views: NodeHealthView[]): void;
  /** Where a member says it is; with every new heartbeat. */
  onAddresses(peer: string, addresses: readonly string[]): void;
}

export class GossipLoop {
  readonly #context: GossipLoopOptions;
  readonly #detector: FailureDetector;
  readonly #publish: RepeatingTask;
  readonly #tick: RepeatingTask;
  readonly #askedAgent: RepeatingTask;
  #sequence = 0;
  #summary = unknownSummary;
  #agentReady = false;
  #members: Member[] = [];
  #judged = '';
  /** Since when the link to a machine lives that gossip calls dead, or when it was last made anew for that. */
  readonly #deafSinceMs = new Map<string, number>();

  constructor(context: GossipLoopOptions) {
    const { clock, logger, options } = context;
    this.#context = context;
    this.#detector = new FailureDetector({ self: options.id, heartbeatIntervalMs: heartbeatMs, tickIntervalMs: tickMs });
    const onError = (error: unknown) => logger.warn({ error }, 'a gossip round failed and will be repeated');
    this.#publish = new RepeatingTask({ clock, intervalMs: heartbeatMs, run: () => this.#sendHeartbeat(), onError });
    // Apart from the heartbeats: an agent that hangs must not hold them up.
    this.#askedAgent = new RepeatingTask({ clock, intervalMs: askAgentMs, run: () => this.#look(), onError });
    this.#tick = new RepeatingTask({ clock, intervalMs: tickMs, run: () => this.#judge(), onError });
  }

  start(): void {
    const { transport, clock, logger, onAddresses } = this.#context;
    transport.subscribe(topic, (from, data) => {
      try {
        const heartbeat = decodeHeartbeat(data);
        const { taken, changes } = this.#detector.receive(heartbeat, clock.monotonicMs());
        if (taken) onAddresses(heartbeat.peer, heartbeat.addresses);
        this.#tell(changes);
      } catch (error) {
        logger.warn({ error, from }, 'a heartbeat could not be read and was dropped');
      }
    });
    this.#askedAgent.start();
    this.#publish.start();
    this.#tick.start();
  }

  /** Those that should send heartbeats; one that never does is found dead in time. */
  setMembers(members: Member[]): void {
    this.#members = members;
    const others = members.map((member) => member.id);
    this.#detector.expect(others, this.#context.clock.monotonicMs());
  }

  isDead(peer: string): boolean {
    return this.#detector.verdict(peer) === 'dead';
  }

  /** Machines that say that they vote, as this peer hears them. */
  voters(): HeardVoter[] {
    return this.#detector.members().flatMap(({ heartbeat, verdict }) => {
      const { peer, quorum, leaseMs = 0 } = heartbeat;
      return quorum?.votes ? [{ peer, verdict, leaseMs }] : [];
    });
  }

  /** The leader that is told of in the highest term. */
  leader(): { term: number; leader: string | undefined } {
    const told = this.#detector.members().flatMap(({ heartbeat }) => heartbeat.quorum ?? []);
    const { term, leader } = told.reduce((best, one) => (isNewer(one, best) ? one : best), {
      votes: false,
      term: 0,
    } as QuorumNews);
    return { term, leader };
  }

  /** What a voter is like, as this peer sees it. */
  voterHealth(peer: string): VoterHealth {
    const heard = this.#detector.table.get(peer);
    return { alive: heard !== undefined && this.#detector.verdict(peer) === 'alive', syncMs: heard?.heartbeat.syncMs };
  }

  async stop(): Promise<void> {
    await Promise.all([this.#publish.stop(), this.#tick.stop(), this.#askedAgent.stop()]);
  }

  async #look(): Promise<void> {
    const summary = await this.#askAgent();
    this.#agentReady = summary !== undefined;
    if (summary) this.#summary = summary;
  }

  #sendHeartbeat(): void {
    const { transport, clock, options } = this.#context;
    const { quorum, ...own } = this.#context.own();
    const heartbeat: Heartbeat = {
      peer: options.id,
      nodeName: options.nodeName,
      incarnation: options.incarnation,
      sequence: ++this.#sequence,
      addresses: transport.addresses(),
      ...this.#summary,
      agentReady: this.#agentReady,
      heardMs: this.#detector.heardMs(clock.monotonicMs()),
      ...own,
      ...(quorum ? { quorum } : {}),
    };
    transport.publish(topic, encodeHeartbeat(heartbeat));
    this.#report();
    this.#judgeState();
  }

  #judge(): void {
    const nowMs = this.#context.clock.monotonicMs();
    this.#tell(this.#detector.tick(nowMs));
    this.#reviveDeaf(nowMs);
  }

  /**
   * A machine that stays dead to gossip though its link lives: one of the two has lost its place in the other's gossip, and what mends
   * that by itself (`withOpenStreams` of the transport) did not. A new connection does. A link that has only just begun is left alone:
   * a machine that was restarted is dead until its first heartbeat, and would be cut off again and again.
   */
  #reviveDeaf(nowMs: number): void {
    const { transport, logger } = this.#context;
    const deaf = transport.connected().filter((peer) => this.isDead(peer));
    for (const peer of this.#deafSinceMs.keys()) if (!deaf.includes(peer)) this.#deafSinceMs.delete(peer);
    for (const peer of deaf) {
      const sinceMs = this.#deafSinceMs.get(peer);
      if (sinceMs !== undefined && nowMs - sinceMs < deafMs) continue;
      this.#deafSinceMs.set(peer, nowMs);
      if (sinceMs === undefined) continue;
      logger.warn({ peer }, 'a machine is silent in gossip though its link is alive: it is connected to anew');
      transport.reconnect(peer);
    }
  }

  #judgeState(): void {
    const { own, onStateJudged } = this.#context;
    const others = new Map(
      this.#detector.members().map(({ heartbeat }) => [heartbeat.peer, heartbeat.stateHashes ?? []] as const),
    );
    // Machines without a log have no state to compare; one that does not say so has.
    const holding = this.#members.filter(({ log = 'held' }) => log === 'held').length;
    const judgement = judgeState(own().stateHashes, others, holding);
    const text = JSON.stringify(judgement);
    if (text === this.#judged) return;
    this.#judged = text;
    onStateJudged(judgement);
  }

  #tell(changes: VerdictChange[]): void {
    const monotonicMs = Math.round(this.#context.clock.monotonicMs());
    for (const change of changes) this.#context.logger.info({ ...change, monotonicMs }, 'the verdict on a machine changed');
    if (changes.length > 0) this.#report();
  }

  #report(): void {
    const { clock, onHealth, options, own } = this.#context;
    const [nowMs, wallMs] = [clock.monotonicMs(), clock.wallMs()];
    const heard = new Map(this.#detector.members().map((member) => [member.heartbeat.peer, member]));
    const others = this.#members.filter((member) => member.id !== options.id);
    onHealth([
      {
        nodeName: options.nodeName,
        verdict: 'alive',
        agentReady: this.#agentReady,
        lastHeartbeatMs: Math.round(wallMs),
        leaseMs: own().leaseMs,
        diskLow: own().diskLow,
      },
      ...others.map(({ id, nodeName }): NodeHealthView => {
        const member = heard.get(id);
        const silenceMs = member ? nowMs - member.lastHeardMs : wallMs;
        return {
          nodeName,
          verdict: this.#detector.verdict(id),
          agentReady: member?.heartbeat.agentReady ?? false,
          lastHeartbeatMs: Math.round(wallMs - silenceMs),
          ...(member?.heartbeat.leaseMs === undefined ? {} : { leaseMs: member.heartbeat.leaseMs }),
          ...(member?.heartbeat.diskLow === undefined ? {} : { diskLow: member.heartbeat.diskLow }),
          ...this.#fence(id, nowMs, wallMs),
        };
      }),
    ]);
  }

  /** Nothing for a machine that lives, or when this peer does not lead. */
  #fence(peer: string, nowMs: number, wallMs: number): { fencedAtMs: number; fenced: boolean } | undefined {
    const deadSinceMs = this.#detector.decidedMs(peer);
    if (deadSinceMs === undefined || !this.isDead(peer)) return undefined;
    const atMs = this.#context.fencedAtMs(deadSinceMs);
    return atMs === undefined ? undefined : { fencedAtMs: Math.round(wallMs + atMs - nowMs), fenced: nowMs >= atMs };
  }

  /** Undefined when the agent does not answer. */
  #askAgent(): Promise<Summary | undefined> {
    return new Promise((resolve) => {
      const call = request(
        { socketPath: this.#context.options.agentSocket, path: '/summary', timeout: agentTimeoutMs },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', () => resolve(undefined));
          response.on('end', () => {
            try {
              resolve(response.statusCode === 200 ? (JSON.parse(Buffer.concat(chunks).toString()) as Summary) : undefined);
            } catch {
              resolve(undefined);
            }
          });
        },
      );
      call.on('timeout', () => call.destroy());
      // Not an event to report: agentReady false in the heartbeat says it to the whole cluster.
      call.on('error', () => resolve(undefined));
      call.end();
    });
  }
}

function isNewer(one: QuorumNews, other: QuorumNews): boolean {
  return one.term > other.term || (one.term === other.term && other.leader === undefined);
}
