import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Lab } from '../support/lab.ts';

const gossipTests = suite('gossip on a real cluster');
const lab = new Lab();
const figures: string[] = [];

gossipTests.before(() => lab.up());
gossipTests.after(async () => {
  process.stdout.write(`${figures.join('\n')}\n`);
  await lab.down();
});

interface Verdict {
  peer: string;
  to: string;
  silenceMs: number;
  monotonicMs: number;
  time: string;
}

/** What the peer has said of machines since `offset` of its log. */
function verdicts(observer: number, offset: number): Verdict[] {
  const text = readFileSync(lab.state.peers[observer - 1]!.logFile, 'utf8').slice(offset);
  const lines = text.split('\n').filter((line) => line.includes('the verdict on a machine changed'));
  return lines.map((line) => JSON.parse(line) as Verdict);
}

/** The verdict that the leader of that time comes to; figures are printed, since how fast the machine is decides them too. */
async function found(how: 'kill' | 'pause', victim: number): Promise<void> {
  const others = [1, 2, 3].filter((peer) => peer !== victim);
  const offsets = new Map(others.map((peer) => [peer, readFileSync(lab.state.peers[peer - 1]!.logFile, 'utf8').length]));
  const startedMs = Date.now();
  await lab.kontiki('dev', how, String(victim));
  const doneMs = Date.now();
  const leader = await lab.eventually('a leader among the others', async () => {
    const peers = await lab.status();
    return others.find((peer) => peers[peer - 1]?.role === 'leader' && peers[peer - 1]?.alive);
  });
  const dead = await lab.eventually('the verdict', async () =>
    verdicts(leader, offsets.get(leader)!).find(({ to }) => to === 'dead'),
  );
  const atMs = Date.parse(dead.time);
  figures.push(
    `${how} of peer-${victim}, leader peer-${leader}: dead ${atMs - doneMs} to ${atMs - startedMs} ms later, silence ${Math.round(dead.silenceMs)} ms`,
  );
  // As the leader's own monotonic clock has it: no longer silent than it takes, whatever the load of this machine.
  assert.ok(dead.silenceMs > 1_500 && dead.monotonicMs > 0);
  const node = await lab.eventually('NotReady', async () => {
    const line = await lab.ok(['get', 'node', `peer-${victim}`], { peer: leader });
    return line.includes('NotReady') ? line : undefined;
  });
  assert.match(node, 'NotReady');
  await lab.kontiki('dev', how === 'kill' ? 'start' : 'resume', String(victim));
  await lab.eventually('life', async () =>
    verdicts(leader, offsets.get(leader)!).some(({ to }) => to === 'alive') ? true : undefined,
  );
  await lab.ok(['wait', '--for=condition=Ready', `node/peer-${victim}`, '--timeout=60s']);
}

const follower = async () => ((await lab.leader()) % 3) + 1;
const rounds = Number(process.env.ROUNDS ?? 1);

for (let round = 0; round < rounds; round++) {
  gossipTests(`a killed follower is found dead (${round})`, async () => found('kill', await follower()));
  gossipTests(`a paused follower is found dead, and alive again (${round})`, async () => found('pause', await follower()));
  gossipTests(`a killed leader is found dead by its successor (${round})`, async () => found('kill', await lab.leader()));
}

gossipTests.run();
