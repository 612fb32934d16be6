/** Carries the membership keeper's decisions out, while this peer leads; deletes what is over: records of the gone, old tokens. */
import type { ConsensusStatus } from '../consensus/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { RepeatingTask } from '../lib/repeating-task.ts';
import type { NodeHealth } from '../machinery/node-health.ts';
import type { ClusterStore, Operation } from '../store/types.ts';
import { decodeRecord, type MemberRecord, memberPrefix, nodeNameKey, wantedOf } from './cluster-records.ts';
import { setLogPlace } from './member-record.ts';
import { changeOf, type MembershipView, nextMembershipStep, type RecordedMember } from './membership-keeper.ts';
import type { PeerThread } from './peer-thread-handle.ts';
import { deleteExpiredTokens } from './tokens.ts';

const roundMs = 250;
const cleanUpMs = 60_000;
const stepTimeoutMs = 10_000;

const placeBefore = { called: 'none', none: 'called', dismissed: 'held' } as const;

export interface MembershipTaskOptions {
  store: ClusterStore;
  peer: PeerThread;
  nodeHealth: NodeHealth;
  clock: Clock;
  logger: Logger;
}

export class MembershipTask {
  readonly #options: MembershipTaskOptions;
  readonly #tasks: RepeatingTask[];
  /** Since when, on the monotonic clock, this leader has seen a machine called dead. */
  readonly #deadSince = new Map<string, number>();

  constructor(options: MembershipTaskOptions) {
    const { clock, logger, store } = options;
    this.#options = options;
    this.#tasks = [
      new RepeatingTask({
        clock,
        intervalMs: roundMs,
        run: (signal) => this.#round(signal),
        onError: (error) => logger.warn({ error }, 'a membership change failed and will be repeated'),
      }),
      new RepeatingTask({
        clock,
        intervalMs: cleanUpMs,
        run: async (signal) => {
          const deleted = await deleteExpiredTokens(store, clock.wallMs(), signal);
          if (deleted > 0) logger.info({ deleted }, 'expired join tokens were deleted');
        },
        onError: (error) => logger.warn({ error }, 'expired join tokens could not be deleted; that will be repeated'),
      }),
    ];
  }

  start(): void {
    for (const task of this.#tasks) task.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#tasks.map((task) => task.stop()));
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { peer, store, logger, nodeHealth, clock } = this.#options;
    const status = await peer.call('status', null, signal);
    if (status.role !== 'leader') return;
    const view = { status, recorded: recordedMembers(store, nodeHealth, this.#deadSince, clock.monotonicMs()) };
    const step = nextMembershipStep(view);
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(stepTimeoutMs)]);
    if (step?.type === 'transfer') {
      logger.info({ to: step.peer }, 'this peer is to stop voting and hands its leadership over');
      return await peer.call('transferLeadership', step.peer, bounded);
    }
    if (step?.type === 'log') {
      logger.info({ ...step }, 'what a machine is to hold changes');
      await setLogPlace(store, step.peer, [placeBefore[step.to]], step.to, bounded);
      return;
    }
    if (step) {
      logger.info({ ...step }, 'membership changes');
      return await peer.changeMembership(step.type === 'exchange' ? changeOf(status.membership, step) : step, bounded);
    }
    await this.#deleteGone(status, view, bounded);
  }

  /** A record goes only after its peer has left Raft: while it is a member, the others must stay connected to it. */
  async #deleteGone({ membership }: ConsensusStatus, { recorded }: MembershipView, signal: AbortSignal): Promise<void> {
    const { store, logger } = this.#options;
    const { voters, votersOutgoing, learners } = membership;
    for (const record of store.list(memberPrefix).records) {
      const { id, nodeName } = decodeRecord<MemberRecord>(record.value);
      if (recorded.get(id)?.wanted !== 'gone' || [...voters, ...votersOutgoing, ...learners].includes(id)) continue;
      const name = store.get(nodeNameKey(nodeName));
      const ownsName = name !== undefined && decodeRecord<string>(name.value) === id;
      const conditions = [{ key: record.key, modRevision: record.modRevision }];
      const operations: Operation[] = [{ type: 'delete', key: record.key }];
      if (ownsName) {
        conditions.push({ key: name.key, modRevision: name.modRevision });
        operations.push({ type: 'delete', key: name.key });
      }
      await store.write({ conditions, operations }, signal);
      logger.info({ peer: id, nodeName }, 'the machine is no longer a member');
    }
  }
}

/** The member records with the detector's verdicts; keeps `deadSince` in step with them. */
export function recordedMembers(
  store: Pick<ClusterStore, 'list'>,
  nodeHealth: NodeHealth,
  deadSince: Map<string, number>,
  nowMs: number,
): Map<string, RecordedMember> {
  const recorded = new Map<string, RecordedMember>();
  for (const { value } of store.list(memberPrefix).records) {
    const record = decodeRecord<MemberRecord>(value);
    const { id, nodeName, log } = record;
    const dead = nodeHealth.get(nodeName)?.verdict === 'dead';
    if (!dead) deadSince.delete(id);
    else if (!deadSince.has(id)) deadSince.set(id, nowMs);
    const deadForMs = dead ? nowMs - (deadSince.get(id) ?? nowMs) : undefined;
    recorded.set(id, { wanted: wantedOf(record), deadForMs, log });
  }
  for (const id of deadSince.keys()) if (!recorded.has(id)) deadSince.delete(id);
  return recorded;
}
