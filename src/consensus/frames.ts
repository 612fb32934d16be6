/**
 * The wire format: a frame is a msgpack array of messages, each an array that starts with its code. Sender and receiver are not
 * in it: the transport vouches for them. Whatever another peer sends is checked here, so that the core may trust its shape.
 */
import { Packr } from 'msgpackr';
import { ConsensusError, type ConsensusErrorCode } from './errors.ts';
import { weight } from './log-view.ts';
import { checkedMembership } from './membership.ts';
import type { Message, SnapshotOffer } from './messages.ts';
import type { Entry, MembershipChange, PeerId, SnapshotMeta } from './types.ts';

/** What a peer asks of the leader in its clients' name. */
export type LeaderRequest =
  | { type: 'propose'; data: Uint8Array }
  | { type: 'read' }
  | { type: 'change'; change: MembershipChange }
  | { type: 'transfer'; to: PeerId };

export type SnapshotItem =
  | { type: 'begin'; term: number; meta: SnapshotMeta }
  | { type: 'chunk'; data: Uint8Array }
  /** SHA-256 over all chunks. */
  | { type: 'end'; digest: Uint8Array };

/** The offer of a snapshot travels as the first item of its transfer. */
export type RaftMessage = Exclude<Message, SnapshotOffer>;

export type WireMessage =
  | { kind: 'raft'; message: RaftMessage }
  | { kind: 'request'; id: number; request: LeaderRequest }
  | { kind: 'answer'; id: number; index: number }
  | { kind: 'refusal'; id: number; code: ConsensusErrorCode; text: string }
  /** Items of one transfer are numbered from 0. */
  | { kind: 'snapshotItem'; transfer: number; sequence: number; item: SnapshotItem }
  /** All items before `next` are taken in. */
  | { kind: 'snapshotAck'; transfer: number; next: number }
  | { kind: 'snapshotAbort'; transfer: number; reason: string }
  /** Answers the beginning of a snapshot of which the first bytes are here already: how many, and SHA-256 over them. */
  | { kind: 'snapshotResume'; transfer: number; bytes: number; digest: Uint8Array };

const packr = new Packr({ useRecords: false });
const entryKinds: readonly Entry['kind'][] = ['normal', 'membership', 'empty'];
const raftTypes = [
  'preVote',
  'vote',
  'preVoteResponse',
  'voteResponse',
  'append',
  'appendResponse',
  'heartbeat',
  'heartbeatResponse',
  'timeoutNow',
] as const satisfies readonly RaftMessage['type'][];
const wireKinds = ['request', 'answer', 'refusal', 'snapshotItem', 'snapshotAck', 'snapshotAbort', 'snapshotResume'] as const;
/** Codes below this are Raft messages. */
const wireBase = 32;

function raftFields(message: RaftMessage): unknown[] {
  switch (message.type) {
    case 'preVote':
    case 'vote':
      return [message.lastIndex, message.lastTerm, message.transfer];
    case 'preVoteResponse':
    case 'voteResponse':
      return [message.granted];
    case 'append':
      return [
        message.prevIndex,
        message.prevTerm,
        message.commit,
        message.entries.flatMap(({ term, kind, data }) => [term, entryKinds.indexOf(kind), data]),
        message.quiet ?? false,
      ];
    case 'appendResponse':
      return [message.rejected, message.index, message.hintIndex, message.hintTerm];
    case 'heartbeat':
      return [message.commit, message.round];
    case 'heartbeatResponse':
      return [message.round];
    case 'timeoutNow':
      return [];
  }
}

function wireFields(wire: Exclude<WireMessage, { kind: 'raft' }>): unknown[] {
  switch (wire.kind) {
    case 'request':
      return [wire.id, wire.request];
    case 'answer':
      return [wire.id, wire.index];
    case 'refusal':
      return [wire.id, wire.code, wire.text];
    case 'snapshotItem':
      return [wire.transfer, wire.sequence, wire.item];
    case 'snapshotAck':
      return [wire.transfer, wire.next];
    case 'snapshotAbort':
      return [wire.transfer, wire.reason];
    case 'snapshotResume':
      return [wire.transfer, wire.bytes, wire.digest];
  }
}

/** What a message adds to its frame, roughly, in bytes. */
export function wireBytes(wire: WireMessage): number {
  if (wire.kind === 'raft' && wire.message.type === 'append') return 64 + weight(wire.message.entries);
  if (wire.kind === 'request' && wire.request.type === 'propose') return 64 + wire.request.data.byteLength;
  if (wire.kind === 'snapshotItem' && wire.item.type === 'chunk') return 64 + wire.item.data.byteLength;
  return 64;
}

export function encodeFrame(messages: readonly WireMessage[]): Uint8Array {
  return packr.pack(
    messages.map((wire) =>
      wire.kind === 'raft'
        ? [raftTypes.indexOf(wire.message.type), wire.message.term, ...raftFields(wire.message)]
        : [wireBase + wireKinds.indexOf(wire.kind), ...wireFields(wire)],
    ),
  );
}

const bad = (what: string) => new ConsensusError('BadFrame', `a frame with a bad ${what}`);

/** Takes checked values from an array, one after the other. */
class Fields {
  readonly #values: readonly unknown[];
  #at = 0;

  constructor(value: unknown) {
    if (!Array.isArray(value)) throw bad('message');
    this.#values = value;
  }
  get left(): number {
    return this.#values.length - this.#at;
  }
  any(): unknown {
    return this.#values[this.#at++];
  }
  count(): number {
    return count(this.any());
  }
  flag(): boolean {
    const value = this.any();
    if (typeof value !== 'boolean') throw bad('flag');
    return value;
  }
  text(): string {
    return text(this.any());
  }
  bytes(): Uint8Array {
    return bytes(this.any());
  }
}

function count(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw bad('number');
  return value as number;
}
function text(value: unknown): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > 4096) throw bad('text');
  return value;
}
/** Copied: it is a view into a frame, which must not live on in what is kept of it. Small ones come from Node's pool. */
function bytes(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw bad('data');
  return Buffer.from(value);
}
const record = (value: unknown) => (value ?? {}) as Record<string, unknown>;

function snapshotMeta(value: unknown): SnapshotMeta {
  const { index, term, membership } = record(value);
  return { index: count(index), term: count(term), membership: checkedMembership(membership) };
}

function entriesAfter(previous: number, fields: Fields): Entry[] {
  const entries: Entry[] = [];
  for (let index = previous + 1; fields.left > 0; index++) {
    const term = fields.count();
    const kind = entryKinds[fields.count()];
    if (!kind) throw bad('kind of entry');
    entries.push({ index, term, kind, data: fields.bytes() });
  }
  return entries;
}

function raftMessage(type: RaftMessage['type'] | undefined, from: PeerId, to: PeerId, fields: Fields): RaftMessage {
  const envelope = { from, to, term: fields.count() };
  switch (type) {
    case 'preVote':
    case 'vote':
      return { type, ...envelope, lastIndex: fields.count(), lastTerm: fields.count(), transfer: fields.flag() };
    case 'preVoteResponse':
    case 'voteResponse':
      return { type, ...envelope, granted: fields.flag() };
    case 'append': {
      const head = { prevIndex: fields.count(), prevTerm: fields.count(), commit: fields.count() };
      const entries = entriesAfter(head.prevIndex, new Fields(fields.any()));
      return { type, ...envelope, ...head, entries, ...(fields.flag() && { quiet: true }) };
    }
    case 'appendResponse':
      return {
        type,
        ...envelope,
        rejected: fields.flag(),
        index: fields.count(),
        hintIndex: fields.count(),
        hintTerm: fields.count(),
      };
    case 'heartbeat':
      return { type, ...envelope, commit: fields.count(), round: fields.count() };
    case 'heartbeatResponse':
      return { type, ...envelope, round: fields.count() };
    case 'timeoutNow':
      return { type, ...envelope };
    default:
      throw bad('code');
  }
}

function leaderRequest(value: unknown): LeaderRequest {
  const { type, data, change, to } = record(value);
  switch (type) {
    case 'propose':
      return { type, data: bytes(data) };
    case 'read':
      return { type };
    case 'transfer':
      return { type, to: text(to) };
    case 'change': {
      const { type: kind, peer, voters, learners } = record(change);
      if (kind === 'set') {
        const members = checkedMembership({ voters, votersOutgoing: [], learners });
        return { type, change: { type: kind, voters: members.voters, learners: members.learners } };
      }
      if (kind !== 'addLearner' && kind !== 'promote' && kind !== 'demote' && kind !== 'remove') throw bad('membership change');
      return { type, change: { type: kind, peer: text(peer) } };
    }
    default:
      throw bad('request');
  }
}

function snapshotItem(value: unknown): SnapshotItem {
  const { type, term, meta, data, digest } = record(value);
  switch (type) {
    case 'begin':
      return { type, term: count(term), meta: snapshotMeta(meta) };
    case 'chunk':
      return { type, data: bytes(data) };
    case 'end':
      return { type, digest: bytes(digest) };
    default:
      throw bad('snapshot item');
  }
}

function wireMessage(code: number, from: PeerId, to: PeerId, fields: Fields): WireMessage {
  const kind = code < wireBase ? 'raft' : wireKinds[code - wireBase];
  switch (kind) {
    case 'raft':
      return { kind, message: raftMessage(raftTypes[code], from, to, fields) };
    case 'request':
      return { kind, id: fields.count(), request: leaderRequest(fields.any()) };
    case 'answer':
      return { kind, id: fields.count(), index: fields.count() };
    case 'refusal':
      return { kind, id: fields.count(), code: fields.text() as ConsensusErrorCode, text: fields.text() };
    case 'snapshotItem':
      return { kind, transfer: fields.count(), sequence: fields.count(), item: snapshotItem(fields.any()) };
    case 'snapshotAck':
      return { kind, transfer: fields.count(), next: fields.count() };
    case 'snapshotAbort':
      return { kind, transfer: fields.count(), reason: fields.text() };
    case 'snapshotResume':
      return { kind, transfer: fields.count(), bytes: fields.count(), digest: fields.bytes() };
    default:
      throw bad('code');
  }
}

/** Throws ConsensusError 'BadFrame'; then nothing of the frame may be used. */
export function decodeFrame(frame: Uint8Array, from: PeerId, to: PeerId): WireMessage[] {
  let messages: unknown;
  try {
    messages = packr.unpack(frame);
  } catch (cause) {
    throw new ConsensusError('BadFrame', 'a frame that is no msgpack', {}, cause);
  }
  if (!Array.isArray(messages)) throw bad('list');
  return messages.map((message) => {
    const fields = new Fields(message);
    return wireMessage(fields.count(), from, to, fields);
  });
}
