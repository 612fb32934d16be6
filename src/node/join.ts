/**
 * How a machine becomes a member: it proves to any member that it knows a join token, the member writes its record, and the
 * leader takes it in (membership-keeper). Both proofs are bound to the peers' ids, which the transport has authenticated.
 */
import { randomBytes } from 'node:crypto';
import { isIPv4 } from 'node:net';
import type { Clock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { ClusterStore } from '../store/types.ts';
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
} from './cluster-records.ts';
import { NodeError } from './errors.ts';
import { createToken, formatToken, hashOf, joinProof, parseToken, sameProof } from './join-token.ts';
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
  readonly #store: ClusterStore;
  readonly #clock: Clock;

  constructor(store: ClusterStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Makes a token that is good for `ttlMs`. */
  async issueToken(ttlMs: number): Promise<string> {
    await this.#store.barrier();
    const token = createToken(this.#authority().cert);
    const record: TokenRecord = { id: token.id, secretHash: hashOf(token.secret), expiresMs: this.#clock.wallMs() + ttlMs };
    await this.#store.write({
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
    await this.#store.barrier();
    const found = typeof request.tokenId === 'string' ? this.#store.get(tokenKey(request.tokenId)) : undefined;
    const token = found && decodeRecord<TokenRecord>(found.value);
    const content = JSON.stringify(request.member);
    const expected = token && joinProof('newcomer', token.secretHash, from, ownId, String(request.nonce), content);
    if (!token || !expected || !sameProof(expected, String(request.proof))) {
      return { type: 'refused', message: 'the join token is wrong; make a new one on a member with: kontiki token create' };
    }
    if (token.expiresMs < this.#clock.wallMs()) {
      return { type: 'refused', message: 'the join token has expired; make a new one on a member with: kontiki token create' };
    }
    const { nodeName, addresses, apiAddress, apiPort, incarnation } = request.member;
    const refusal = await this.#record({ id: from, nodeName, addresses, apiAddress, apiPort, incarnation });
    if (refusal) return { type: 'refused', message: refusal };
    const members = this.#members().map(({ id, addresses, nodeName }) => ({ id, addresses, nodeName }));
    const caHash = hashOf(this.#authority().cert);
    const proof = joinProof('member', token.secretHash, from, ownId, String(request.nonce), JSON.stringify([members, caHash]));
    return { type: 'admitted', members, caHash, proof };
  }

  /** Writes the record; gives the reason when the machine cannot be taken. */
  async #record(member: MemberRecord): Promise<string | undefined> {
    for (;;) {
      const holder = this.#members().find((other) => other.nodeName === member.nodeName && other.id !== member.id);
      if (holder) {
        return (
          `a machine named ${member.nodeName} is already a member, with another identity; if it was this machine and its data are ` +
          `lost, run on a member: kontiki member remove ${member.nodeName}, then join again; otherwise choose another nodeName`
        );
      }
      const key = memberKey(member.id);
      const known = this.#store.get(key);
      const modRevision = known?.modRevision ?? 0;
      const wanted = known && decodeRecord<MemberRecord>(known.value).wanted;
      if (wanted === 'gone') return `${member.nodeName} is being removed; join again when that is done`;
      const nameKey = nodeNameKey(member.nodeName);
      const name = this.#store.get(nameKey);
      const result = await this.#store.write({
        conditions: [
          { key, modRevision },
          { key: nameKey, modRevision: name?.modRevision ?? 0 },
        ],
        operations: [
          { type: 'put', key, value: encodeRecord(wanted ? { ...member, wanted } : member) },
          { type: 'put', key: nameKey, value: Buffer.from(JSON.stringify(member.id)) },
        ],
      });
      if (result.ok) return undefined;
    }
  }

  #members(): MemberRecord[] {
    return this.#store.list(memberPrefix).records.map((record) => decodeRecord<MemberRecord>(record.value));
  }

  #authority(): AuthorityRecord {
    const record = this.#store.get(authorityKey);
    if (!record) throw new NodeError('NotAMember', 'this machine has not joined its cluster yet');
    return decodeRecord<AuthorityRecord>(record.value);
  }
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
    (member.incarnation === undefined || Number.isInteger(member.incarnation))
  );
}
