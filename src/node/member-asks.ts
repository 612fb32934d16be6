/**
 * What peers ask each other outside of consensus, over the transport's questions, which also strangers may ask: to join; whether
 * the asker is a member (one that was removed is a stranger to the others, and learns of it this way); how far the log's followers
 * are; to give its place to a new identity of the asker; for the cluster key, which only members are told.
 */
import type { ConsensusStatus } from '../consensus/types.ts';
import type { ClusterStore } from '../store/types.ts';
import { decodeRecord, type MemberRecord, memberKey } from './cluster-records.ts';
import { isMember, type JoinService } from './join.ts';
import { replaceMember } from './member-replacement.ts';

type Question = { type: 'standing' } | { type: 'cluster-key' } | { type: 'progress' } | { type: 'replace'; member: MemberRecord };

export interface StandingAnswer {
  type: 'standing';
  /** As of the moment of the question, confirmed by a quorum. */
  member: boolean;
}

export interface ProgressAnswer {
  type: 'progress';
  /** Left out: this peer does not lead, or the asker is no member. */
  leader?: Pick<ConsensusStatus, 'lastIndex' | 'progress'>;
}

export interface ReplacementAnswer {
  type: 'replace';
  /** 'replaced', 'unknown' (the asker is no member), or why it could not be done. */
  outcome: string;
}

export interface ClusterKeyAnswer {
  type: 'cluster-key';
  /** Base64. Left out: the asker is no member, or this peer has none yet. */
  key?: string;
}

export const encodeQuestion = (question: Question): Uint8Array => Buffer.from(JSON.stringify(question));

/** Undefined when it is no answer of this type. */
export function decodeAnswer<T extends StandingAnswer | ProgressAnswer | ReplacementAnswer | ClusterKeyAnswer>(
  type: T['type'],
  bytes: Uint8Array,
): T | undefined {
  const answer = parsed(bytes);
  return answer?.type === type ? (answer as T) : undefined;
}

/** Undefined when it is not JSON; join.ts refuses that in its own words. */
function parsed(bytes: Uint8Array): { type?: string; member?: unknown } | undefined {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) ?? undefined;
  } catch {
    return undefined;
  }
}

export interface MemberAsksOptions {
  id: string;
  store: ClusterStore;
  joinService: JoinService;
  status: () => Promise<ConsensusStatus>;
  /** Undefined while this peer has none. */
  clusterKey: () => Buffer | undefined;
}

export class MemberAsks {
  readonly #options: MemberAsksOptions;

  constructor(options: MemberAsksOptions) {
    this.#options = options;
  }

  answer(from: string, bytes: Uint8Array): Promise<Uint8Array> {
    return this.answerFor(this.#options.id, from, bytes);
  }

  /** In the name of the member that was asked, which holds no state. */
  async answerFor(id: string, from: string, bytes: Uint8Array): Promise<Uint8Array> {
    const { joinService } = this.#options;
    const question = parsed(bytes);
    switch (question?.type) {
      case 'standing':
        return Buffer.from(JSON.stringify(await this.#standing(from)));
      case 'progress':
        return Buffer.from(JSON.stringify(await this.#progress(from)));
      case 'cluster-key':
        return Buffer.from(JSON.stringify(await this.#clusterKey(from)));
      case 'replace':
        return Buffer.from(JSON.stringify(await this.#replace(from, question.member)));
      default:
        return await joinService.answer(id, from, bytes);
    }
  }

  async #standing(from: string): Promise<StandingAnswer> {
    const { store } = this.#options;
    await store.barrier();
    return { type: 'standing', member: store.get(memberKey(from)) !== undefined };
  }

  async #clusterKey(from: string): Promise<ClusterKeyAnswer> {
    const { store, clusterKey } = this.#options;
    const key = clusterKey();
    await store.barrier();
    const asker = store.get(memberKey(from));
    if (!key || !asker || decodeRecord<MemberRecord>(asker.value).wanted === 'gone') return { type: 'cluster-key' };
    return { type: 'cluster-key', key: key.toString('base64') };
  }

  async #replace(from: string, member: unknown): Promise<ReplacementAnswer> {
    const { id } = (member ?? {}) as Partial<MemberRecord>;
    if (!isMember(member) || typeof id !== 'string' || !/^[0-9A-Za-z]{1,128}$/.test(id) || id === from) {
      return { type: 'replace', outcome: 'the request cannot be read' };
    }
    return { type: 'replace', outcome: await replaceMember(this.#options.store, from, { ...member, id }) };
  }

  async #progress(from: string): Promise<ProgressAnswer> {
    const { store, status } = this.#options;
    if (!store.get(memberKey(from))) return { type: 'progress' };
    const { role, lastIndex, progress } = await status();
    return role === 'leader' ? { type: 'progress', leader: { lastIndex, progress } } : { type: 'progress' };
  }
}
