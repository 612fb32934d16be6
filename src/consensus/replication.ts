/**
 * What a peer does only while it leads: it knows each follower's progress, sends appends, heartbeats and reads' rounds, and
 * finds the commit index. Made at the start of a leadership, thrown away at its end, so nothing of one term leaks into another.
 */
import { ConsensusError } from './errors.ts';
import { type LogView, weight } from './log-view.ts';
import { allMembers, type MembershipHistory } from './membership.ts';
import type { AppendResponse } from './messages.ts';
import { Progress } from './progress.ts';
import { isQuorum, quorumValue } from './quorum.ts';
import { ReadRounds, type ReadState } from './read-rounds.ts';
import type { Output } from './ready.ts';
import type { Membership, PeerId } from './types.ts';

export interface LeadershipOptions {
  id: PeerId;
  term: number;
  log: LogView;
  members: MembershipHistory;
  electionTicks: number;
  heartbeatTicks: number;
  /** Appends under way to one follower. */
  maxInflight: number;
  /** Entries of one append weigh no more than this, but for a single larger entry. */
  appendBytesMax: number;
  output: Output;
}

/** Reads that may wait for confirmation. */
const readsMax = 10_000;
/** A learner this many entries behind may be promoted. */
const promotionLagMax = 1000;

export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #progress = new Map<PeerId, Progress>();
  readonly #reads = new ReadRounds();
  #tick = 0;
  #transfer: { to: PeerId; ticks: number; sent: boolean } | undefined;

  constructor(options: LeadershipOptions) {
    this.#options = options;
    this.membersChanged();
  }

  get transferringTo(): PeerId | undefined {
    return this.#transfer?.to;
  }

  /** Follows the membership: new members get a progress; those that left keep theirs until `forgetGone`. */
  membersChanged(): void {
    const { id, log, members, maxInflight } = this.#options;
    for (const peer of allMembers(members.current)) {
      if (peer !== id && !this.#progress.has(peer)) {
        this.#progress.set(peer, new Progress(log.lastIndex + 1, this.#tick, maxInflight));
      }
    }
  }

  /** Ends what still goes to peers that are no members: their removal is committed, and they were told so. */
  forgetGone(): void {
    const present = allMembers(this.#options.members.current);
    for (const peer of this.#progress.keys()) if (!present.has(peer)) this.#progress.delete(peer);
    if (this.#transfer && !present.has(this.#transfer.to)) this.#transfer = undefined;
  }

  /** Once per tick. False: no quorum was heard for an election timeout, so this peer must step down (check-quorum). */
  tick(): boolean {
    this.#tick++;
    if (this.#transfer && ++this.#transfer.ticks >= this.#options.electionTicks) this.#transfer = undefined;
    if (this.#tick % this.#options.heartbeatTicks === 0) this.#heartbeat();
    return isQuorum(this.#options.members.current, (peer) => this.isActive(peer));
  }

  isActive(peer: PeerId): boolean {
    if (peer === this.#options.id) return true;
    const progress = this.#progress.get(peer);
    return progress !== undefined && this.#tick - progress.heardTick <= this.#options.electionTicks;
  }

  heard(peer: PeerId): void {
    const progress = this.#progress.get(peer);
    if (progress) progress.heardTick = this.#tick;
  }

  /** For people: each other member's progress. */
  report(): Record<PeerId, { match: number; active: boolean }> {
    const present = allMembers(this.#options.members.current);
    return Object.fromEntries(
      [...this.#progress]
        .filter(([peer]) => present.has(peer))
        .map(([peer, { match }]) => [peer, { match, active: this.isActive(peer) }]),
    );
  }

  /** Throws 'QuorumAtRisk' or 'LearnerBehind' when the members as of `next` would endanger the cluster. */
  checkChange(next: Membership): void {
    const { id, log, members } = this.#options;
    for (const peer of next.voters) {
      if (peer === id || members.current.voters.includes(peer)) continue;
      const behind = log.lastIndex - (this.#progress.get(peer)?.match ?? 0);
      if (behind > promotionLagMax) {
        throw new ConsensusError('LearnerBehind', `${peer} is ${behind} entries behind`, { peer, behind });
      }
    }
    if (!isQuorum(next, (peer) => this.isActive(peer))) {
      const silent = [...new Set([...next.voters, ...next.votersOutgoing])].filter((peer) => !this.isActive(peer));
      throw new ConsensusError('QuorumAtRisk', `after this change no quorum would be in contact: ${silent.join(', ')} silent`, {
        silent,
      });
    }
  }

  /** The greatest index that a quorum has on disk. */
  quorumIndex(): number {
    const { id, log, members } = this.#options;
    return quorumValue(members.current, (peer) => (peer === id ? log.stable : (this.#progress.get(peer)?.match ?? 0)));
  }

  onAppendResponse(message: AppendResponse): void {
    const progress = this.#progress.get(message.from);
    if (!progress) return;
    const { log } = this.#options;
    if (message.rejected) {
      const agreed = log.lastPossibleMatch(message.hintIndex, message.hintTerm);
      progress.rejected(message.index, agreed);
      return;
    }
    if (message.index > log.lastIndex) return;
    progress.accepted(message.index);
    if (progress.state === 'snapshot' && progress.match >= log.baseIndex) progress.probe(progress.match + 1);
    this.#continueTransfer(message.from, progress);
  }

  onHeartbeatResponse(from: PeerId, round: number): void {
    this.#progress.get(from)?.alive(this.#options.log.lastIndex);
    this.#reads.answered(from, round);
  }

  /** How sending a snapshot as of `index` went; undefined: it failed. */
  snapshotSent(to: PeerId, index: number | undefined): void {
    const progress = this.#progress.get(to);
    if (progress?.state === 'snapshot') progress.probe(Math.max(progress.match, index ?? 0) + 1);
  }

  startTransfer(to: PeerId): void {
    this.#transfer = { to, ticks: 0, sent: false };
    const progress = this.#progress.get(to);
    if (progress) this.#continueTransfer(to, progress);
  }

  #continueTransfer(peer: PeerId, progress: Progress): void {
    const transfer = this.#transfer;
    if (transfer?.to !== peer || transfer.sent || progress.match !== this.#options.log.lastIndex) return;
    transfer.sent = true;
    this.hurry(peer);
  }

  /** Makes `peer` start an election at once. */
  hurry(peer: PeerId): void {
    this.#options.output.send({ type: 'timeoutNow', from: this.#options.id, to: peer, term: this.#options.term });
  }

  /** The voter whose log is the furthest, of those heard of lately. */
  bestSuccessor(): PeerId | undefined {
    const { members } = this.#options;
    return members.current.voters
      .filter((peer) => this.#progress.has(peer) && this.isActive(peer))
      .sort((a, b) => this.#progress.get(b)!.match - this.#progress.get(a)!.match)[0];
  }

  /** Throws 'Busy' when too many reads wait. */
  addRead(id: number): void {
    if (this.#reads.size >= readsMax) throw new ConsensusError('Busy', 'too many reads wait for the leader', { readsMax });
    this.#reads.add(id);
  }

  /** Sends all that may go out now, and takes the confirmed reads. `canRead`: an entry of this term is committed. */
  flush(canRead: boolean): ReadState[] {
    for (const [peer, progress] of this.#progress) this.#sendAppends(peer, progress);
    if (canRead && this.#reads.open(this.#options.log.commit)) this.#heartbeat();
    return this.#reads.takeConfirmed(this.#options.members.current, this.#options.id);
  }

  #heartbeat(): void {
    const { id, term, log, output } = this.#options;
    for (const [to, progress] of this.#progress) {
      const commit = Math.min(progress.match, log.commit);
      output.send({ type: 'heartbeat', from: id, to, term, commit, round: this.#reads.round });
    }
  }

  #sendAppends(to: PeerId, progress: Progress): void {
    const { id, term, log, appendBytesMax, output } = this.#options;
    while (progress.ready) {
      const prevIndex = progress.next - 1;
      const prevTerm = log.term(prevIndex);
      if (prevTerm === undefined) {
        if (!this.isActive(to)) return;
        progress.waitForSnapshot();
        output.sendSnapshot({ to, term });
        return;
      }
      const entries = log.slice(progress.next, log.lastIndex, appendBytesMax);
      if (entries.length === 0 && !progress.forced && progress.sentCommit >= log.commit) return;
      const quiet = entries.length === 0 && !progress.forced && progress.state === 'replicate';
      output.send({
        type: 'append',
        from: id,
        to,
        term,
        prevIndex,
        prevTerm,
        commit: log.commit,
        entries,
        ...(quiet && { quiet }),
      });
      progress.sent(prevIndex + entries.length, weight(entries), log.commit);
      if (entries.length === 0) return;
    }
  }
}
