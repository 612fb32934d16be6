/** A small disk under a real peer: what it still takes when others fill it, and that it recovers by itself. */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { callDaemon } from '../../src/cli/control-client.ts';
import { pathsOf } from '../../src/node/config.ts';
import type { DiskState } from '../../src/node/disk-room.ts';
import { Lab } from '../support/lab.ts';

const test = suite('a full disk');
const lab = new Lab();
const mib = 2 ** 20;

function mount(...args: string[]): void {
  const { status, stderr } = spawnSync(args[0]!, args.slice(1), { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
}

test.before(async () => {
  mount('mount', '-t', 'tmpfs', '-o', 'size=128m', 'tmpfs', lab.dir);
  await lab.up(1);
});
test.after(async () => {
  await lab.kontiki('dev', 'down');
  for (const name of readdirSync(lab.dir)) rmSync(join(lab.dir, name), { recursive: true });
  mount('umount', lab.dir);
  rmSync(lab.dir, { recursive: true });
});

const disk = async () => {
  const { controlSocket } = pathsOf(lab.state.peers[0]!.dataDir);
  return (await callDaemon<{ disk: DiskState & { state: 'ok' | 'low' } }>(controlSocket, 'GET', '/status')).disk;
};
const whenDisk = (what: string, holds: (state: Awaited<ReturnType<typeof disk>>) => boolean) =>
  lab.eventually(what, async () => ((await disk()).state && holds(await disk()) ? true : undefined));

/** Others take the room, up to `leftBytes`. */
function fill(leftBytes: number): void {
  const { bsize, bavail } = statfsSync(lab.dir);
  const handle = openSync(join(lab.dir, 'filling'), 'a');
  try {
    for (let left = bavail * bsize - leftBytes; left > 0; ) left -= writeSync(handle, Buffer.alloc(Math.min(mib, left)));
  } finally {
    closeSync(handle);
  }
}

test('what is new or grows is refused, deleting and reporting work, and all works again when there is room', async () => {
  await whenDisk('a reserve', ({ state, reserveBytes }) => state === 'ok' && reserveBytes > 0);
  for (const name of ['small', 'doomed']) await lab.ok(['create', 'configmap', name, '--from-literal=a=b']);

  fill(12 * mib);
  await whenDisk('a low disk', ({ state }) => state === 'low');
  const refused = await lab.kubectl(['create', 'configmap', 'new', '--from-literal=a=b']);
  assert.is(refused.code, 1);
  assert.match(
    refused.stderr,
    'too little room on the disk of peer-1: nothing new is stored until there is room; deleting works',
  );
  const large = JSON.stringify({ data: { large: 'x'.repeat(20_000) } });
  assert.match((await lab.kubectl(['patch', 'configmap', 'small', '-p', large])).stderr, 'too little room');
  await lab.ok(['patch', 'configmap', 'small', '-p', '{"data":{"a":"c"}}']);
  await lab.ok(['delete', 'configmap', 'doomed']);
  assert.match(await lab.ok(['get', '--raw', '/metrics']), /^kontiki_disk_low 1$/m);

  // The reserve is given up for the log, so that a disk that others have filled to the brim does not stop the peer.
  fill(1 * mib);
  await whenDisk('the reserve in use', ({ reserveBytes }) => reserveBytes === 0);
  await lab.ok(['patch', 'configmap', 'small', '-p', '{"data":{"a":"d"}}']);
  await lab.ok(['wait', '--for=condition=Ready', 'node/peer-1', '--timeout=60s']);
  assert.not.ok(existsSync(join(lab.state.peers[0]!.dataDir, 'reserve')));

  rmSync(join(lab.dir, 'filling'));
  await whenDisk('room and a reserve again', ({ state, reserveBytes }) => state === 'ok' && reserveBytes > 0);
  await lab.ok(['create', 'configmap', 'new', '--from-literal=a=b']);
});

test.run();
