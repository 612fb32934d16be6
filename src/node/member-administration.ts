/**
 * What an administrator sees of the members and may ask for. Intent is data: a command checks that the quorum would survive it,
 * writes what is wanted into the member's record, and waits until the leader's keeper has made it so. Works on any peer.
 */
import type { ConsensusStatus } from '../consensus/types.ts';
import type { Clock } from '../lib/clock.ts';
import { delay } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Client } from '../machinery/client.ts';
import type { NodeHealth } from '../machinery/node-health.ts';
import { nodes } from '../machinery/resources.ts';
import { StatusError } from '../machinery/status.ts';
import type { ClusterStore } from '../store/types.ts';
import { decodeRecord, encodeRecord, type MemberRecord, memberKey, memberPrefix, type Wanted } from './cluster-records.ts';
import { NodeError } from './errors.ts';
import { decodeAnswer, encodeQuestion, type ProgressAnswer } from './member-asks.ts';
import { type MembershipView, outlookWith, outlookWithout, type QuorumOutlook, votersMax } from './membership-keeper.ts';
import { recordedMembers } from './membership-task.ts';

/** Until the leader has done it. */
const patienceMs = 40_000;
const pollMs = 100;

export interface MemberView {
  name: string;
  id: string;
  /** 'joining': recorded, and not yet in the log's membership. */
  role: 'leader' | 'voter' | 'learner' | 'joining';
  verdict: 'alive' | 'suspect' | 'dead';
  wanted: Wanted;
  addresses: string[];
  /** Entries that it is behind the leader; null when no leader told. */
  lag: number | null;
  incarnation: number | null;
}

export interface MemberAdministrationOptions {
  ownId: string;
  store: ClusterStore;
  nodeHealth: NodeHealth;
  client: Client;
  status: () => Promise<ConsensusStatus>;
  /** Asks a linked member. */
  ask: (peer: string, request: Uint8Array) => Promise<Uint8Array>;
  clock: Clock;
}

export class MemberAdministration {
  readonly #options: MemberAdministrationOptions;

  constructor(options: MemberAdministrationOptions) {
    this.#options = options;
  }

  /** From what this peer has: works without a quorum too. */
  async list(): Promise<MemberView[]> {
    const { ownId, nodeHealth } = this.#options;
    const { status, known } = await this.#leadersStatus();
    const { voters, votersOutgoing, learners } = status.membership;
    return this.#records().map(({ id, nodeName, addresses, incarnation, wanted = 'auto' }) => {
      const votes = voters.includes(id) || votersOutgoing.includes(id);
      const role = id === status.leader ? 'leader' : votes ? 'voter' : learners.includes(id) ? 'learner' : 'joining';
      const match = id === status.leader ? status.lastIndex : status.progress[id]?.match;
      const lag = !known || match === undefined ? null : Math.max(0, status.lastIndex - match);
      const verdict = id === ownId ? 'alive' : (nodeHealth.get(nodeName)?.verdict ?? 'suspect');
      return { name: nodeName, id, role, verdict, wanted, addresses, lag, incarnation: incarnation ?? null };
    });
  }

  /** Takes a machine out of the cluster. Throws NodeError 'NoSuchMember' or 'MemberRefused'. */
  async remove(name: string, force: boolean, signal: AbortSignal): Promise<string> {
    const { store, ownId } = this.#options;
    await this.#confirm(signal);
    const member = this.#find(name);
    if (!member) {
      // What is left of a removal that was cut off.
      if (await this.#deleteNode(name, signal)) return `${name} was no member any more; its Node is deleted`;
      throw this.#noSuchMember(name);
    }
    if (member.id === ownId) {
      throw new NodeError('MemberRefused', `${name} cannot take itself out: run this on another machine of the cluster`);
    }
    if (member.wanted !== 'gone') {
      this.#refuse('removing', name, outlookWithout(await this.#view(), member.id), force);
      await this.#want(member.id, 'gone', signal);
    }
    await this.#until(`${name} is to leave`, signal, async () => store.get(memberKey(member.id)) === undefined);
    await this.#deleteNode(name, signal);
    return `${name} is no longer a member; its Node is deleted and its pods move`;
  }

  /** Makes a machine vote. Throws NodeError 'NoSuchMember' or 'MemberRefused'. */
  async promote(name: string, signal: AbortSignal): Promise<string> {
    await this.#confirm(signal);
    const member = this.#mustFind(name);
    const view = await this.#view();
    const { voters } = view.status.membership;
    if (!voters.includes(member.id)) {
      if (voters.length >= votersMax) {
        throw new NodeError('MemberRefused', `there are ${votersMax} voters, which is the most; demote one first`);
      }
      if (view.recorded.get(member.id)?.deadForMs !== undefined || view.status.progress[member.id]?.active !== true) {
        const { voters: after, reachable, needed } = outlookWith(view, member.id);
        const what = `${name} cannot be reached; with it ${after} would vote, of which ${reachable} can be reached; a majority of ${needed}`;
        throw new NodeError('MemberRefused', `${what} would be needed for every write: start it first, or remove it`);
      }
    }
    await this.#want(member.id, 'voter', signal);
    const votes = async () => (await this.#options.status()).membership.voters.includes(member.id);
    await this.#until(`${name} is to vote`, signal, votes);
    const count = (await this.#options.status()).membership.voters.length;
    const even = count % 2 === 0 ? `; ${count} voters survive no more failures than ${count - 1}` : '';
    return `${name} votes${even}`;
  }

  /** Makes a machine follow without a vote. Throws NodeError 'NoSuchMember' or 'MemberRefused'. */
  async demote(name: string, force: boolean, signal: AbortSignal): Promise<string> {
    await this.#confirm(signal);
    const member = this.#mustFind(name);
    this.#refuse('demoting', name, outlookWithout(await this.#view(), member.id), force);
    await this.#want(member.id, 'learner', signal);
    await this.#until(`${name} is to vote no longer`, signal, async () => {
      const { voters, votersOutgoing, learners } = (await this.#options.status()).membership;
      return learners.includes(member.id) && ![...voters, ...votersOutgoing].includes(member.id);
    });
    return `${name} no longer votes`;
  }

  /** Takes back what promote or demote have wished: the leader chooses again. Throws NodeError 'NoSuchMember' or 'MemberRefused'. */
  async auto(name: string, signal: AbortSignal): Promise<string> {
    await this.#confirm(signal);
    const member = this.#mustFind(name);
    await this.#want(member.id, 'auto', signal);
    return `whether ${name} votes is chosen by the leader again`;
  }

  /** The question whether there is a quorum at all is put first: without one, nothing can be changed. */
  async #confirm(signal: AbortSignal): Promise<void> {
    try {
      await this.#options.store.barrier(signal);
    } catch (error) {
      signal.throwIfAborted();
      const { voters } = (await this.#options.status()).membership;
      const needed = Math.floor(voters.length / 2) + 1;
      const message = `the cluster has no leader: a majority of ${needed} of its ${voters.length} voters is needed for any change`;
      throw new NodeError('MemberRefused', `${message} (${errorMessage(error)})`, { voters }, error);
    }
  }

  #refuse(doing: string, name: string, outlook: QuorumOutlook, force: boolean): void {
    const { verdict, voters, reachable, needed } = outlook;
    const left = `${doing} ${name} leaves ${voters} ${voters === 1 ? 'voter' : 'voters'} of which ${reachable} can be reached`;
    if (verdict === 'fatal') {
      const what =
        voters === 0 ? 'nobody could decide anything any more' : `a majority of ${needed} is needed: every write would stop`;
      throw new NodeError('MemberRefused', `${left}; ${what}. Start the missing machines, or remove those first that are lost`);
    }
    if (verdict === 'fragile' && !force) {
      const what = `a majority of ${needed} is needed: the loss of any one more would stop every write, now one may be lost`;
      throw new NodeError('MemberRefused', `${left}; ${what}. Let another machine join first, or add --force`);
    }
  }

  async #want(id: string, wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { store } = this.#options;
    const key = memberKey(id);
    for (;;) {
      const found = store.get(key);
      if (!found) return;
      const record = decodeRecord<MemberRecord>(found.value);
      if (record.wanted === 'gone') throw new NodeError('MemberRefused', `${record.nodeName} is being removed`);
      if ((record.wanted ?? 'auto') === wanted) return;
      const value = encodeRecord({ ...record, wanted });
      const conditions = [{ key, modRevision: found.modRevision }];
      if ((await store.write({ conditions, operations: [{ type: 'put', key, value }] }, signal)).ok) return;
    }
  }

  async #until(what: string, signal: AbortSignal, done: () => Promise<boolean>): Promise<void> {
    const { clock } = this.#options;
    const patience = AbortSignal.timeout(patienceMs);
    while (!(await done())) {
      if (patience.aborted) {
        const message = `${what}: that is recorded, but was not done within ${patienceMs / 1000} s; the leader goes on trying`;
        throw new NodeError('MemberRefused', `${message}; see: kontiki members`);
      }
      await delay(clock, pollMs, signal);
    }
  }

  /** False when there was none. */
  async #deleteNode(name: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#options.client.delete(nodes, name, { signal });
      return true;
    } catch (error) {
      if (error instanceof StatusError && error.code === 404) return false;
      throw error;
    }
  }

  /** As the leader's keeper sees it. Throws NodeError 'MemberRefused' when no leader tells. */
  async #view(): Promise<MembershipView> {
    const { store, nodeHealth, clock } = this.#options;
    const { status, known } = await this.#leadersStatus();
    if (!known) throw new NodeError('MemberRefused', 'the leader does not tell how far the members are; try again');
    return { status, recorded: recordedMembers(store, nodeHealth, new Map(), clock.monotonicMs()) };
  }

  /** This peer's status with the leader's eyes: its id, its last index and its followers' progress, when `known`. */
  async #leadersStatus(): Promise<{ status: ConsensusStatus; known: boolean }> {
    const { status: ownStatus, ask } = this.#options;
    const status = await ownStatus();
    if (status.role === 'leader') return { status, known: true };
    if (status.leader === undefined) return { status, known: false };
    // A leader that does not answer is shown as what it is: unknown.
    const reply = await ask(status.leader, encodeQuestion({ type: 'progress' })).catch(() => undefined);
    const leader = reply && decodeAnswer<ProgressAnswer>('progress', reply)?.leader;
    return leader ? { status: { ...status, id: status.leader, ...leader }, known: true } : { status, known: false };
  }

  #records(): MemberRecord[] {
    return this.#options.store.list(memberPrefix).records.map((record) => decodeRecord<MemberRecord>(record.value));
  }

  #find(name: string): MemberRecord | undefined {
    return this.#records().find((member) => member.nodeName === name);
  }

  #mustFind(name: string): MemberRecord {
    const member = this.#find(name);
    if (!member) throw this.#noSuchMember(name);
    return member;
  }

  #noSuchMember(name: string): NodeError {
    const names = this.#records().map(({ nodeName }) => nodeName);
    return new NodeError('NoSuchMember', `no member is named ${name}; there are: ${names.join(', ')}`);
  }
}
