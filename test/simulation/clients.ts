/**
 * Clients that put, compare-and-swap, delete and read keys through any peer, lose answers, ask again under the same request id,
 * and remember when they called and what they were told. At the end their histories must be linearizable key by key.
 */
import { ConsensusError } from '../../src/consensus/errors.ts';
import type { PeerId } from '../../src/consensus/types.ts';
import type { Random } from '../../src/lib/random.ts';
import { encodeTransaction, type Transaction, type TransactionResult } from '../../src/store/index.ts';
import { Violation } from './checker.ts';
import { contradiction, type RegisterOperation, type Value } from './linearizability.ts';
import type { SimulatedPeer } from './peer.ts';

interface Known {
  value: Value;
  modRevision: number;
}

interface Call {
  client: number;
  key: string;
  calledAt: number;
  /** Undefined: a read. */
  transaction: Transaction | undefined;
  /** What a compare-and-swap expects; undefined: it is none. */
  expected: Value | undefined;
  /** What a write leaves. */
  value: Value;
  askedTick: number;
  /** The peer to ask next. */
  hint: PeerId | undefined;
}

export interface ClientsOutside {
  random: Random;
  /** Whether a request or an answer gets lost now. */
  loses: () => boolean;
  /** Whether a request arrives twice. */
  doubles: () => boolean;
  delayTicks: () => number;
  counts: { writes: number; reads: number; retries: number };
}

const keys = ['a', 'b', 'c'];
const clientsCount = 5;
const patienceTicks = 15;

export class Clients {
  readonly #outside: ClientsOutside;
  readonly #calls: (Call | undefined)[] = Array.from({ length: clientsCount }, () => undefined);
  readonly #known = new Map<string, Known>();
  readonly #history = new Map<string, RegisterOperation[]>(keys.map((key) => [key, []]));
  readonly #writes: { calledAt: number; answeredAt: number; revision: number }[] = [];
  #later: { dueTick: number; action: () => void }[] = [];
  #moment = 0;
  #requests = 0;
  #tick = 0;

  constructor(outside: ClientsOutside) {
    this.#outside = outside;
  }

  get idle(): boolean {
    return this.#calls.every((call) => call === undefined);
  }

  /** `accepting`: new calls may begin. */
  tick(peers: readonly SimulatedPeer[], accepting: boolean): void {
    const { random } = this.#outside;
    this.#tick++;
    const due = this.#later.filter(({ dueTick }) => dueTick <= this.#tick);
    this.#later = this.#later.filter(({ dueTick }) => dueTick > this.#tick);
    for (const { action } of due) action();
    for (let client = 0; client < clientsCount; client++) {
      const call = this.#calls[client];
      if (call) {
        if (this.#tick - call.askedTick < patienceTicks) continue;
        this.#outside.counts.retries++;
        this.#ask(call, peers);
      } else if (accepting && random.int(4) === 0) this.#begin(client, peers);
    }
  }

  #begin(client: number, peers: readonly SimulatedPeer[]): void {
    const { random } = this.#outside;
    const key = keys[random.int(keys.length)]!;
    const known = this.#known.get(`${client} ${key}`);
    const what = random.int(10);
    const base = { client, key, calledAt: ++this.#moment, askedTick: this.#tick, hint: undefined };
    let call: Call = { ...base, transaction: undefined, expected: undefined, value: '' };
    if (what < 6) {
      const requestId = `r${++this.#requests}`;
      const value = what === 0 ? '' : requestId;
      const swap = known !== undefined && what < 4;
      call = {
        ...base,
        expected: swap ? known.value : undefined,
        value,
        transaction: {
          requestId,
          conditions: swap ? [{ key, modRevision: known.modRevision }] : [],
          operations: [value === '' ? { type: 'delete', key } : { type: 'put', key, value: Buffer.from(value) }],
        },
      };
    }
    this.#calls[client] = call;
    this.#ask(call, peers);
  }

  // A peer that does not lead sends a write on to its leader; a read it serves itself, at an index that its leader confirms.
  #ask(call: Call, peers: readonly SimulatedPeer[]): void {
    const { random } = this.#outside;
    call.askedTick = this.#tick;
    // A peer that knows no leader says so at once, and the client tries another one. What is sent to a peer that stands still
    // waits for it: that is when an outdated leader is asked.
    const up = peers.filter((peer) => peer.core);
    const able = up.filter((peer) => up.some(({ id }) => id === peer.core!.leader));
    const peer = able[random.int(Math.max(able.length, 1))];
    const leader = up.find(({ id }) => id === peer?.core?.leader);
    if (!peer || !leader) return;
    if (call.transaction) this.#askWrite(call, call.transaction, leader);
    else {
      this.#carryTo(leader, () =>
        this.#try(() =>
          leader.read((index) =>
            this.#carry(() =>
              peer.whenApplied(index, () => {
                const read = peer.get(call.key);
                this.#carry(() => this.#answered(call, read));
              }),
            ),
          ),
        ),
      );
    }
  }

  #askWrite(call: Call, transaction: Transaction, leader: SimulatedPeer): void {
    const data = encodeTransaction(transaction);
    const propose = () =>
      this.#try(() => leader.propose(data, (result) => this.#carry(() => this.#told(call, transaction, result))));
    this.#carryTo(leader, propose);
    if (this.#outside.doubles()) this.#carryTo(leader, propose);
  }

  #told(call: Call, transaction: Transaction, result: TransactionResult): void {
    if (this.#calls[call.client] !== call) return;
    if (result.ok) {
      this.#answered(call, { value: call.value, modRevision: call.value === '' ? 0 : result.revision }, true);
      if (call.value !== '') {
        this.#writes.push({ calledAt: call.calledAt, answeredAt: this.#moment, revision: result.revision });
      }
    } else {
      const [condition] = transaction.conditions;
      if (result.failed.modRevision === condition?.modRevision) throw new Violation('a condition failed that holds');
      this.#answered(call, undefined, false);
    }
  }

  #answered(call: Call, known: Known | undefined, ok = true): void {
    const { client, key, calledAt, expected, value, transaction } = call;
    if (this.#calls[client] !== call) return;
    this.#calls[client] = undefined;
    if (known) this.#known.set(`${client} ${key}`, known);
    else this.#known.delete(`${client} ${key}`);
    let effect: RegisterOperation['effect'];
    let text: string;
    if (!transaction) {
      this.#outside.counts.reads++;
      const seen = known!.value;
      effect = (now) => (now === seen ? now : undefined);
      text = `read "${seen}"`;
    } else {
      this.#outside.counts.writes++;
      text = expected === undefined ? `put "${value}"` : `swap "${expected}" for "${value}" ${ok ? 'done' : 'refused'}`;
      effect = (now) => {
        const holds = expected === undefined || now === expected;
        if (holds !== ok) return undefined;
        return ok ? value : now;
      };
    }
    const at = { client, calledAt, answeredAt: ++this.#moment };
    this.#history.get(key)!.push({ ...at, effect, text: `client ${client} ${key} ${text}` });
  }

  #carry(action: () => void): void {
    if (this.#outside.loses()) return;
    this.#later.push({ dueTick: this.#tick + this.#outside.delayTicks(), action });
  }

  #carryTo(peer: SimulatedPeer, action: () => void): void {
    const arrive = () => {
      if (peer.pausedTicks > 0) this.#later.push({ dueTick: this.#tick + peer.pausedTicks, action: arrive });
      else action();
    };
    this.#carry(arrive);
  }

  /** A refusal is an answer too: the client asks again. */
  #try(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof ConsensusError)) throw error;
    }
  }

  /** Throws a Violation when the answers contradict each other. */
  check(): void {
    for (const [key, operations] of this.#history) {
      const why = contradiction(operations);
      if (why) throw new Violation(`the history of key ${key} (${operations.length} operations) is not linearizable: ${why}`);
    }
    // Revisions grow along real time, over all keys: a write that was answered before another was called has the smaller one.
    const byAnswer = [...this.#writes].sort((a, b) => a.answeredAt - b.answeredAt);
    let answered = 0;
    let greatest = 0;
    for (const { calledAt, revision } of [...this.#writes].sort((a, b) => a.calledAt - b.calledAt)) {
      while (byAnswer[answered] && byAnswer[answered]!.answeredAt < calledAt) {
        greatest = Math.max(greatest, byAnswer[answered++]!.revision);
      }
      if (revision <= greatest) throw new Violation(`revision ${revision} came after ${greatest} was answered`);
    }
  }
}
