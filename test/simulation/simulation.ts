/**
 * A cluster under one seed: simulated time, a bad network, clocks that drift and jump, disks that lose what was not synced or
 * are lost whole, power that fails at any step, clients with retries, and operators who change the members. All randomness comes
 * from the seed, so a failure is replayed by it. At the end everything is healed: the cluster must go on, answer all clients, and
 * their histories must be linearizable.
 */
import { emptyState, type LogState } from '../../src/consensus/core.ts';
import { ConsensusError } from '../../src/consensus/errors.ts';
import { allMembers, encodeMembership } from '../../src/consensus/membership.ts';
import type { Membership, PeerId } from '../../src/consensus/types.ts';
import { seededRandom } from '../../src/lib/random.ts';
import { Checker, Violation } from './checker.ts';
import { Clients } from './clients.ts';
import { type FaultName, Faults } from './faults.ts';
import { Network } from './network.ts';
import { nextChange, nextReplacement } from './operators.ts';
import { type Counts, type Disk, electionTicks, type Outside, PowerLoss, SimulatedPeer } from './peer.ts';
import { Trace } from './trace.ts';

export interface SimulationOptions {
  seed: number;
  ticks: number;
  /** Voters at the start, 1 to 9; two more peers wait to be added. Default: 3 to 5, by the seed. */
  peers?: number;
  /** Faults that do not happen. */
  off?: readonly FaultName[];
  /** No fault happens before this tick. */
  calmTicks?: number;
  /** Disks lose what they confirmed. No protocol survives that: it shows that the checker would notice a broken one. */
  diskLies?: boolean;
  /** A peer whose log had rot comes back under its old name, as if it had never promised anything: that must be noticed too. */
  forgets?: boolean;
  /** Keep the latest lines of what happened. */
  keepsLines?: boolean;
}

export interface SimulationResult {
  hash: string;
  /** What was violated; undefined: nothing. */
  failure: Error | undefined;
  /** The tick at which it was noticed. */
  tick: number;
  counts: Counts;
  lines: readonly string[];
}

/** Within this many calm ticks a healed cluster must have caught up. */
const healTicksMax = 60 * electionTicks;

const noCounts: Counts = {
  writes: 0,
  reads: 0,
  retries: 0,
  snapshots: 0,
  brokenSnapshots: 0,
  crashes: 0,
  powerLosses: 0,
  disksLost: 0,
  rots: 0,
  clockStops: 0,
  oneWayCuts: 0,
  memberChanges: 0,
  jointChanges: 0,
  transfers: 0,
  compactions: 0,
  leaderships: 0,
};

class Simulation {
  readonly #options: SimulationOptions;
  readonly #faults: Faults;
  readonly #checker = new Checker();
  readonly #trace: Trace;
  readonly #counts = { ...noCounts };
  readonly #network: Network;
  readonly #clients: Clients;
  readonly #peers: SimulatedPeer[];
  /** Peers whose disk is lost. */
  readonly #lost = new Set<PeerId>();
  /** Peers whose log had rot, with those that come into their place. */
  readonly #replacements = new Map<PeerId, PeerId>();
  /** Copies of disks as they were some time ago. */
  readonly #oldDisks = new Map<PeerId, Disk>();
  #tick = 0;
  #calm = false;
  #lastLeader = '';

  constructor(options: SimulationOptions) {
    const { seed, peers, off, keepsLines = false } = options;
    this.#options = options;
    const faults = new Faults(seed, off);
    this.#faults = faults;
    this.#trace = new Trace(keepsLines);
    this.#network = new Network(faults);
    this.#clients = new Clients({
      random: faults.stream('clients'),
      loses: () => !this.#calm && faults.percent('lostAnswers', 4 + faults.lossPercent),
      doubles: () => !this.#calm && faults.percent('duplicates', 5 + faults.duplicatesPercent),
      delayTicks: () => (this.#calm ? 1 : 1 + faults.stream('answers').int(faults.delayTicksMax)),
      counts: this.#counts,
    });
    const size = peers ?? 3 + faults.stream('plan').int(3);
    const ids = Array.from({ length: size + 2 }, (_, n) => `p${n + 1}`);
    const voters = ids.slice(0, size);
    const data = encodeMembership({ voters, votersOutgoing: [], learners: [] });
    const founded: LogState = {
      ...emptyState(),
      hardState: { term: 1, vote: undefined, commit: 1 },
      entries: [{ index: 1, term: 1, kind: 'membership', data }],
    };
    this.#peers = ids.map((id) => this.#newPeer(id, SimulatedPeer.disk(voters.includes(id) ? founded : emptyState())));
  }

  #newPeer(id: PeerId, disk: Disk): SimulatedPeer {
    const { seed, diskLies = false } = this.#options;
    const outside: Outside = {
      random: seededRandom(seed * 31 + id.charCodeAt(1) + 256 * id.length),
      checker: this.#checker,
      trace: this.#trace,
      counts: this.#counts,
      send: (message, image) => this.#network.post(message, image, this.#tick),
      diskTicks: this.#faults.diskTicks,
      diskLies,
      breaksSnapshots: !this.#faults.isOff('brokenSnapshots'),
    };
    const peer = new SimulatedPeer(id, disk, outside);
    peer.clockRate = this.#faults.clockRate(id);
    return peer;
  }

  async run(): Promise<SimulationResult> {
    let failure: Error | undefined;
    try {
      for (const peer of this.#peers) await peer.start();
      while (this.#tick < this.#options.ticks) await this.#step();
      await this.#heal();
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
    }
    const { lines, hash } = this.#trace;
    this.#counts.oneWayCuts = this.#network.oneWayCuts;
    return { hash, failure, tick: this.#tick, counts: this.#counts, lines };
  }

  async #step(accepting = true): Promise<void> {
    this.#tick++;
    if (!this.#calm && this.#tick > (this.#options.calmTicks ?? 0)) await this.#inject();
    this.#serve(accepting);
    this.#deliver();
    this.#operate();
    this.#replace();
    for (const peer of this.#peers) {
      if (peer.pausedTicks > 0) peer.pausedTicks--;
      else if (peer.core) {
        try {
          await peer.tick(this.#calm);
        } catch (error) {
          this.#powerLost(peer, error);
        }
      }
    }
    const leader = this.#leader;
    const name = leader ? `${leader.id} leads term ${leader.core?.term}` : this.#lastLeader;
    if (name !== this.#lastLeader) {
      this.#counts.leaderships++;
      this.#tell(() => name);
    }
    this.#lastLeader = name;
  }

  get #leader(): SimulatedPeer | undefined {
    return this.#peers.filter(({ leads }) => leads).sort((a, b) => b.core!.term - a.core!.term)[0];
  }

  #tell(text: () => string): void {
    this.#trace.tell(this.#tick, text);
  }

  #powerLost(peer: SimulatedPeer, error: unknown): void {
    if (!(error instanceof PowerLoss)) throw error;
    this.#tell(() => `${peer.id} loses its power in the middle of its work`);
    peer.crash();
  }

  async #inject(): Promise<void> {
    const faults = this.#faults;
    const all = faults.happens('crashes', 8);
    for (const peer of this.#peers) {
      if (peer.core && (faults.happens('crashes') || all)) {
        this.#tell(() => `${peer.id} crashes`);
        peer.crash();
      } else if (!peer.core && !this.#lost.has(peer.id) && faults.stream('restarts').int(faults.restartTicks) === 0) {
        if (this.#mayLose(peer) && faults.happens('rot')) await this.#rot(peer);
        else {
          this.#tell(() => `${peer.id} starts again`);
          await peer.start();
        }
      }
      if (peer.core && peer.stepsToPowerLoss === 0 && faults.happens('powerLosses')) {
        peer.stepsToPowerLoss = 1 + faults.stream('powerLosses').int(12);
      }
      if (faults.happens('pauses') || (peer.leads && faults.happens('pauses'))) {
        peer.pausedTicks = faults.stream('pauses').int(8 * electionTicks);
        this.#tell(() => `${peer.id} stands still for ${peer.pausedTicks} ticks`);
      }
      if (peer.core && peer.pausedTicks === 0 && faults.happens('clocks')) {
        const ticks = faults.stream('clocks').int(3 * electionTicks);
        const back = faults.stream('clocks').int(2) === 0;
        this.#tell(() => `the clock of ${peer.id} jumps ${back ? 'back' : 'forward'} by ${ticks} ticks`);
        if (back) {
          this.#counts.clockStops++;
          peer.clockStopsTicks = ticks;
        } else peer.jump(ticks);
      }
      if (faults.stream('disksLost').int(100) === 0) this.#oldDisks.set(peer.id, peer.disk);
    }
    if (faults.happens('partitions')) {
      const ids = this.#peers.map(({ id }) => id);
      const cut = this.#network.cutSome(ids, this.#leader?.id);
      this.#tell(() => `cut ${cut}`);
    }
    if (this.#network.isCut && faults.stream('heal').int(50) === 0) {
      this.#tell(() => 'all cuts heal');
      this.#network.heal();
    }
    if (this.#counts.disksLost === 0 && faults.oneIn('disksLost', 400)) await this.#loseDisk();
  }

  // As long as each group of voters that may be in force keeps a majority.
  #mayLose(peer: SimulatedPeer): boolean {
    const held = this.#peers.flatMap((each) => [...(each.core ? [each.core.membership] : []), ...each.membershipsOnDisk]);
    const memberships = [...held, ...this.#network.memberships];
    const groups = memberships.flatMap(({ voters, votersOutgoing }) => [voters, votersOutgoing]);
    const isGone = (id: PeerId) => id === peer.id || this.#lost.has(id);
    return groups.every((group) => !group.includes(peer.id) || group.filter(isGone).length * 2 < group.length);
  }

  // What is on the disk cannot be read any more: the machine comes back as a new peer in the place of the old one.
  async #rot(peer: SimulatedPeer): Promise<void> {
    this.#counts.rots++;
    const { forgets = false } = this.#options;
    const id = forgets ? peer.id : `${peer.id}r`;
    this.#tell(() => `${peer.id} finds rot and comes back as ${id}`);
    const next = this.#newPeer(id, SimulatedPeer.disk(emptyState()));
    if (forgets) this.#peers[this.#peers.indexOf(peer)] = next;
    else {
      this.#lost.add(peer.id);
      this.#checker.retire(peer.id);
      this.#replacements.set(peer.id, id);
      this.#peers.push(next);
    }
    await next.start();
  }

  // The machine comes back as a new peer: with an empty disk, or with an old copy of the lost one.
  async #loseDisk(): Promise<void> {
    const random = this.#faults.stream('disksLost');
    const peer = this.#peers[random.int(this.#peers.length)]!;
    if (this.#lost.has(peer.id) || !this.#mayLose(peer)) return;
    this.#counts.disksLost++;
    this.#lost.add(peer.id);
    this.#checker.retire(peer.id);
    if (peer.core) peer.crash();
    const old = random.int(2) === 0 ? this.#oldDisks.get(peer.id) : undefined;
    this.#tell(() => `${peer.id} loses its disk and comes back as ${peer.id}b with ${old ? 'an old' : 'an empty'} one`);
    const next = this.#newPeer(`${peer.id}b`, old ?? SimulatedPeer.disk(emptyState()));
    this.#peers.push(next);
    await next.start();
  }

  #serve(accepting: boolean): void {
    this.#clients.tick(this.#peers, accepting);
  }

  #deliver(): void {
    for (const packet of this.#network.due(this.#tick)) {
      const { message, image } = packet;
      this.#trace.add(message.type, this.#tick, message.term);
      this.#tell(() => `${message.from} > ${message.to} ${message.type} of term ${message.term}`);
      const peer = this.#peers.find(({ id }) => id === message.to)!;
      if (peer.pausedTicks > 0) this.#network.again({ ...packet, dueTick: this.#tick + peer.pausedTicks });
      else {
        try {
          peer.receive(message, image);
        } catch (error) {
          this.#powerLost(peer, error);
        }
      }
    }
  }

  #operate(): void {
    if (this.#calm) return;
    const faults = this.#faults;
    for (const { core, leads, pausedTicks } of this.#peers) {
      if (!core || !leads || pausedTicks > 0) continue;
      this.#attempt(() => {
        if (!faults.happens('memberChanges')) return;
        const change = nextChange(core.membership, this.#peers, this.#lost, faults.stream('memberChanges'));
        if (!change || !core.proposeMembership(change)) return;
        this.#counts.memberChanges++;
        this.#tell(() => `${core.id} begins ${JSON.stringify(change)}`);
      });
      this.#attempt(() => {
        if (!faults.happens('transfers')) return;
        const { voters } = core.membership;
        const to = voters[faults.stream('transfers').int(voters.length)]!;
        core.transferLeadership(to);
        this.#counts.transfers++;
        this.#tell(() => `${core.id} hands over to ${to}`);
      });
    }
  }

  /** What the leader does by itself, also when all is well again. */
  #replace(): void {
    for (const { core, leads, pausedTicks } of this.#peers) {
      if (!core || !leads || pausedTicks > 0) continue;
      for (const former of this.#replacements.keys()) {
        this.#attempt(() => {
          const random = this.#faults.stream('replacements');
          const change = nextReplacement(core.membership, [former, this.#inPlaceOf(former)], this.#lost, random);
          if (change) core.proposeMembership(change);
        });
      }
    }
  }

  /** The one that came last: rot may meet a newcomer too. */
  #inPlaceOf(former: PeerId): PeerId {
    const next = this.#replacements.get(former);
    return next === undefined ? former : this.#inPlaceOf(next);
  }

  /** A refusal is an answer; anything else is a failure. */
  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof ConsensusError)) throw error;
    }
  }

  /** Everything works again: a leader must appear, all its members catch up, and all clients get their answers. */
  async #heal(): Promise<void> {
    this.#calm = this.#network.calm = true;
    this.#network.heal();
    for (const peer of this.#peers) {
      peer.pausedTicks = peer.stepsToPowerLoss = peer.clockStopsTicks = 0;
      if (!peer.core && !this.#lost.has(peer.id)) await peer.start();
    }
    this.#tell(() => 'everything is healed');
    const end = this.#tick + healTicksMax;
    while (this.#tick < end - healTicksMax / 3) await this.#step();
    const goal = this.#checker.committedLength;
    while (this.#tick < end) await this.#step();
    if (!this.#leader) throw new Violation('no leader after everything is healed');
    if (this.#checker.committedLength <= goal) throw new Violation('nothing is committed though everything is healed');
    while (!this.#clients.idle && this.#tick < end + healTicksMax) await this.#step(false);
    if (!this.#clients.idle) throw new Violation('a client gets no answer though everything is healed');
    // What was in flight arrives.
    for (let n = 0; n < 2 * electionTicks; n++) await this.#step(false);
    this.#clients.check();
    this.#compareStates(this.#leader.core!.membership);
  }

  #compareStates(membership: Membership): void {
    const members = allMembers(membership);
    for (const former of this.#replacements.keys()) {
      if (members.has(former)) throw new Violation(`${former}, whose log had rot, is still a member`);
    }
    const present = this.#peers.filter(({ id }) => members.has(id) && !this.#lost.has(id));
    for (const peer of present) {
      if (peer.appliedIndex < this.#checker.committedLength) {
        throw new Violation(
          `${peer.id} stays at ${peer.appliedIndex} of ${this.#checker.committedLength} though everything is healed`,
        );
      }
      this.#checker.state(-1, peer.stateHash!);
    }
  }
}

/** Runs one seed to its end, or to the first violation. */
export function simulate(options: SimulationOptions): Promise<SimulationResult> {
  return new Simulation(options).run();
}
