import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LabNetwork, type LabPeerNetwork } from '../../src/cli/lab/network.ts';

const name = `t${process.pid}`;
const lab = new LabNetwork(name);
const [one, two, three, four] = [1, 2, 3, 4].map((number) => lab.peer(number));
const all = [1, 2, 3, 4];

const isMounted = () => / \/run\/netns /.test(readFileSync('/proc/self/mountinfo', 'utf8'));
const wasMounted = isMounted();

// `ip netns` mounts its folder on itself at first use. Busy means that somebody else uses it by now.
test.after(() => {
  if (!wasMounted && isMounted()) spawnSync('umount', ['/run/netns']);
});

test.before.each(() => lab.up(all));
test.after.each(async () => {
  await lab.down();
  await lab.down();
  const left = existsSync('/run/netns') ? readdirSync('/run/netns').filter((entry) => entry.startsWith(`ktk-${name}-`)) : [];
  assert.equal(left, []);
  assert.not(readFileSync('/proc/self/mountinfo', 'utf8').includes(`ktk-${name}-`));
  assert.not(lab.exists());
});

const ping = ['busybox', 'ping', '-q', '-c', '1', '-W', '1'];

/** Whether one packet comes back. */
function reaches(from: LabPeerNetwork | undefined, to: LabPeerNetwork | undefined): boolean {
  try {
    execFileSync('nsenter', [`--net=${from!.netnsFile}`, ...ping, to!.address], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** As reaches, with time for addresses to be found anew after a cut. */
async function willReach(from: LabPeerNetwork | undefined, to: LabPeerNetwork | undefined): Promise<boolean> {
  for (let tries = 0; tries < 30; tries++) if (reaches(from, to)) return true;
  return false;
}

test('peers reach each other, and nothing of it is in the root namespace', async () => {
  assert.ok(lab.exists());
  for (const [from, to] of [
    [one, two],
    [two, three],
    [four, one],
    [one, one],
  ])
    assert.ok(await willReach(from, to));
  assert.not.match(execFileSync('ip', ['-4', '-o', 'address', 'show'], { encoding: 'utf8' }), '10.77.0.');
});

test('cut isolates some from the rest, not from each other; heal ends it', async () => {
  await lab.cut([1, 2], all);
  assert.ok((await willReach(one, two)) && (await willReach(three, four)));
  assert.not(reaches(one, three) || reaches(four, two));
  await lab.heal();
  assert.ok((await willReach(one, three)) && (await willReach(four, two)));
});

test('cutPair leaves both in touch with the others', async () => {
  await lab.cutPair(1, 2);
  assert.not(reaches(one, two) || reaches(two, one));
  assert.ok((await willReach(one, three)) && (await willReach(two, three)));
  await lab.heal();
  assert.ok(await willReach(one, two));
});

/** Whether the question of `speaker` where `listener` is came through, though perhaps no answer. */
function hears(listener: LabPeerNetwork | undefined, speaker: LabPeerNetwork | undefined): boolean {
  reaches(speaker, listener);
  const file = listener!.netnsFile;
  const known = execFileSync('nsenter', [`--net=${file}`, 'ip', 'neigh', 'show', speaker!.address], { encoding: 'utf8' });
  return known.includes('lladdr');
}

test('a cut of one way: the one no longer hears the other, but is heard', async () => {
  await lab.cutPair(1, 2, true);
  await lab.cut([3], all, true);
  assert.ok(hears(one, two) && hears(three, four));
  assert.not(hears(two, one) || hears(four, three));
  assert.not(reaches(one, two) || reaches(two, one) || reaches(three, four) || reaches(four, three));
  await lab.heal();
  assert.ok((await willReach(one, two)) && (await willReach(three, four)));
});

test.run();
