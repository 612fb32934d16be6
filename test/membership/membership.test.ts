/** Administration of the members on a real cluster: voters, removal, a machine that lost its data, addresses that all change. */
import { spawnSync } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { peerPort } from '../../src/cli/lab/state.ts';
import type { MemberView } from '../../src/node/member-administration.ts';
import { execute, Lab, type Outcome, remains } from '../support/lab.ts';

const test = suite('membership');
const lab = new Lab();
let identity = { id: '', dir: lab.dir };

/** `kontiki …` on the machine of a peer. */
const kontikiOn = (peer: number, ...args: string[]): Promise<Outcome> =>
  execute('./kontiki', [...args, '--config', `${lab.dir}/peer-${peer}/config.yaml`]);

/** Its standard output; throws when it failed. */
async function ok(peer: number, ...args: string[]): Promise<string> {
  const outcome = await kontikiOn(peer, ...args);
  if (outcome.code !== 0) throw new Error(`kontiki ${args.join(' ')}: ${outcome.stderr}\n${lab.logs()}`);
  return outcome.stdout;
}

/** What it says when it refuses. */
async function refusal(peer: number, ...args: string[]): Promise<string> {
  const outcome = await kontikiOn(peer, ...args);
  assert.is(outcome.code, 1, outcome.stdout);
  return outcome.stderr;
}

const members = async (peer: number) => JSON.parse(await ok(peer, 'members', '-o', 'json')) as MemberView[];

/** The members as peer 1 or another sees them, once they are as wanted. */
function membersWhen(what: string, wanted: (by: Record<string, MemberView>) => boolean, peer = 1): Promise<MemberView[]> {
  return lab.eventually(what, async () => {
    const found = await members(peer);
    return wanted(Object.fromEntries(found.map((member) => [member.name, member]))) ? found : undefined;
  });
}

const votes = (member: MemberView | undefined) => member?.role === 'voter' || member?.role === 'leader';
const votersOf = (found: MemberView[]) =>
  found
    .filter(votes)
    .map(({ name }) => name)
    .sort();
const nodeNames = async () => (await lab.ok(['get', 'nodes', '-o', 'name'], { peer: 1 })).trim().split('\n').sort();
const leaderName = (found: MemberView[]) => found.find(({ role }) => role === 'leader')?.name;

/** The number of a peer that neither leads nor is one of these. */
const aFollower = (found: MemberView[], except: number[] = []) =>
  Number(
    found
      .filter(({ name, role }) => role === 'voter' && !except.includes(Number(name.replace('peer-', ''))))[0]
      ?.name.replace('peer-', ''),
  );

test.before(async () => {
  await lab.up(4);
  identity = { id: lab.state.id, dir: lab.dir };
});

test('four machines have three voters and one that follows, and every peer tells the same', async () => {
  const found = await membersWhen('three voters', (by) => Object.values(by).filter(votes).length === 3);
  assert.is(found.filter(({ role }) => role === 'learner').length, 1);
  assert.ok(
    found.every(({ verdict, incarnation, addresses }) => verdict === 'alive' && incarnation === 1 && addresses.length > 0),
  );
  for (const peer of [2, 3, 4]) {
    const same = await lab.eventually(`the lags as peer ${peer} sees them`, async () => {
      const seen = await members(peer);
      return seen.every(({ lag }) => lag !== null && lag < 100) ? seen : undefined;
    });
    assert.equal(votersOf(same), votersOf(found));
  }
  assert.match(await ok(2, 'members'), /^NAME +ROLE +VERDICT/);
});

test('a voter that dies gives its place to the learner, and comes back as one', async () => {
  const before = await members(1);
  const dead = aFollower(before, [1]);
  const learner = before.find(({ role }) => role === 'learner')?.name ?? '';
  await lab.kontiki('dev', 'kill', String(dead));
  const after = await membersWhen(`${learner} in the place of peer-${dead}`, (by) => by[`peer-${dead}`]?.role === 'learner');
  assert.ok(votersOf(after).includes(learner));
  assert.is(votersOf(after).length, 3);
  await lab.kontiki('dev', 'start', String(dead));
  const back = await membersWhen('the dead one alive', (by) => by[`peer-${dead}`]?.verdict === 'alive');
  assert.is(back.find(({ name }) => name === `peer-${dead}`)?.incarnation, 2);
  assert.equal(votersOf(back), votersOf(after));
});

test('demote and promote move the vote, also that of the leader', async () => {
  const before = await members(1);
  const leader = leaderName(before) ?? '';
  const asked = Number(before.find(({ role }) => role === 'learner')?.name.replace('peer-', ''));
  assert.match(await ok(asked, 'member', 'demote', leader), /no longer votes/);
  const demoted = await membersWhen(`${leader} a learner`, (by) => by[leader]?.role === 'learner', asked);
  assert.is(demoted.find(({ name }) => name === leader)?.wanted, 'learner');
  assert.is(votersOf(demoted).length, 3, 'the learner took its place first');
  assert.match(await ok(asked, 'member', 'promote', leader), /votes; 4 voters survive no more failures than 3/);
  const promoted = await members(asked);
  assert.is(votersOf(promoted).length, 4);
  assert.is(promoted.find(({ name }) => name === leader)?.wanted, 'voter');
  assert.match(await ok(asked, 'member', 'auto', leader), /chosen by the leader again/);
  assert.is((await members(asked)).find(({ name }) => name === leader)?.wanted, 'auto');
});

test('a machine is removed: its Node goes, it ends and says why, and does not start again', async () => {
  const found = await members(1);
  const gone = aFollower(found, [1]);
  const served = gone === 2 ? 3 : 2;
  assert.match(await refusal(gone, 'member', 'remove', `peer-${gone}`), /cannot take itself out/);
  const before = await lab.eventually('four nodes', async () => {
    const names = await nodeNames();
    return names.length === 4 ? names : undefined;
  });
  assert.match(await ok(served, 'member', 'remove', `peer-${gone}`), /no longer a member/);
  assert.equal(
    await nodeNames(),
    before.filter((name) => name !== `node/peer-${gone}`),
  );
  assert.not.ok((await members(served)).some(({ name }) => name === `peer-${gone}`));
  await lab.eventually('the end of its daemon', async () =>
    (await lab.status()).some(({ name, alive }) => name === `peer-${gone}` && !alive) ? true : undefined,
  );
  const status = JSON.parse(await ok(gone, 'status')) as { removed: boolean; message: string };
  assert.is(status.removed, true);
  assert.match(status.message, /kontiki reset --yes.*kontiki member add/);
  assert.match(await refusal(gone, 'up'), /was removed from its cluster.*kontiki reset --yes/);

  // After what it was told to do, it is a machine like any other.
  await ok(gone, 'reset', '--yes');
  const [, , , join = '', , token = ''] = (await ok(served, 'member', 'add')).trim().split(' ');
  await lab.kontiki('dev', 'start', String(gone), '--join', join, '--token', token);
  await lab.eventually('its Node', async () => ((await nodeNames()).length === 4 ? true : undefined));
});

test('a machine that lost its data is refused under its name, until the old one is removed; the old identity is worth nothing', async () => {
  const found = await membersWhen('four alive', (by) => Object.values(by).filter((one) => one.verdict === 'alive').length === 4);
  const lost = aFollower(found, [1]);
  const name = `peer-${lost}`;
  const old = found.find((member) => member.name === name)?.id;
  const data = lab.state.peers[lost - 1]?.dataDir ?? '';
  const kept = `${lab.dir}/kept`;
  await lab.kontiki('dev', 'kill', String(lost));
  spawnSync('mkdir', ['-p', kept]);
  for (const part of ['identity.json', 'members.json', 'raft', 'store']) spawnSync('cp', ['-a', `${data}/${part}`, kept]);
  await ok(lost, 'reset', '--yes');

  const [, , , join = '', , token = ''] = (await ok(1, 'member', 'add')).trim().split(' ');
  const start = () => lab.kontiki('dev', 'start', String(lost), '--join', join, '--token', token);
  const refused = await start().then(
    () => '',
    (error: Error) => error.message,
  );
  assert.match(refused, new RegExp(`machine named ${name} is already a member.*kontiki member remove ${name}, then join again`));
  await ok(1, 'member', 'remove', name);
  await start();
  const joined = await membersWhen(`${name} with another identity`, (by) => (by[name]?.incarnation ?? 0) > 0);
  const fresh = joined.find((member) => member.name === name)?.id;
  assert.is.not(fresh, old);

  // The old disk is put back: its log would let it vote, its key lets nobody listen.
  const terms = async () => (JSON.parse(await ok(1, 'status')) as { consensus: { term: number } }).consensus.term;
  const term = await terms();
  await lab.kontiki('dev', 'stop', String(lost));
  spawnSync('mv', [data, `${lab.dir}/fresh`]);
  spawnSync('mv', [kept, data]);
  await lab.kontiki('dev', 'start', String(lost)).catch((error: Error) => assert.match(error.message, /ended|was removed/));
  await lab.eventually('the end of the old identity', async () => {
    const outcome = await kontikiOn(lost, 'status');
    return /"removed": true/.test(outcome.stdout) ? true : undefined;
  });
  assert.is(await terms(), term, 'nobody voted in a new term');
  assert.not.ok((await members(1)).some(({ id }) => id === old));
  await ok(lost, 'reset', '--yes');
  spawnSync('mv', [`${lab.dir}/fresh`, data]);
  await lab.kontiki('dev', 'start', String(lost));
  await membersWhen('all alive', (by) => Object.values(by).every(({ verdict }) => verdict === 'alive'));
});

test('tokens are listed and revoked, and a revoked one is worth nothing', async () => {
  const token = (await ok(2, 'token', 'create')).trim();
  const id = token.split('.')[2] ?? '';
  await lab.eventually('the token on another peer', async () => ((await ok(3, 'token', 'list')).includes(id) ? true : undefined));
  assert.match(await ok(3, 'token', 'revoke', id), /is revoked/);
  assert.not.match(await ok(3, 'token', 'list'), new RegExp(id));
  assert.match(await refusal(2, 'token', 'revoke', id), /there is no join token/);
});

test('all addresses change while the cluster is down, and one of them is enough to find the others', async () => {
  const peers = [1, 2, 3, 4];
  const voters = votersOf(await members(1));
  const marker = (await ok(1, 'token', 'create')).trim().split('.')[2] ?? '';
  await Promise.all(peers.map((peer) => lab.kontiki('dev', 'stop', String(peer))));
  // In a circle: the old address of each is now that of another, which must not be taken for it.
  for (const peer of peers) await lab.kontiki('dev', 'move', String(peer), `10.77.0.${peer === 4 ? 101 : peer + 1}`);
  const join = `10.77.0.2:${peerPort}`;
  await Promise.all(peers.map((peer) => lab.kontiki('dev', 'start', String(peer), '--join', join)));
  const moved = await membersWhen(
    'every new address in the records',
    (by) =>
      Object.values(by).every(({ verdict }) => verdict === 'alive') &&
      by['peer-1']?.addresses[0] === `/ip4/10.77.0.2/tcp/${peerPort}` &&
      by['peer-4']?.addresses[0] === `/ip4/10.77.0.101/tcp/${peerPort}`,
  );
  assert.equal(votersOf(moved), voters);
  assert.match(await ok(1, 'token', 'list'), new RegExp(marker), 'what was written before is there');
  assert.match(await ok(3, 'token', 'create'), /^kontiki\./, 'and writing goes on');
});

test('what would stop every write is refused with its arithmetic, and what is left without a quorum says so', async () => {
  // Down to three machines that vote, then one of them dies.
  const found = await members(1);
  const [spare] = [2, 3, 4].filter((peer) => found.find(({ name }) => name === `peer-${peer}`)?.role !== 'leader');
  await ok(1, 'member', 'remove', `peer-${spare}`);
  const three = await membersWhen('three voters', (by) => Object.values(by).filter(votes).length === 3);
  const [second, third] = [2, 3, 4].filter((peer) => peer !== spare) as [number, number];
  assert.match(
    await refusal(1, 'member', 'remove', `peer-${third}`),
    /leaves 2 voters of which 2 can be reached; a majority of 2 is needed.*add --force/,
  );
  assert.is(votersOf(three).length, 3);
  await lab.kontiki('dev', 'kill', String(third));
  await membersWhen('its death', (by) => by[`peer-${third}`]?.verdict === 'dead');
  assert.match(
    await refusal(1, 'member', 'remove', `peer-${second}`),
    new RegExp(
      `removing peer-${second} leaves 2 voters of which 1 can be reached; a majority of 2 is needed: every write would stop`,
    ),
  );
  assert.match(await ok(1, 'member', 'remove', `peer-${third}`), /no longer a member/);
  assert.equal(votersOf(await members(1)), ['peer-1', `peer-${second}`].sort());
});

test('dev down leaves nothing behind', async () => {
  await lab.down();
  assert.equal(remains(identity), []);
});

test.run();
