/** What becomes of a peer whose log is damaged or gone: it comes back as a newcomer and is a full voter again, by itself. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { callDaemon } from '../../src/cli/control-client.ts';
import { pathsOf } from '../../src/node/config.ts';
import type { MemberView } from '../../src/node/member-administration.ts';
import type { Lab } from '../support/lab.ts';

export function addRotTests(test: Test, lab: Lab): void {
  const dataDirOf = (peer: number) => lab.state.peers[peer - 1]!.dataDir;
  const logOf = (peer: number) => readFileSync(lab.state.peers[peer - 1]!.logFile, 'utf8');
  const idOf = (peer: number) => (JSON.parse(readFileSync(pathsOf(dataDirOf(peer)).identity, 'utf8')) as { id: string }).id;
  const membersAt = (peer: number) => callDaemon<MemberView[]>(pathsOf(dataDirOf(peer)).controlSocket, 'GET', '/members');

  /** The one member of that name, once it votes under an identity other than `former` and the others are voters too. */
  const newVoter = (peer: number, former: string, seenBy: number) =>
    lab.eventually(`peer-${peer} as a voter`, async () => {
      const members = await membersAt(seenBy);
      const own = members.find(({ name }) => name === `peer-${peer}`);
      const voting = members.filter(({ role, verdict }) => (role === 'voter' || role === 'leader') && verdict === 'alive');
      return members.length === 3 && voting.length === 3 && own && own.id !== former ? own : undefined;
    });

  test('a follower whose log has rot comes back under a new identity, and its vote counts again', async () => {
    const leader = await lab.leader();
    const [peer, third] = [(leader % 3) + 1, ((leader + 1) % 3) + 1];
    await lab.ok(['create', 'configmap', 'before-the-rot', '--from-literal=a=b']);
    const former = idOf(peer);
    await lab.kontiki('dev', 'kill', String(peer));
    const { raft } = pathsOf(dataDirOf(peer));
    const file = join(raft, readdirSync(raft).find((name) => name.endsWith('.log')) as string);
    const bytes = readFileSync(file);
    bytes[20] = bytes[20]! ^ 1;
    writeFileSync(file, bytes);
    await lab.kontiki('dev', 'start', String(peer));
    const member = await newVoter(peer, former, leader);
    assert.is(member.id, idOf(peer));
    assert.match(logOf(peer), 'the log of this peer is damaged: it joins anew under a new identity');
    const aside = readdirSync(dataDirOf(peer)).filter((name) => name.startsWith('damaged-'));
    assert.is(aside.length, 1);
    const kept = join(dataDirOf(peer), aside[0]!, 'raft', file.slice(raft.length + 1));
    assert.ok(readFileSync(kept).equals(bytes), 'the damaged log is kept as it was');
    // Without the third peer nothing is written but with this one's vote.
    await lab.kontiki('dev', 'kill', String(third));
    await lab.eventually('a write by two', async () => {
      await lab.ok(['create', 'configmap', 'after-the-rot', '--from-literal=a=b'], { peer, timeoutMs: 20_000 });
      return true;
    });
    assert.match(await lab.ok(['get', 'configmap', 'before-the-rot', '-o', 'name'], { peer }), 'before-the-rot');
    await lab.kontiki('dev', 'start', String(third));
    await lab.ok(['wait', '--for=condition=Ready', `node/peer-${peer}`, `node/peer-${third}`, '--timeout=60s']);
  });

  test('a wiped machine, though it founded the cluster, neither founds another nor votes under its old name', async () => {
    const founder = [1, 2, 3].find((peer) => {
      const identity = JSON.parse(readFileSync(pathsOf(dataDirOf(peer)).identity, 'utf8')) as { founder: boolean };
      return identity.founder;
    });
    const peer = founder ?? 1;
    const other = (peer % 3) + 1;
    const former = idOf(peer);
    await lab.kontiki('dev', 'kill', String(peer));
    const { raft, store } = pathsOf(dataDirOf(peer));
    for (const folder of [raft, store]) rmSync(folder, { recursive: true });
    await lab.kontiki('dev', 'start', String(peer));
    await newVoter(peer, former, other);
    assert.match(logOf(peer), 'the log of this peer is gone');
    assert.ok(existsSync(raft));
    await lab.ok(['get', 'configmap', 'after-the-rot'], { peer });
  });
}
