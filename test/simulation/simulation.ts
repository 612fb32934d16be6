/**
 * A cluster under one seed: simulated time, a network that loses, doubles, delays, reorders and cuts, also in one direction
 * only, disks that lose what was not synced, crashes, restarts, clients, and operators who change the members. All randomness
 * comes from the seed, so a failure is replayed by it.
 */
import { emptyState, type LogState, type RaftCore } from '../../src/consensus/core.ts';
import { ConsensusError } from '../../src/consensus/errors.ts';
import { encodeMembership } from '../../src/consensus/membership.ts';
import type { Message } from '../../src/consensus/messages.ts';
import type { MembershipChange } from '../../src/consensus/types.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { Checker, Violation } from './checker.ts';
import { type Counts, electionTicks, type Image, type Outside, SimulatedPeer } from './peer.ts';
import { Trace } from './trace.ts';

export interface SimulationOptions {
  seed: number;
  ticks: number;
  /** Voters at the start, 1 to 9; two more peers wait to be added. Default: 3 to 5, by the seed. */
  peers?: number;
  /** Disks lose what they confirmed. No protocol survives that: it shows that the checker would notice a broken one. */
  diskLies?: boolean;
}

export interface SimulationResult {
  hash: string;
  /** What was violated; undefined: nothing. */
  failure: Error | undefined;
  /** The tick at which it was noticed. */
  tick: number;
  counts: Counts;
}

/** Within this many calm ticks a healed cluster must have caught up. */
const healTicksMax = 60 * electionTicks;

interface Faults {
  /** Per cent. */
  loss: number;
  duplicates: number;
  delayTicksMax: number;
  /** One in so many ticks. */
  crashEvery: number;
  restartTicks: number;
  cutEvery: number;
  pauseEvery: number;
  memberChangeEvery: number;
  transferEvery: number;
  /** The time of a write, on average. */
  diskTicks: number;
}

class Simulation {
  readonly #random: Random;
  readonly #faults: Faults;
  readonly #checker = new Checker();
  readonly #trace = new Trace();
  readonly #counts: Counts = {
    acknowledged: 0,
    reads: 0,
    snapshots: 0,
    crashes: 0,
    memberChanges: 0,
    transfers: 0,
    compactions: 0,
    leaderships: 0,
  };
  readonly #peers: SimulatedPeer[];
  readonly #cut = new Set<string>();
  #network: { dueTick: number; message: Message; image: Image | undefined }[] = [];
  #tick = 0;
  #calm = false;
  #proposed = 0;
  #lastLeader = '';

  constructor({ seed, peers, diskLies = false }: SimulationOptions) {
    const random = seededRandom(seed);
    this.#random = random;
    this.#faults = {
      loss: random.int(4) * random.int(8),
      duplicates: random.int(10),
      delayTicksMax: 1 + random.int(6),
      crashEvery: 2 ** (4 + random.int(6)),
      restartTicks: 2 ** (1 + random.int(6)),
      cutEvery: 2 ** (4 + random.int(6)),
      pauseEvery: 2 ** (5 + random.int(6)),
      memberChangeEvery: 2 ** (2 + random.int(7)),
      transferEvery: 2 ** (5 + random.int(5)),
      diskTicks: 2 ** random.int(4),
    };
    const size = peers ?? 3 + random.int(3);
    const ids = Array.from({ length: size + 2 }, (_, n) => `p${n + 1}`);
    const voters = ids.slice(0, size);
    const data = encodeMembership({ voters, votersOutgoing: [], learners: [] });
    const founded: LogState = {
      ...emptyState(),
      hardState: { term: 1, vote: undefined, commit: 1 },
      entries: [{ index: 1, term: 1, kind: 'membership', data }],
    };
    const send = (message: Message, image?: Image) => this.#post(message, image);
    const { diskTicks } = this.#faults;
    const told = { checker: this.#checker, trace: this.#trace, counts: this.#counts };
    const outside: Outside = { random, send, diskTicks, diskLies, ...told };
    this.#peers = ids.map((id) => new SimulatedPeer(id, voters.includes(id) ? founded : emptyState(), outside));
  }

  run(ticks: number): SimulationResult {
    let failure: Error | undefined;
    try {
      while (this.#tick < ticks) this.#step();
      this.#heal();
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
    }
    return { hash: this.#trace.hash, failure, tick: this.#tick, counts: this.#counts };
  }

  #step(): void {
    this.#tick++;
    if (!this.#calm) this.#inject();
    if (this.#random.int(2) === 0) this.#serveClients();
    this.#deliver();
    this.#serveClients();
    for (const peer of this.#peers) {
      if (peer.pausedTicks > 0) peer.pausedTicks--;
      else peer.tick(this.#calm || this.#random.int(20) > 0, this.#calm);
    }
    const leader = this.#peers.find((peer) => peer.leads);
    const name = leader ? `${leader.id} ${leader.core?.term}` : this.#lastLeader;
    if (name !== this.#lastLeader) this.#counts.leaderships++;
    this.#lastLeader = name;
  }

  #oneIn(ticks: number): boolean {
    return this.#random.int(ticks) === 0;
  }

  #any<T>(items: readonly T[]): T {
    return items[this.#random.int(items.length)]!;
  }

  #inject(): void {
    const { crashEvery, restartTicks, cutEvery, pauseEvery } = this.#faults;
    const all = this.#oneIn(crashEvery * 8);
    for (const peer of this.#peers) if (peer.core && (all || this.#oneIn(crashEvery))) peer.crash();
    for (const peer of this.#peers) if (!peer.core && this.#oneIn(restartTicks)) peer.start();
    for (const peer of this.#peers) if (this.#oneIn(pauseEvery * 4)) peer.pausedTicks = this.#random.int(5 * electionTicks);
    if (this.#oneIn(cutEvery)) this.#cutSome();
    if (this.#cut.size > 0 && this.#oneIn(50)) this.#cut.clear();
  }

  // Half of the cuts part the cluster in two, the others stop single directions.
  #cutSome(): void {
    const ids = this.#peers.map(({ id }) => id);
    if (this.#random.int(2) === 0) {
      const side = new Set(ids.filter(() => this.#random.int(2) === 0));
      for (const from of ids) for (const to of ids) if (side.has(from) !== side.has(to)) this.#cut.add(`${from} ${to}`);
    } else for (let n = 0; n <= this.#random.int(4); n++) this.#cut.add(`${this.#any(ids)} ${this.#any(ids)}`);
  }

  #post(message: Message, image: Image | undefined): void {
    const { loss, duplicates, delayTicksMax } = this.#faults;
    if (this.#calm) {
      this.#network.push({ dueTick: this.#tick + 1, message, image });
      return;
    }
    if (this.#cut.has(`${message.from} ${message.to}`) || this.#random.int(100) < loss) return;
    const copies = this.#random.int(100) < duplicates ? 2 : 1;
    for (let n = 0; n < copies; n++) {
      const late = this.#random.int(50) === 0 ? 40 : delayTicksMax;
      this.#network.push({ dueTick: this.#tick + this.#random.int(late + 1), message, image });
    }
  }

  #deliver(): void {
    const due = this.#network.filter(({ dueTick }) => dueTick <= this.#tick);
    this.#network = this.#network.filter(({ dueTick }) => dueTick > this.#tick);
    while (due.length > 0) {
      const at = this.#calm ? 0 : this.#random.int(due.length);
      const { message, image } = due.splice(at, 1)[0]!;
      this.#trace.add(message.type, this.#tick, message.term);
      const peer = this.#peers.find(({ id }) => id === message.to)!;
      if (peer.pausedTicks > 0) this.#network.push({ dueTick: this.#tick + peer.pausedTicks, message, image });
      else peer.receive(message, image);
    }
  }

  #serveClients(): void {
    for (const peer of this.#peers) {
      if (!peer.leads || peer.pausedTicks > 0) continue;
      this.#attempt(() => {
        for (let n = this.#random.int(3); n > 0; n--) peer.propose(`${++this.#proposed}`);
        if (this.#random.int(3) === 0) peer.read();
        if (this.#calm) return;
        if (this.#oneIn(this.#faults.memberChangeEvery)) {
          if (peer.core?.proposeMembership(this.#change(peer.core))) this.#counts.memberChanges++;
        }
        if (this.#oneIn(this.#faults.transferEvery)) {
          peer.core?.transferLeadership(this.#any(peer.core.membership.voters));
          this.#counts.transfers++;
        }
      });
    }
  }

  #change(leader: RaftCore): MembershipChange {
    const { id: peer } = this.#any(this.#peers);
    const { voters, learners } = leader.membership;
    if (voters.includes(peer)) return { type: 'remove', peer };
    if (learners.includes(peer)) return { type: this.#any(['promote', 'promote', 'remove'] as const), peer };
    return { type: 'addLearner', peer };
  }

  /** A refusal is an answer; anything else is a failure. */
  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof ConsensusError)) throw error;
    }
  }

  /** Everything works again: a leader must appear, and all its members catch up with what it is given now. */
  #heal(): void {
    this.#calm = true;
    this.#cut.clear();
    for (const peer of this.#peers) {
      peer.pausedTicks = 0;
      if (!peer.core) peer.start();
    }
    const end = this.#tick + healTicksMax;
    while (this.#tick < end - healTicksMax / 3) this.#step();
    const goal = this.#checker.committedLength;
    while (this.#tick < end) this.#step();
    const leader = this.#peers.filter((peer) => peer.leads).sort((a, b) => b.core!.term - a.core!.term)[0];
    if (!leader) throw new Violation('no leader after everything is healed');
    const { voters, learners } = leader.core!.membership;
    for (const peer of this.#peers) {
      const member = voters.includes(peer.id) || learners.includes(peer.id);
      if (member && peer.machine.index < goal)
        throw new Violation(`${peer.id} stays at ${peer.machine.index} of ${goal} though everything is healed`);
    }
    if (this.#checker.committedLength <= goal) throw new Violation('nothing is committed though everything is healed');
  }
}

/** Runs one seed to its end, or to the first violation. */
export function simulate(options: SimulationOptions): SimulationResult {
  return new Simulation(options).run(options.ticks);
}
