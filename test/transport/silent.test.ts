import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addressOf, connectedTo, lostConnection, startPeer } from './peers.ts';

test('a peer that hangs is noticed although its connection stands, and found again when it goes on', async () => {
  const a = await startPeer();
  const script = new URL('./hung-peer.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, JSON.stringify(addressOf(a))], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = await once(child.stdout, 'data');
    const other = JSON.parse(line.toString());
    a.setMembers([other]);
    await connectedTo(a, [other.id]);
    const lost = lostConnection(a, other.id);
    child.kill('SIGSTOP');
    await lost;
    assert.equal(a.connected(), []);
    child.kill('SIGCONT');
    await connectedTo(a, [other.id]);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
    await a.close();
  }
});

test.run();
