/**
 * How a machine becomes a member: it proves to any member that it knows a join token, the member writes its record, and the
 * leader takes it in (membership-keeper). Both proofs are bound to the peers' ids, which the transport has authenticated.
 */
import { randomBytes } from 'node:crypto';
import { isIPv4 } from 'node:net';
import type { Clock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { ClusterStore, StoreReader } from '../store/types.ts';
import {
  type AuthorityRecord,
  authorityKey,
  decodeRecord,
  encodeRecord,
  type MemberRecord,
  memberKey,
  memberPrefix,
  nodeNameKey,
  type TokenRecord,
  tokenKey,
  wantedOf,
} from './cluster-records.ts';
import { NodeError } from './errors.ts';
import { createToken, formatToken, hashOf, joinProof, parseToken, sameProof } from './join-token.ts';
import { holdersWanted } from './log-holders.ts';
import type { Member } from './peer-protocol.ts';

type JoinRequest =
  | { type: 'hello' }
  | { type: 'join'; tokenId: string; nonce: string; member: Omit<MemberRecord, 'id'>; proof: string };

type JoinAnswer =
  | { type: 'hello' }
  | { type: 'admitted'; members: Member[]; caHash: string; proof: string }
  | { type: 'refused'; message: string };

const encode = (message: JoinRequest | JoinAnswer) => Buffer.from(JSON.stringify(message));
const decode = <T>(bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) as T;

export type AskPeer = (address: string, request: Uint8Array) => Promise<{ from: string; answer: Uint8Array }>;

export interface JoinOptions {
  /** host:port of any member's peer port. */
  address: string;
  token: string;
  self: MemberRecord;
  ask: AskPeer;
}

/** Gives the members to connect to. Throws NodeError 'InvalidToken' or 'JoinRefused'. */
export async function joinCluster({ address, token: text, self, ask }: JoinOptions): Promise<Member[]> {
  const token = parseToken(text);
  const multiaddr = multiaddrOf(address);
  try {
    const { from } = await ask(multiaddr, encode({ type: 'hello' }));
    const nonce = randomBytes(16).toString('hex');
    const secretHash = hashOf(token.secret);
    const { id: _id, ...member } = self;
    const proof = joinProof('newcomer', secretHash, self.id, from, nonce, JSON.stringify(member));
    const reply = await ask(multiaddr, encode({ type: 'join', tokenId: token.id, nonce, member, proof }));
    if (reply.from !== from) throw new NodeError('JoinRefused', `${address} changed its identity while joining`);
    const answer = decode<JoinAnswer>(reply.answer);
    if (answer.type === 'refused') throw new NodeError('JoinRefused', answer.message);
    if (answer.type !== 'admitted') throw new NodeError('JoinRefused', `${address} gave an unexpected answer`);
    const content = JSON.stringify([answer.members, answer.caHash]);
    const expected = joinProof('member', secretHash, self.id, from, nonce, content);
    if (!sameProof(expected, answer.proof) || answer.caHash.slice(0, 32) !== token.caHash) {
      throw new NodeError('JoinRefused', `${address} is not a member of the cluster that made this token`);
    }
    return answer.members;
  } catch (error) {
    if (error instanceof NodeError) throw error;
    throw new NodeError('JoinRefused', `cannot join through ${address}: ${errorMessage(error)}`, { address }, error);
  }
}

/** `host:port` as a multiaddr. Throws NodeError 'JoinRefused' when it is neither that nor a multiaddr. */
export function multiaddrOf(address: string): string {
  if (address.startsWith('/')) return address;
  const match = /^([^:/\s]+):(\d{1,5})$/.exec(address);
  if (!match) throw new NodeError('JoinRefused', `"${address}" is not the address of a peer; write it as 10.0.0.1:7420`);
  const [, host = '', port = ''] = match;
  return `/${isIPv4(host) ? 'ip4' : 'dns4'}/${host}/tcp/${port}`;
}

/** The member's side. */
export class JoinService {
  readonly #opening: Promise<ClusterStore>;
  readonly #clock: Clock;

  /** `store` shows tokens and authority in the clear; what is asked before it is there waits. It must not reject. */
  constructor(store: ClusterStore | Promise<ClusterStore>, clock: Clock) {
    this.#opening = Promise.resolve(store);
    this.#clock = clock;
  }

  /** Makes a token that is good for `ttlMs`. */
  async issueToken(ttlMs: number): Promise<string> {
    const store = await this.#opening;
    await store.barrier();
    const token = createToken(authorityOf(store).cert);
    const record: TokenRecord = { id: token.id, secretHash: hashOf(token.secret), expiresMs: this.#clock.wallMs() + ttlMs };
    await store.write({
      conditions: [{ key: tokenKey(token.id), modRevision: 0 }],
      operations: [{ type: 'put', key: tokenKey(token.id), value: encodeRecord(record) }],
    });
    return formatToken(token);
  }

  /** Answers one request of the peer `from`; `ownId` is this peer. */
  async answer(ownId: string, from: string, bytes: Uint8Array): Promise<Uint8Array> {
    let request: JoinRequest;
    try {
      request = decode<JoinRequest>(bytes);
    } catch {
      return encode({ type: 'refused', message: 'the request cannot be read' });
    }
    if (request.type === 'hello') return encode({ type: 'hello' });
    if (request.type !== 'join' || !isMember(request.member))
      return encode({ type: 'refused', message: 'the request cannot be read' });
    return encode(await this.#admit(ownId, from, request));
  }

  async #admit(ownId: string, from: string, request: Extract<JoinRequest, { type: 'join' }>): Promise<JoinAnswer> {
    const store = await this.#opening;
    await store.barrier();
    const found = typeof request.tokenId === 'string' ? store.get(tokenKey(request.tokenId)) : undefined;
    const token = found && decodeRecord<TokenRecord>(found.value);
    const content = JSON.stringify(request.member);
    const expected = token && joinProof('newcomer', token.secretHash, from, ownId, String(request.nonce), content);
    if (!token || !expected || !sameProof(expected, String(request.proof))) {
      return { type: 'refused', message: 'the join token is wrong; make a new one on a member with: kontiki token create' };
    }
    if (token.expiresMs < this.#clock.wallMs()) {
      return { type: 'refused', message: 'the join token has expired; make a new one on a member with: kontiki token create' };
    }
    const { nodeName, addresses, apiAddress, apiPort, incarnation, log } = request.member;
    const refusal = await this.#record(store, { id: from, nodeName, addresses, apiAddress, apiPort, incarnation, log });
    if (refusal) return { type: 'refused', message: refusal };
    const members = membersOf(store).map(({ id, addresses, nodeName, log }) => ({ id, addresses, nodeName, log }));
    const caHash = hashOf(authorityOf(store).cert);
    const proof = joinProof('member', token.secretHash, from, ownId, String(request.nonce), JSON.stringify([members, caHash]));
    return { type: 'admitted', members, caHash, proof };
  }

  /** Writes the record; gives the reason when the machine cannot be taken. */
  async #record(store: ClusterStore, member: MemberRecord): Promise<string | undefined> {
    for (;;) {
      const holder = membersOf(store).find((other) => other.nodeName === member.nodeName && other.id !== member.id);
      if (holder) {
        return (
          `a machine named ${member.nodeName} is already a member, with another identity; if it was this machine and its data are ` +
          `lost, run on a member: kontiki member remove ${member.nodeName}, then join again; otherwise choose another nodeName`
        );
      }
      const key = memberKey(member.id);
      const known = store.get(key);
      const modRevision = known?.modRevision ?? 0;
      const before = known && decodeRecord<MemberRecord>(known.value);
      const wanted = before?.wanted;
      // A machine of an earlier version says nothing of the log: it always holds it.
      const log = before?.log ?? (member.log && placeOfNewcomer(membersOf(store).filter(({ id }) => id !== member.id)));
      const next = { ...member, log, ...(wanted ? { wanted } : {}) };
      if (wanted === 'gone') return `${member.nodeName} is being removed; join again when that is done`;
      const nameKey = nodeNameKey(member.nodeName);
      const name = store.get(nameKey);
      const result = await store.write({
        conditions: [
          { key, modRevision },
          { key: nameKey, modRevision: name?.modRevision ?? 0 },
        ],
        operations: [
          { type: 'put', key, value: encodeRecord(next) },
          { type: 'put', key: nameKey, value: Buffer.from(JSON.stringify(member.id)) },
        ],
      });
      if (result.ok) return undefined;
    }
  }
}

function membersOf(store: StoreReader): MemberRecord[] {
  return store.list(memberPrefix).records.map((record) => decodeRecord<MemberRecord>(record.value));
}

/** Throws NodeError 'NotAMember' when it is not there yet. */
export function authorityOf(store: StoreReader): AuthorityRecord {
  const record = store.get(authorityKey);
  if (!record) throw new NodeError('NotAMember', 'this machine has not joined its cluster yet');
  return decodeRecord<AuthorityRecord>(record.value);
}

/** Whether one more machine beside these is to hold the log, so that it need not be called to it later. */
export function placeOfNewcomer(others: readonly MemberRecord[]): 'held' | 'none' {
  const willing = others.filter((record) => ['auto', 'voter'].includes(wantedOf(record)));
  const holding = willing.filter(({ log = 'held' }) => log === 'held' || log === 'called');
  return holding.length < holdersWanted(willing.length + 1) ? 'held' : 'none';
}

/** Whether the fields of a member's record, but for its id, have their shapes. */
export function isMember(value: unknown): value is Omit<MemberRecord, 'id'> {
  const member = value as Partial<MemberRecord> | null;
  return (
    typeof member === 'object' &&
    member !== null &&
    typeof member.nodeName === 'string' &&
    /^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/.test(member.nodeName) &&
    Array.isArray(member.addresses) &&
    member.addresses.length > 0 &&
    member.addresses.length <= 16 &&
    member.addresses.every((address) => typeof address === 'string' && address.length < 256) &&
    typeof member.apiAddress === 'string' &&
    Number.isInteger(member.apiPort) &&
    (member.incarnation === undefined || Number.isInteger(member.incarnation)) &&
    (member.log === undefined || typeof member.log === 'string')
  );
}
