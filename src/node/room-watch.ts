/**
 * Whether the cluster may store something new: a majority of its voters must have room on their disks. One full disk of three stops
 * nothing; that machine alone lives on its reserve. Each peer says in its heartbeats how its own disk is.
 */
import type { ConsensusStatus } from '../consensus/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { RepeatingTask } from '../lib/repeating-task.ts';
import type { NodeHealth } from '../machinery/node-health.ts';
import type { Store } from '../store/index.ts';
import { decodeRecord, type MemberRecord, memberKey } from './cluster-records.ts';
import type { DiskRoom } from './disk-room.ts';
import { showDisk } from './metrics.ts';
import type { PeerThread } from './peer-thread-handle.ts';

const lookMs = 250;

/** A voter, and whether its disk is low, as far as this peer knows. */
export interface VoterRoom {
  nodeName: string;
  low: boolean;
}

/** Why nothing new may be stored; undefined: it may. Pure. */
export function growthRefusal(voters: readonly VoterRoom[]): string | undefined {
  const low = voters.filter(({ low }) => low).map(({ nodeName }) => nodeName);
  if (voters.length === 0 || (voters.length - low.length) * 2 > voters.length) return undefined;
  const disks = low.length === 1 ? 'the disk of' : 'the disks of';
  return `too little room on ${disks} ${low.sort().join(', ')}`;
}

/** The voters as this peer sees them; `status` undefined: it does not know them yet. */
export function voterRooms(context: {
  status: ConsensusStatus | undefined;
  store: Pick<Store, 'get'>;
  health: Pick<NodeHealth, 'get'>;
  ownId: string;
  ownLow: boolean;
}): VoterRoom[] {
  const { status, store, health, ownId, ownLow } = context;
  return (status?.membership.voters ?? []).map((id) => {
    const record = store.get(memberKey(id));
    const nodeName = record ? decodeRecord<MemberRecord>(record.value).nodeName : id;
    return { nodeName, low: id === ownId ? ownLow : health.get(nodeName)?.diskLow === true };
  });
}

/** Looks four times a second, and tells the others and the metrics what it saw. */
export function watchRoom(
  room: DiskRoom,
  { peer, clock, logger }: { peer: Pick<PeerThread, 'setDiskLow'>; clock: Clock; logger: Logger },
): RepeatingTask {
  const run = () => {
    room.look();
    peer.setDiskLow(room.state.low);
    showDisk(room.state);
  };
  const onError = (error: unknown) =>
    logger.warn({ error }, 'the room on the disk could not be looked at; that will be repeated');
  return new RepeatingTask({ clock, intervalMs: lookMs, run, onError });
}
