/**
 * A small interpreter for protocol scenarios: a text file of commands, each followed by what the peers then said and did. The
 * cores are real; time, network and disks move only by command. Idea: the interaction tests of etcd-io/raft.
 *
 *   found a b c | join d                  peers with these voters; an empty peer
 *   tick a [n]                            n ticks on a
 *   settle                                delivers everything until nothing is under way
 *   deliver a>b | drop a>b                only the messages under way from a to b ('*': any)
 *   cut a | heal a                        loses all that a sends or should receive from now on
 *   hold a | release a                    a's disk stands still; goes on
 *   crash a | restart a                   loses what was not on disk
 *   forget a index                        drops the log that a had, which held everything up to index
 *   change a addLearner d | change a set b,c d   one member; all voters and all learners at once
 *   propose a text (or x*2000) | read a | transfer a b | compact a index
 *   vote b>a term last-index/last-term    a request for a vote made by hand ('preVote' likewise)
 *   status                                all peers
 */
import { bootstrapState, emptyState, forgottenState, type LogState, RaftCore } from '../../src/consensus/core.ts';
import { ConsensusError } from '../../src/consensus/errors.ts';
import { type LogBatch, type StoredLog, storedAfter } from '../../src/consensus/log-batch.ts';
import { decodeMembership, encodeMembership } from '../../src/consensus/membership.ts';
import type { Message } from '../../src/consensus/messages.ts';
import type { Entry, Membership, MembershipChange } from '../../src/consensus/types.ts';

const random = { int: () => 0, float: () => 0 };
const limits = {
  electionTicks: 10,
  heartbeatTicks: 2,
  maxInflight: 3,
  appendBytesMax: 1000,
  unappliedBytesMax: 1 << 20,
  committedBytesMax: 1 << 20,
  fullBytes: 10_000,
};

interface Peer {
  id: string;
  core: RaftCore | undefined;
  stored: StoredLog;
  items: string[];
  applied: { index: number; term: number };
  held: boolean;
  writes: { batch: LogBatch | undefined; done: () => void }[];
  shown: string;
  reads: number;
  muteBefore: number;
}

interface Flight {
  message: Message;
  items?: string[];
}

function membershipText({ voters, votersOutgoing, learners }: Membership): string {
  return [
    `voters ${voters.join(',') || 'none'}`,
    votersOutgoing.length > 0 && `outgoing ${votersOutgoing.join(',')}`,
    learners.length > 0 && `learners ${learners.join(',')}`,
  ]
    .filter(Boolean)
    .join(' ');
}

/** Long proposals are written as the letter and how often it comes: x*2000. */
const shortened = (text: string) => (text.length > 100 ? `${text[0]}*${text.length}` : text);
const lengthened = (text: string) =>
  text.replace(/^(\w)\*(\d+)$/, (_, letter: string, times: string) => letter.repeat(Number(times)));

function entryText({ index, term, kind, data }: Entry): string {
  const content =
    kind === 'normal'
      ? shortened(Buffer.from(data).toString())
      : kind === 'membership'
        ? membershipText(decodeMembership(data))
        : 'empty';
  return `${index}/${term} ${content}`;
}

function messageText(message: Message): string {
  const head = `${message.from}>${message.to} ${message.type} term ${message.term}`;
  switch (message.type) {
    case 'preVote':
    case 'vote':
      return `${head} last ${message.lastIndex}/${message.lastTerm}${message.transfer ? ' transfer' : ''}`;
    case 'preVoteResponse':
    case 'voteResponse':
      return `${head} ${message.granted ? 'granted' : 'refused'}`;
    case 'append':
      return `${head} after ${message.prevIndex}/${message.prevTerm} commit ${message.commit}${message.entries.map((entry) => ` [${entryText(entry)}]`).join('')}`;
    case 'appendResponse':
      return message.rejected
        ? `${head} rejected ${message.index} hint ${message.hintIndex}/${message.hintTerm}`
        : `${head} accepted ${message.index}`;
    case 'heartbeat':
      return `${head} commit ${message.commit} round ${message.round}`;
    case 'heartbeatResponse':
      return `${head} round ${message.round}`;
    case 'snapshot':
      return `${head} at ${message.meta.index}/${message.meta.term} ${membershipText(message.meta.membership)}`;
    case 'timeoutNow':
      return head;
  }
}

export class Scenario {
  readonly #peers = new Map<string, Peer>();
  readonly #cut = new Set<string>();
  #flights: Flight[] = [];
  #output: string[] = [];

  /** Runs one command line; returns what happened, line by line. */
  run(line: string): string[] {
    this.#output = [];
    const [command = '', ...words] = line.split(' ');
    try {
      this.#command(command, words);
    } catch (error) {
      if (!(error instanceof ConsensusError)) throw error;
      this.#output.push(`refused ${error.code}`);
    }
    this.#carryOut();
    return this.#output;
  }

  #command(command: string, words: string[]): void {
    const first = words[0] ?? '';
    const [from = '', to = ''] = first.split('>');
    switch (command) {
      case 'found':
        for (const id of words) this.#add(id, words.length === 1 ? bootstrapState(id) : foundedState(words));
        break;
      case 'join':
        this.#add(first, emptyState());
        break;
      case 'tick':
        for (let n = Number(words[1] ?? 1); n > 0; n--) {
          this.#core(first).tick();
          this.#carryOut();
        }
        break;
      case 'settle':
        for (let turns = 0; this.#flights.length > 0; turns++) {
          if (turns > 100) throw new Error('the peers do not come to rest');
          this.#deliver(this.#flights.splice(0));
        }
        break;
      case 'deliver':
        this.#deliver(this.#take(from, to));
        break;
      case 'drop':
        for (const { message } of this.#take(from, to)) this.#output.push(`lost ${messageText(message)}`);
        break;
      case 'cut':
        this.#cut.add(first);
        break;
      case 'heal':
        this.#cut.delete(first);
        break;
      case 'hold':
        this.#peer(first).held = true;
        break;
      case 'release':
        this.#peer(first).held = false;
        break;
      case 'crash':
        Object.assign(this.#peer(first), { core: undefined, writes: [] });
        break;
      case 'restart':
        this.#start(this.#peer(first));
        break;
      case 'forget': {
        const { term } = this.#core(first);
        const index = Number(words[1]);
        this.#add(first, forgottenState(first, { term, index }), index);
        break;
      }
      case 'propose':
        this.#core(first).propose(Buffer.from(lengthened(words.slice(1).join(' '))));
        break;
      case 'read':
        this.#core(first).readIndex(++this.#peer(first).reads);
        break;
      case 'change': {
        const [, type, peer, others] = words;
        const set = { type, voters: peer?.split(','), learners: others?.split(',') ?? [] };
        const change = (type === 'set' ? set : { type, peer }) as MembershipChange;
        if (!this.#core(first).proposeMembership(change)) this.#output.push('so already');
        break;
      }
      case 'transfer':
        this.#core(first).transferLeadership(words[1]!);
        break;
      case 'compact':
        this.#compact(this.#peer(first), Number(words[1]));
        break;
      case 'vote':
      case 'preVote': {
        const [lastIndex = 0, lastTerm = 0] = words[2]!.split('/').map(Number);
        this.#core(to).step({ type: command, from, to, term: Number(words[1]), lastIndex, lastTerm, transfer: false });
        break;
      }
      case 'status':
        for (const peer of this.#peers.values()) this.#output.push(this.#statusText(peer));
        break;
      default:
        throw new Error(`unknown command ${command}`);
    }
  }

  #peer(id: string): Peer {
    const peer = this.#peers.get(id);
    if (!peer) throw new Error(`no peer ${id}`);
    return peer;
  }

  #core(id: string): RaftCore {
    const { core } = this.#peer(id);
    if (!core) throw new Error(`${id} is down`);
    return core;
  }

  #add(id: string, state: LogState, muteBefore = 0): void {
    const stored = { ...state, restoring: undefined };
    const peer: Peer = {
      id,
      core: undefined,
      stored,
      items: [],
      applied: { index: 0, term: 0 },
      held: false,
      writes: [],
      shown: '',
      reads: 0,
      muteBefore,
    };
    this.#peers.set(id, peer);
    this.#start(peer);
  }

  #start(peer: Peer): void {
    const { id, stored: state, muteBefore, applied } = peer;
    peer.core = new RaftCore({ id, state, applied: applied.index, random, muteBefore, ...limits });
  }

  #take(from: string, to: string): Flight[] {
    const matches = ({ message }: Flight) => (from === '*' || message.from === from) && (to === '*' || message.to === to);
    const taken = this.#flights.filter(matches);
    this.#flights = this.#flights.filter((flight) => !matches(flight));
    return taken;
  }

  #deliver(flights: Flight[]): void {
    for (const { message, items } of flights) {
      const peer = this.#peer(message.to);
      if (!peer.core) continue;
      peer.core.step(message);
      this.#carryOut(items);
    }
  }

  // Until nothing changes any more, but without delivering messages.
  #carryOut(items?: string[]): void {
    for (const peer of this.#peers.values()) {
      if (!peer.core) continue;
      for (let rounds = 0; rounds < 5; rounds++) {
        this.#takeReady(peer, peer.core, items);
        if (!peer.held) for (const { batch, done } of peer.writes.splice(0)) this.#write(peer, batch, done);
      }
      this.#showChange(peer);
    }
  }

  #write(peer: Peer, batch: LogBatch | undefined, done: () => void): void {
    if (batch) peer.stored = storedAfter(peer.stored, batch);
    done();
  }

  #takeReady(peer: Peer, core: RaftCore, items: string[] | undefined): void {
    const {
      sequence,
      hardState,
      entries,
      snapshot,
      messages,
      messagesAfterPersist,
      committed,
      readStates,
      snapshotsToSend,
      restore,
    } = core.takeReady();
    this.#showChange(peer);
    for (const message of messages) this.#send(message);
    if (sequence !== undefined) {
      const batch = hardState && { hardState, entries, snapshot };
      const done = () => {
        core.persisted(sequence);
        for (const message of messagesAfterPersist) this.#send(message);
      };
      peer.writes.push({ batch, done });
    }
    for (const entry of committed) {
      this.#output.push(`${peer.id} applies ${entryText(entry)}`);
      if (entry.kind === 'normal') peer.items.push(shortened(Buffer.from(entry.data).toString()));
      peer.applied = { index: entry.index, term: entry.term };
      core.applied(entry.index);
    }
    for (const { id, index } of readStates) this.#output.push(`${peer.id} read ${id} at ${index}`);
    for (const { to, term } of snapshotsToSend) {
      const meta = { ...peer.applied, membership: core.membershipAt(peer.applied.index) };
      this.#send({ type: 'snapshot', from: peer.id, to, term, meta }, [...peer.items]);
    }
    if (restore && items) {
      peer.items = [...items];
      peer.applied = { index: restore.meta.index, term: restore.meta.term };
      this.#output.push(`${peer.id} restores ${restore.meta.index}/${restore.meta.term}: ${items.join(' ')}`);
      core.restored();
    }
  }

  #send(message: Message, items?: string[]): void {
    const lost = this.#cut.has(message.from) || this.#cut.has(message.to);
    this.#output.push(`${lost ? 'lost ' : ''}${messageText(message)}`);
    if (!lost) this.#flights.push({ message, ...(items && { items }) });
  }

  #compact(peer: Peer, index: number): void {
    const core = this.#core(peer.id);
    const compactTo = { index, term: core.log.term(index)!, membership: core.membershipAt(index) };
    core.compact(index);
    peer.writes.push({ batch: { compactTo }, done: () => {} });
  }

  #showChange({ id, core }: Peer): void {
    if (!core) return;
    const peer = this.#peer(id);
    const text = `${id} is ${core.role} of term ${core.term}${core.leader && core.leader !== id ? ` under ${core.leader}` : ''}, ${membershipText(core.membership)}`;
    if (text !== peer.shown) this.#output.push(text);
    peer.shown = text;
  }

  #statusText({ id, core, items }: Peer): string {
    if (!core) return `${id} is down`;
    const { log, role, term } = core;
    return `${id} ${role} term ${term} log ${log.firstIndex}..${log.lastIndex}/${log.lastTerm} commit ${log.commit} stable ${log.stable} items ${items.join(' ') || 'none'}`;
  }
}

function foundedState(voters: string[]): LogState {
  const data = encodeMembership({ voters, votersOutgoing: [], learners: [] });
  return {
    ...emptyState(),
    hardState: { term: 1, vote: undefined, commit: 1 },
    entries: [{ index: 1, term: 1, kind: 'membership', data }],
  };
}

/** Runs a scenario file: `text` with each command's output as it is now. */
export function replay(text: string): string {
  const scenario = new Scenario();
  const result: string[] = [];
  let skipping = false;
  for (const line of text.split('\n')) {
    if (line === '----') skipping = true;
    if (line === '') skipping = false;
    if (skipping) continue;
    result.push(line);
    if (line === '' || line.startsWith('#')) continue;
    const output = scenario.run(line);
    if (output.length > 0) result.push('----', ...output);
  }
  return result.join('\n');
}
