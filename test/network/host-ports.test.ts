/** Ports of a machine that lead into pods, in the kernel. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run, type TestMachine, TestMachines } from './test-machines.ts';

let machines: TestMachines;
let [one, two]: TestMachine[] = [];
test.before.each(async () => {
  machines = new TestMachines();
  [one, two] = await machines.make(2);
  const all = [one!, two!];
  await Promise.all(all.map((machine) => machine.network.start(machine.podCidr, machine.nodeIp)));
  const peers = all.map(({ name, nodeIp, podCidr }) => ({ nodeName: name, nodeIp, podCidr }));
  await Promise.all(all.map(({ network }) => network.setPeers(peers)));
});
test.after.each(() => machines.remove());

/** What a server in `server` answers to somebody in `client`. */
function ask(server: string, client: string, host: string, port: number): string {
  const script = `
    nsenter --net=${server} busybox timeout 3 busybox nc -l -p 80 -e echo hello & listener=$!
    for i in 1 2 3 4 5 6 7 8 9 10; do
      nsenter --net=${server} busybox netstat -ltn | grep -q ':80 ' && break; busybox usleep 20000
    done
    nsenter --net=${client} busybox timeout 1 busybox nc ${host} ${port} < /dev/null; kill $listener 2>/dev/null; wait $listener; true`;
  return run('sh', '-c', `{ ${script}; } 2>/dev/null`).trim();
}

test('others, neighbours, the machine and the pod itself reach it; when it is gone, nobody', async () => {
  const [web, near, far] = [machines.pod('web'), machines.pod('near'), machines.pod('far')];
  const { ip } = await one!.network.attach('web', web);
  await one!.network.attach('near', near);
  await two!.network.attach('far', far);
  const forward = { protocol: 'tcp', hostPort: 8080, podIp: ip, port: 80 } as const;
  await one!.network.setHostPorts([forward]);
  await one!.network.setHostPorts([forward]);
  for (const client of [two!.netnsFile, far, near, one!.netnsFile, web]) {
    assert.is(ask(web, client, one!.nodeIp, 8080), 'hello', client);
  }
  assert.is(ask(web, two!.netnsFile, one!.nodeIp, 8081), '', 'other ports lead nowhere');
  await one!.network.setHostPorts([{ ...forward, hostIp: '192.0.2.1' }]);
  assert.is(ask(web, two!.netnsFile, one!.nodeIp, 8080), '', 'held at another address only');
  await one!.network.setHostPorts([{ ...forward, hostIp: one!.nodeIp }]);
  assert.is(ask(web, two!.netnsFile, one!.nodeIp, 8080), 'hello');
  await one!.network.setHostPorts([]);
  assert.is(ask(web, two!.netnsFile, one!.nodeIp, 8080), '');
});

test.run();
