/** What this machine refuses: pods that must be elsewhere, and ports that another pod holds. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { admit } from '../../src/agent/pods/admission.ts';
import { HostPorts, hostPortsOf } from '../../src/agent/pods/host-ports.ts';
import { Ledger } from '../../src/agent/pods/ledger.ts';
import type { HostPortForward } from '../../src/agent/types.ts';
import type { Pod } from '../../src/machinery/types.ts';

const node = { metadata: { name: 'here', labels: { zone: 'a', size: '5' } } };
const podOf = (uid: string, spec: object) =>
  ({ metadata: { name: uid, uid }, spec: { containers: [{ name: 'c' }], ...spec } }) as unknown as Pod;
const portsOf = (uid: string, ...ports: object[]) => podOf(uid, { containers: [{ name: 'c', ports }] });

function machine(onSet: (forwards: readonly HostPortForward[]) => void = () => {}) {
  const ledger = new Ledger({ cpuMilli: 1000, memoryBytes: 100, ephemeralStorageBytes: 100, pods: 10 });
  const hostPorts = new HostPorts({ setHostPorts: async (forwards) => onSet(forwards) });
  return { hostPorts, take: (pod: Pod) => admit(pod, node, ledger, hostPorts) };
}

test('required node affinity counts here too, not only in the scheduler', () => {
  const { take } = machine();
  const wants = (...terms: object[]) =>
    take(
      podOf('p', {
        affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } },
      }),
    );
  const zone = (operator: string, ...values: string[]) => ({ matchExpressions: [{ key: 'zone', operator, values }] });
  assert.equal(wants(zone('In', 'b')), {
    reason: 'NodeAffinity',
    message: 'Pod was rejected: Predicate NodeAffinity failed',
  });
  assert.is(wants(zone('NotIn', 'a'))?.reason, 'NodeAffinity');
  assert.is(wants({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['there'] }] })?.reason, 'NodeAffinity');
  assert.is(wants(zone('In', 'b'), zone('In', 'a')), undefined, 'one term is enough');
  assert.is(wants({ matchExpressions: [{ key: 'size', operator: 'Gt', values: ['4'] }] }), undefined);
});

test('a port of the machine is held by one pod at a time', async () => {
  const { take, hostPorts } = machine();
  const port = { containerPort: 80, hostPort: 8080 };
  assert.is(take(portsOf('a', port)), undefined);
  assert.is(take(portsOf('a', port)), undefined, 'its own does not stand in its way');
  assert.equal(take(portsOf('b', port)), {
    reason: 'HostPortConflict',
    message: 'Pod was rejected: Pod cannot be started due to host port conflict',
  });
  assert.is(take(portsOf('b', { ...port, hostIP: '10.0.0.1' }))?.reason, 'HostPortConflict', 'all addresses are one of them');
  assert.is(take(portsOf('udp', { ...port, protocol: 'UDP' })), undefined);
  assert.is(take(portsOf('one', { ...port, hostPort: 9, hostIP: '10.0.0.1' })), undefined);
  assert.is(take(portsOf('two', { ...port, hostPort: 9, hostIP: '10.0.0.2' })), undefined);
  const far = { ...port, hostPort: 10, hostIP: 'fd00::1' };
  assert.match(take(portsOf('six', far))?.message ?? '', 'spec.containers[0].ports: hostIP fd00::1 is not supported');
  assert.is(take(portsOf('any', { ...far, hostIP: '::' })), undefined);
  await hostPorts.release('a');
  assert.is(take(portsOf('b', port)), undefined);
});

test('ports lead to a pod from when it has its address until it is gone', async () => {
  let seen: readonly HostPortForward[] | undefined;
  const { take, hostPorts } = machine((forwards) => {
    seen = forwards;
  });
  const pod = portsOf('a', { containerPort: 80, hostPort: 8080 });
  hostPorts.adopt(portsOf('old', { containerPort: 1, hostPort: 2, hostIP: '0.0.0.0' }), '10.1.0.2');
  take(pod);
  await hostPorts.lead('a', '10.1.0.3');
  assert.is(seen, undefined, 'not before the pod network stands');
  await hostPorts.start();
  const old = { protocol: 'tcp', hostPort: 2, port: 1, podIp: '10.1.0.2' };
  assert.equal(seen, [old, { protocol: 'tcp', hostPort: 8080, port: 80, podIp: '10.1.0.3' }]);
  await hostPorts.release('a');
  assert.equal(seen, [old]);
  assert.equal(hostPortsOf(podOf('none', {})), []);
});

test.run();
