/**
 * Runs on the leader: makes Raft's membership follow the member records in the store. So many machines hold the log that there
 * can be 1, 3 or 5 voters, the others are clients (log-holders.ts chooses); one that holds it becomes a learner, and a voter when it
 * lives and has caught up; a voter that has been dead for a while gives its place to such a learner, both in one joint change; what an
 * administrator wants of a machine comes first. Level-driven: each round takes at most one step, so a leader that dies in between
 * leaves nothing half done. Pure.
 */
import type { ConsensusStatus, Membership, MembershipChange, PeerId } from '../consensus/types.ts';
import type { LogPlace, Wanted } from './cluster-records.ts';
import { logHolders, oddAtMost, votersMax } from './log-holders.ts';

/** A voter that was found dead keeps its place for this long: most come back. */
export const deadVoterGraceMs = 10_000;
/** A learner this close to the leader's log has caught up; the rest is in flight. */
const caughtUpEntries = 100;

/** What the keeper knows of a recorded machine. */
export interface RecordedMember {
  wanted: Wanted;
  /** How long the failure detector has called it dead; undefined: it does not. */
  deadForMs: number | undefined;
  /** Undefined: a machine of an earlier version. It holds the log and cannot be told to drop it. */
  log: LogPlace | undefined;
}

export interface MembershipView {
  /** The leader's. */
  status: ConsensusStatus;
  /** By peer id: every machine with a record. */
  recorded: ReadonlyMap<PeerId, RecordedMember>;
}

export type MembershipStep =
  | Extract<MembershipChange, { type: 'addLearner' | 'promote' | 'remove' }>
  /** Learners become voters and voters leave, at once: see `changeOf`. */
  | { type: 'exchange'; enter: PeerId[]; leave: PeerId[] }
  | { type: 'transfer'; peer: PeerId }
  /** What the record is to say; the machine follows. */
  | { type: 'log'; peer: PeerId; to: 'called' | 'none' | 'dismissed' };

/** Who votes, who should, and who could. */
interface VoterPlan {
  /** Voters that keep their place. */
  holding: PeerId[];
  /** Voters that an administrator no longer wants, or that have no record. */
  unwanted: PeerId[];
  /** Voters that have been dead for longer than the grace time. */
  lost: PeerId[];
  /** Learners that could vote at once, the best first. */
  candidates: PeerId[];
  target: number;
}

/** The next step, or undefined when membership is as it should be or nothing can safely be done. */
export function nextMembershipStep(view: MembershipView, graceMs = deadVoterGraceMs): MembershipStep | undefined {
  const { status, recorded } = view;
  const { voters, votersOutgoing, learners } = status.membership;
  if (status.role !== 'leader' || votersOutgoing.length > 0) return undefined;

  const holders = logHolders(view, graceMs);
  for (const [peer, { wanted, log }] of recorded) {
    if (wanted === 'gone' || voters.includes(peer) || learners.includes(peer)) continue;
    const step = stepOutside(peer, log, holders.has(peer));
    if (step) return step;
  }
  // Who was called up for a voter that is silent may still be needed.
  const quiet = voters.every((peer) => isLive(view, peer));
  for (const peer of learners) {
    const log = recorded.get(peer)?.log;
    const idle = log !== undefined && (log !== 'held' || (quiet && !holders.has(peer)));
    if (!isWanted(view, peer) || idle) return { type: 'remove', peer };
  }
  const plan = planVoters(view, graceMs);
  return exchange(view, plan) ?? promotion(view, plan) ?? departure(view, plan, holders);
}

/** What consensus is asked for when `enter` is to vote and `leave` is to go: one change, joint when it is of more than one voter. */
export function changeOf(
  { voters, learners }: Membership,
  { enter, leave }: { enter: PeerId[]; leave: PeerId[] },
): MembershipChange {
  return {
    type: 'set',
    voters: [...voters.filter((peer) => !leave.includes(peer)), ...enter],
    learners: learners.filter((peer) => !enter.includes(peer)),
  };
}

/** What is next for a machine that is no member of the log's membership. */
function stepOutside(peer: PeerId, log: LogPlace | undefined, needed: boolean): MembershipStep | undefined {
  switch (log) {
    case undefined:
      return { type: 'addLearner', peer };
    case 'held':
      return needed ? { type: 'addLearner', peer } : { type: 'log', peer, to: 'dismissed' };
    case 'none':
      return needed ? { type: 'log', peer, to: 'called' } : undefined;
    case 'called':
      return needed ? undefined : { type: 'log', peer, to: 'none' };
    case 'dismissed':
      // It drops its log first, whatever is wanted now: only then may it begin with an empty one.
      return undefined;
  }
}

function planVoters(view: MembershipView, graceMs: number): VoterPlan {
  const { status, recorded } = view;
  const plan: VoterPlan = { holding: [], unwanted: [], lost: [], candidates: candidatesOf(view), target: 1 };
  for (const peer of status.membership.voters) {
    if (!isWanted(view, peer) || recorded.get(peer)?.wanted === 'client') plan.unwanted.push(peer);
    else if (peer !== status.id && (recorded.get(peer)?.deadForMs ?? -1) >= graceMs) plan.lost.push(peer);
    else plan.holding.push(peer);
  }
  const eligible = plan.holding.filter((peer) => isLive(view, peer)).length + plan.candidates.length;
  plan.target = Math.max(1, oddAtMost(Math.min(votersMax, eligible)));
  return plan;
}

/**
 * A learner takes a voter's place, or two of them stand by the only voter. Whatever becomes of a newcomer then: those that voted
 * before and stay are a quorum without it. Promoted first and its predecessor removed later, it would be one that counts meanwhile.
 */
function exchange(view: MembershipView, { holding, unwanted, lost, candidates, target }: VoterPlan): MembershipStep | undefined {
  const { id, membership } = view.status;
  const { voters } = membership;
  const [first, second] = candidates;
  if (first === undefined || holding.length >= target) return undefined;
  if (voters.length === 1) {
    const both = second !== undefined && holding.length === 1;
    return both ? { type: 'exchange', enter: [first, second], leave: [] } : undefined;
  }
  // The leader goes last, and not as the leader.
  const leaver = [...lost, ...unwanted.filter((peer) => peer !== id)].find((peer) => {
    const staying = voters.filter((other) => other !== peer);
    return staysQuorum(view, staying, voters.length);
  });
  return leaver === undefined ? undefined : { type: 'exchange', enter: [first], leave: [leaver] };
}

function promotion(view: MembershipView, { holding, candidates, target }: VoterPlan): MembershipStep | undefined {
  const { voters } = view.status.membership;
  const [peer] = candidates;
  if (peer === undefined) return undefined;
  const asked = view.recorded.get(peer)?.wanted === 'voter' && holding.length < votersMax;
  if (holding.length >= target && !asked) return undefined;
  // Two voters need each other, whoever they are; that is on the way to three, or what somebody wanted.
  const safe = voters.length === 1 ? isSafe(view, [...voters, peer]) : staysQuorum(view, voters, voters.length + 1);
  return safe ? { type: 'promote', peer } : undefined;
}

/** A voter that leaves; what becomes of a machine that keeps its record is decided in the next round. */
function departure(
  view: MembershipView,
  { holding, unwanted, lost, target }: VoterPlan,
  holders: ReadonlySet<PeerId>,
): MembershipStep | undefined {
  const { id, membership } = view.status;
  const { voters } = membership;
  // Somebody is on the way to take the place. It begins anew for that: the log hears nothing of it meanwhile.
  const coming = [...holders].some((peer) => {
    const record = view.recorded.get(peer);
    return !voters.includes(peer) && record?.log !== undefined && record.deadForMs === undefined;
  });
  if (coming && holding.length < oddAtMost(holders.size)) return undefined;
  // A dead voter without a replacement stays while its place counts: fewer voters would not survive more failures.
  const enough = Math.max(target, holding.length % 2 === 0 ? holding.length + 1 : holding.length);
  const surplus = voters.length > enough ? lost : [];
  // The leader goes last, and not as the leader.
  for (const peer of [...unwanted.filter((other) => other !== id), ...surplus]) {
    const next = voters.filter((other) => other !== peer);
    if (isSafe(view, next)) return { type: 'remove', peer };
  }
  if (!unwanted.includes(id)) return undefined;
  const [successor] = byProgress(
    view,
    holding.filter((peer) => isLive(view, peer)),
  );
  const next = voters.filter((other) => other !== id);
  return successor !== undefined && isSafe(view, next) ? { type: 'transfer', peer: successor } : undefined;
}

/** The founder's record is written right after its first election; until then it is the only voter. */
function isWanted({ status, recorded }: MembershipView, peer: PeerId): boolean {
  const record = recorded.get(peer);
  return record ? record.wanted !== 'gone' : status.membership.voters.length === 1 && status.id === peer;
}

/** A client is in nobody's progress: the failure detector alone tells of it. */
export function isReachable(view: MembershipView, peer: PeerId): boolean {
  const { voters, learners } = view.status.membership;
  if (voters.includes(peer) || learners.includes(peer)) return isLive(view, peer);
  const record = view.recorded.get(peer);
  return record?.log !== undefined && record.deadForMs === undefined;
}

function isLive({ status, recorded }: MembershipView, peer: PeerId): boolean {
  if (peer === status.id) return true;
  return status.progress[peer]?.active === true && recorded.get(peer)?.deadForMs === undefined;
}

function candidatesOf(view: MembershipView): PeerId[] {
  const { status, recorded } = view;
  const able = status.membership.learners.filter((peer) => {
    const match = status.progress[peer]?.match ?? 0;
    const willing = ['auto', 'voter'].includes(recorded.get(peer)?.wanted ?? 'gone');
    return willing && isLive(view, peer) && match > 0 && match + caughtUpEntries >= status.lastIndex;
  });
  const sorted = byProgress(view, able);
  const asked = (peer: PeerId) => recorded.get(peer)?.wanted === 'voter';
  return [...sorted.filter(asked), ...sorted.filter((peer) => !asked(peer))];
}

function byProgress({ status }: MembershipView, peers: PeerId[]): PeerId[] {
  const match = (peer: PeerId) => status.progress[peer]?.match ?? 0;
  return peers.toSorted((a, b) => match(b) - match(a) || (a < b ? -1 : 1));
}

/** Whether enough of these voters live. */
function isSafe(view: MembershipView, voters: readonly PeerId[]): boolean {
  return staysQuorum(view, voters, voters.length);
}

/** Whether `staying` are a quorum of `voters` voters by themselves, even if all the others are dead. */
function staysQuorum(view: MembershipView, staying: readonly PeerId[], voters: number): boolean {
  return staying.filter((peer) => isLive(view, peer)).length >= majority(voters);
}

const majority = (voters: number) => Math.floor(voters / 2) + 1;
/** What becomes of the quorum. `fragile`: it would hold, but no longer survive the loss of any one voter as it does now. */
export interface QuorumOutlook {
  verdict: 'safe' | 'fragile' | 'fatal';
  voters: number;
  reachable: number;
  needed: number;
}

/** If this peer no longer voted. A machine that the keeper would put into its place counts. */
export function outlookWithout(view: MembershipView, peer: PeerId): QuorumOutlook {
  const { voters } = view.status.membership;
  if (!voters.includes(peer)) return outlook(view, voters, voters);
  const clients = [...view.recorded].filter(
    ([other, { wanted, log }]) =>
      log !== undefined && !voters.includes(other) && ['auto', 'voter'].includes(wanted) && isReachable(view, other),
  );
  const [replacement] = [...candidatesOf(view), ...clients.map(([other]) => other)].filter((other) => other !== peer);
  const next = voters.filter((other) => other !== peer);
  return outlook(view, voters, replacement === undefined ? next : [...next, replacement]);
}

/** If this peer voted too. */
export function outlookWith(view: MembershipView, peer: PeerId): QuorumOutlook {
  const { voters } = view.status.membership;
  return outlook(view, voters, voters.includes(peer) ? voters : [...voters, peer]);
}

function outlook(view: MembershipView, before: readonly PeerId[], after: readonly PeerId[]): QuorumOutlook {
  const reachableOf = (voters: readonly PeerId[]) => voters.filter((peer) => isReachable(view, peer)).length;
  const spare = (voters: readonly PeerId[]) => reachableOf(voters) - majority(voters.length);
  const needed = majority(after.length);
  const fragile = spare(after) === 0 && spare(before) > 0;
  const verdict = after.length === 0 || spare(after) < 0 ? 'fatal' : fragile ? 'fragile' : 'safe';
  return { verdict, voters: after.length, reachable: reachableOf(after), needed };
}
