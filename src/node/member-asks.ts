/**
 * What peers ask each other outside of consensus, over the transport's questions, which also strangers may ask: to join; whether
 * the asker is a member (one that was removed is a stranger to the others, and learns of it this way); how far the log's followers are.
 */
import type { ConsensusStatus } from '../consensus/types.ts';
import type { ClusterStore } from '../store/types.ts';
import { memberKey } from './cluster-records.ts';
import type { JoinService } from './join.ts';

type Question = { type: 'standing' } | { type: 'progress' };

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

export const encodeQuestion = (question: Question): Uint8Array => Buffer.from(JSON.stringify(question));

/** Undefined when it is no answer of this type. */
export function decodeAnswer<T extends StandingAnswer | ProgressAnswer>(type: T['type'], bytes: Uint8Array): T | undefined {
  const answer = parsed(bytes);
  return answer?.type === type ? (answer as T) : undefined;
}

/** Undefined when it is not JSON; join.ts refuses that in its own words. */
function parsed(bytes: Uint8Array): { type?: string } | undefined {
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
    switch (parsed(bytes)?.type) {
      case 'standing':
        return Buffer.from(JSON.stringify(await this.#standing(from)));
      case 'progress':
        return Buffer.from(JSON.stringify(await this.#progress(from)));
      default:
        return await joinService.answer(id, from, bytes);
    }
  }

  async #standing(from: string): Promise<StandingAnswer> {
    const { store } = this.#options;
    await store.barrier();
    return { type: 'standing', member: store.get(memberKey(from)) !== undefined };
  }

  async #progress(from: string): Promise<ProgressAnswer> {
    const { store, status } = this.#options;
    if (!store.get(memberKey(from))) return { type: 'progress' };
    const { role, lastIndex, progress } = await status();
    return role === 'leader' ? { type: 'progress', leader: { lastIndex, progress } } : { type: 'progress' };
  }
}
