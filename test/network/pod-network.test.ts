/** Real namespaces as machines, real pings between pods on them. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AgentError } from '../../src/agent/errors.ts';
import { bridgeName, deviceOf } from '../../src/agent/network/pod-network.ts';
import { run, type TestMachine, TestMachines } from './test-machines.ts';

let machines: TestMachines;
let [one, two, three]: TestMachine[] = [];

test.before.each(async () => {
  machines = new TestMachines();
  [one, two, three] = await machines.make(3);
  await Promise.all([one!, two!, three!].map((machine) => machine.network.start(machine.podCidr, machine.nodeIp)));
});
test.after.each(async () => {
  await machines.remove();
  assert.not(readFileSync('/proc/self/mountinfo', 'utf8').includes(machines.folder));
});

const peersOf = (...known: TestMachine[]) => known.map(({ name, nodeIp, podCidr }) => ({ nodeName: name, nodeIp, podCidr }));
const meet = (...known: TestMachine[]) => Promise.all(known.map(({ network }) => network.setPeers(peersOf(...known))));

/** Whether one packet of some within two seconds comes back. */
function reaches(netnsFile: string, ip: string): boolean {
  try {
    run('nsenter', `--net=${netnsFile}`, 'busybox', 'ping', '-c', '1', '-w', '2', '-W', '2', ip);
    return true;
  } catch {
    return false;
  }
}

const inPod = (netnsFile: string, ...command: string[]) => run('nsenter', `--net=${netnsFile}`, ...command);
const links = (machine: TestMachine) => machine.run('ip', '-o', 'link', 'show');

test('pods reach each other on one machine and across machines, with their own addresses', async () => {
  await meet(one!, two!, three!);
  const [a, b, c] = [machines.pod('a'), machines.pod('b'), machines.pod('c')];
  const [first, second, far] = await Promise.all([
    one!.network.attach('pod-a', a),
    one!.network.attach('pod-b', b),
    three!.network.attach('pod-c', c),
  ]);
  assert.equal([first!.ip, second!.ip].toSorted(), ['10.98.1.2', '10.98.1.3']);
  assert.is(far!.ip, '10.98.3.2');
  assert.match(inPod(a, 'ip', '-o', 'link', 'show', 'eth0'), `0a:58:0a:62:01:0${first!.ip.at(-1)}`);
  assert.ok(reaches(a, second!.ip), 'same machine');
  assert.ok(reaches(a, far!.ip), 'another machine');
  assert.ok(reaches(c, first!.ip), 'and back');
  assert.ok(reaches(a, '127.0.0.1') && reaches(a, first!.ip), 'itself');
  assert.ok(reaches(two!.netnsFile, far!.ip), 'a machine reaches pods of another');
  assert.ok(reaches(a, two!.nodeIp), 'a pod reaches machines');
  assert.match(three!.run('nft', 'list', 'table', 'ip', 'kontiki'), 'packets 0', 'pods among themselves are not masqueraded');
  assert.not.match(one!.run('nft', 'list', 'table', 'ip', 'kontiki'), 'packets 0 ', 'towards machines they are');
});

test('attach again, also after a restart, changes nothing for the pod', async () => {
  const a = machines.pod('a');
  const { ip } = await one!.network.attach('pod-a', a);
  const before = inPod(a, 'ip', '-o', 'address', 'show', 'eth0');
  assert.is((await one!.network.attach('pod-a', a)).ip, ip);
  one!.restart();
  await one!.network.start(one!.podCidr, one!.nodeIp);
  assert.is((await one!.network.attach('pod-a', a)).ip, ip);
  assert.is(inPod(a, 'ip', '-o', 'address', 'show', 'eth0').replace(/[\d]+sec/g, ''), before.replace(/[\d]+sec/g, ''));
  const other = await one!.network.attach('pod-b', machines.pod('b'));
  assert.is.not(other.ip, ip, 'an address is not given twice');
  assert.ok(reaches(a, other.ip));
});

test('a half-made or broken connection is made whole, with the same address', async () => {
  const a = machines.pod('a');
  const { ip } = await one!.network.attach('pod-a', a);
  for (const damage of [
    ['ip', 'link', 'delete', 'eth0'],
    ['ip', 'route', 'delete', 'default'],
    ['ip', 'address', 'flush', 'dev', 'eth0'],
  ]) {
    inPod(a, ...damage);
    assert.is((await one!.network.attach('pod-a', a)).ip, ip);
    assert.ok(reaches(a, '10.98.1.1'), damage.join(' '));
  }
  one!.run('ip', 'link', 'add', deviceOf('pod-b'), 'type', 'veth', 'peer', 'name', 'stray');
  const { ip: second } = await one!.network.attach('pod-b', machines.pod('b'));
  assert.ok(reaches(a, second));
  const renewed = machines.pod('renewed');
  assert.is((await one!.network.attach('pod-a', renewed)).ip, ip);
  assert.ok(reaches(renewed, second), 'a new sandbox of the same pod');
});

test('peers come, move and go; a restart finds what is there', async () => {
  await meet(one!, two!);
  const [a, b] = [machines.pod('a'), machines.pod('b')];
  await one!.network.attach('pod-a', a);
  const { ip } = await two!.network.attach('pod-b', b);
  assert.ok(reaches(a, ip));

  one!.restart();
  await one!.network.start(one!.podCidr, one!.nodeIp);
  assert.ok(reaches(a, ip), 'before the peers are known again');
  // What nobody knows is in the way: a peer that went while the agent was away, and a half of one.
  one!.run('ip', 'route', 'replace', '10.98.9.0/24', 'via', '10.98.9.0', 'dev', 'kontiki.vx', 'onlink');
  await one!.network.setPeers(peersOf(one!, two!, three!));
  assert.ok(reaches(a, ip));
  const routes = one!.run('ip', 'route', 'show', 'dev', 'kontiki.vx');
  assert.match(routes, '10.98.2.0/24');
  assert.match(routes, '10.98.3.0/24');
  assert.not.match(routes, '10.98.9.0/24');

  const [, moved] = peersOf(one!, two!);
  await one!.network.setPeers([{ ...moved!, nodeIp: '10.99.0.77' }]);
  assert.not(reaches(a, ip));
  await one!.network.setPeers([moved!]);
  assert.ok(reaches(a, ip));
  await one!.network.setPeers([]);
  const left = ['route', 'neighbour'].map((what) => one!.run('ip', '-4', what, 'show', 'dev', 'kontiki.vx').trim());
  assert.equal(left, ['', '']);
  assert.not.match(one!.run('bridge', 'fdb', 'show', 'dev', 'kontiki.vx'), 'dst 10.99');
});

test('detach and sweep free addresses and devices of pods that are gone', async () => {
  const files = ['a', 'b', 'c'].map((name) => machines.pod(name));
  for (const [index, file] of files.entries()) await one!.network.attach(`pod-${index}`, file);
  await one!.network.detach('pod-0');
  await one!.network.detach('pod-0');
  assert.not.match(links(one!), deviceOf('pod-0'));
  one!.run('ip', 'link', 'add', 'ktkstray', 'master', bridgeName, 'type', 'veth', 'peer', 'name', 'other');
  one!.restart();
  await one!.network.start(one!.podCidr, one!.nodeIp);
  await one!.network.sweep(new Set(['pod-1']));
  assert.match(links(one!), deviceOf('pod-1'));
  assert.not.match(links(one!), deviceOf('pod-2'));
  assert.not.match(links(one!), 'ktkstray');
  assert.is((await one!.network.attach('pod-9', machines.pod('d'))).ip, '10.98.1.5', 'freed addresses rest');
});

test('twenty pods at once get twenty addresses', async () => {
  const files = Array.from({ length: 20 }, (_, index) => machines.pod(`p${index}`));
  const setups = await Promise.all(files.map((file, index) => one!.network.attach(`pod-${index}`, file)));
  assert.is(new Set(setups.map(({ ip }) => ip)).size, 20);
  assert.ok(reaches(files[0]!, setups[19]!.ip));
});

test('a full range refuses the next pod and says so', async () => {
  two!.restart();
  await two!.network.start('10.98.200.0/30', two!.nodeIp);
  await two!.network.attach('pod-a', machines.pod('a'));
  try {
    await two!.network.attach('pod-b', machines.pod('b'));
    assert.unreachable();
  } catch (error) {
    assert.instance(error, AgentError);
    assert.match((error as AgentError).message, 'all addresses of 10.98.200.0/30 are taken by 1 pods');
  }
  assert.not.match(two!.run('ip', 'address', 'show', bridgeName), '10.98.2.1/24', 'the former range is gone');
});

test('stop leaves the machine as it was, also after a restart', async () => {
  await meet(one!, two!);
  await one!.network.attach('pod-a', machines.pod('a'));
  one!.restart();
  for (const _ of [1, 2]) await one!.network.stop();
  assert.equal(
    links(one!)
      .trim()
      .split('\n')
      .map((line) => line.split(': ')[1]?.split('@')[0]),
    ['lo', 'eth0'],
  );
  assert.is(one!.run('nft', 'list', 'tables').trim(), '');
  assert.is(one!.run('cat', '/proc/sys/net/ipv4/ip_forward').trim(), '0');
  assert.match(one!.run('ip', 'route', 'show').trim(), /^10\.99\.0\.0\/24 dev eth0 [^\n]*$/);
  await one!.network.start(one!.podCidr, one!.nodeIp);
  assert.is((await one!.network.attach('pod-b', machines.pod('b'))).ip, '10.98.1.2');
});

test.run();
