/** Breaks what the plan says and mends it again, on a real local cluster, by `kontiki dev` and its doors. */
import { statusOf } from '../../src/cli/lab/lab.ts';
import { LabNetwork } from '../../src/cli/lab/network.ts';
import { isAlive, type LabPeer } from '../../src/cli/lab/state.ts';
import { delay, systemClock } from '../../src/lib/clock.ts';
import { execute, type Lab } from '../support/lab.ts';
import { type PlannedFault, partitionOf } from './plan.ts';

const flapMs = 700;
/** Below and above what makes a leader hand over. */
const slowSyncMs = { little: 100, much: 700 };
/** For steps of mending that may have to be repeated; much longer than they take. */
const mendPatienceMs = 180_000;

/**
 * Resolves when it is mended, with the peer that was hurt. Throws when something that has to work does not: a daemon that does not
 * start, a member that cannot be replaced.
 */
export async function carryOut(lab: Lab, fault: PlannedFault, say: (line: string) => void): Promise<number> {
  const victim = (fault.aimed ? await leaderNow(lab) : undefined) ?? fault.peer;
  await hurtAndMend(lab, fault, victim, say);
  return victim;
}

async function hurtAndMend(lab: Lab, fault: PlannedFault, victim: number, say: (line: string) => void): Promise<void> {
  const { peers, id } = lab.state;
  const network = new LabNetwork(id);
  const partition = partitionOf(fault, victim, peers.length);
  const hold = (ms = fault.holdMs) => delay(systemClock, ms);
  const cut = async () => {
    for (const [left, right] of partition?.pairs ?? []) await network.cutPair(left, right, partition?.oneWay);
  };
  const whom = partition
    ? partition.pairs.map(([left, right]) => `${left}${partition.oneWay ? '>' : ':'}${right}`).join(' ')
    : `peer-${victim}`;
  const seconds = (fault.holdMs / 1000).toFixed(1);
  say(fault.kind === 'restart of all' ? fault.kind : `${fault.kind}, ${whom}, for ${seconds} s`);

  const dev = (command: string, peer = victim, ...rest: string[]) => lab.kontiki('dev', command, String(peer), ...rest);
  switch (fault.kind) {
    case 'kill':
      await dev('kill');
      await hold();
      return start(lab, victim);
    case 'pause':
      await dev('pause');
      await hold();
      return void (await dev('resume'));
    case 'main thread blocked':
      return void (await dev('stall', victim, String(fault.holdMs)));
    case 'slow disk':
      await dev('slow-disk', victim, '--ms', String(fault.mirrored ? slowSyncMs.much : slowSyncMs.little));
      await hold();
      return void (await lab.kontiki('dev', 'heal'));
    case 'restart of all':
      await Promise.all(peers.map(({ number }) => dev('kill', number)));
      return void (await Promise.all(peers.map(({ number }) => start(lab, number))));
    case 'disk full':
      return fullDisk(lab, peers[victim - 1]!, hold);
    case 'member replaced':
      return replaceMember(lab, victim, (victim % peers.length) + 1);
    case 'flapping':
      for (let leftMs = fault.holdMs; leftMs > 0; leftMs -= 2 * flapMs) {
        await cut();
        await hold(flapMs);
        await network.heal();
        await hold(flapMs);
      }
      return;
    default:
      await cut();
      await hold();
      return network.heal();
  }
}

/** A daemon whose disk is full may end or go on; either way it is started anew once there is room. */
async function fullDisk(lab: Lab, peer: LabPeer, hold: () => Promise<void>): Promise<void> {
  await lab.kontiki('dev', 'fill', String(peer.number));
  try {
    await hold();
  } finally {
    await lab.kontiki('dev', 'free', String(peer.number));
  }
  await end(lab, peer);
  await start(lab, peer.number);
}

/**
 * Once more while the last threads of the process that was killed hold the data folder, and with more patience than the command has
 * while the daemon lives; any other failure counts.
 */
async function start(lab: Lab, number: number): Promise<void> {
  const peer = lab.state.peers[number - 1]!;
  const attempt = async () => {
    if (isAlive(peer)) return (await statusOf(peer)) ? { failure: '' } : undefined;
    const failure = await lab.kontiki('dev', 'start', String(number)).then(
      () => '',
      (error: Error) => error.message,
    );
    const [reason = ''] = failure.split('\n---');
    return failure && (isAlive(peer) || /\block\b/i.test(reason)) ? undefined : { failure };
  };
  const { failure } = await lab.eventually(`the start of ${peer.name}`, attempt, mendPatienceMs);
  if (failure) throw new Error(failure);
}

/** It may die by itself meanwhile. */
async function end(lab: Lab, peer: LabPeer): Promise<void> {
  await lab.eventually(`the end of ${peer.name}`, async () => {
    if (isAlive(peer)) await lab.kontiki('dev', 'kill', String(peer.number));
    return true;
  });
}

/** The machine is lost with its disk; a new one takes its name and place, admitted by `by`. */
async function replaceMember(lab: Lab, lost: number, by: number): Promise<void> {
  const on = async (peer: number, ...args: string[]) => {
    const outcome = await execute('./kontiki', [...args, '--config', lab.state.peers[peer - 1]!.configFile]);
    if (outcome.code !== 0) throw new Error(`kontiki ${args.join(' ')}: ${outcome.stderr}`);
    return outcome.stdout;
  };
  const name = `peer-${lost}`;
  await lab.kontiki('dev', 'kill', String(lost));
  await lab.eventually(
    `the data of ${name} wiped`,
    async () => {
      await on(lost, 'reset', '--yes');
      return true;
    },
    mendPatienceMs,
  );
  await lab.eventually(
    `${name} removed`,
    async () => {
      const members = JSON.parse(await on(by, 'members', '-o', 'json')) as { name: string }[];
      if (!members.some((member) => member.name === name)) return true;
      await on(by, 'member', 'remove', name, '--force');
      return undefined;
    },
    mendPatienceMs,
  );
  await lab.eventually(
    `${name} joined anew`,
    async () => {
      const [, , , join = '', , token = ''] = (await on(by, 'member', 'add')).trim().split(' ');
      const peer = lab.state.peers[lost - 1]!;
      await end(lab, peer);
      await lab.kontiki('dev', 'start', String(lost), '--join', join, '--token', token);
      return true;
    },
    mendPatienceMs,
  );
}

/** The leader of the highest term among those that answer. */
async function leaderNow(lab: Lab): Promise<number | undefined> {
  const leaders = (await lab.status()).filter((peer) => peer.alive && peer.role === 'leader');
  return leaders.length === 1 ? Number(leaders[0]?.name.replace('peer-', '')) : undefined;
}
