/**
 * Runs inside the emulated machine: real containers where only version 2 of cgroups is, and only what differs there. One line for
 * each check, `ok   name` or `FAIL name` with the reason below; main.ts counts them.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { readSignals } from '../../src/agent/eviction/signals.ts';
import { cpuWeight, createCgroups } from '../../src/agent/host/cgroups.ts';
import type { Summary } from '../../src/agent/stats/types.ts';
import { errorMessage } from '../../src/lib/errors.ts';
import { pods } from '../../src/machinery/resources.ts';
import type { Container, Pod } from '../../src/machinery/types.ts';
import { getText, Session } from '../agent/support/agent-client.ts';
import { image, Lab, until } from '../agent/support/lab.ts';

const lab = await Lab.open();
const root = join('/sys/fs/cgroup', lab.options.cgroupRoot);
const mi = 2 ** 20;

const shell = (script: string, resources: Container['resources'] = {}): Container => ({
  name: 'main',
  image,
  command: ['sh', '-c', script],
  resources,
});
const amounts = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { cpu, memory } });
const mainOf = (pod: Pod) => pod.status!.containerStatuses![0]!;
const idOf = (pod: Pod) => mainOf(pod).containerID!.slice('kontiki://'.length);
const folderOf = (pod: Pod) => join(root, 'pods', pod.status!.qosClass!.toLowerCase(), `pod${pod.metadata.uid}`);
const text = (...path: string[]) => readFileSync(join(...path), 'utf8').trim();
const podNamed = (name: string) => lab.api.get(pods, name, { namespace: 'default' });
const resize = (name: string, resources: object) =>
  lab.api.patch(pods, name, 'strategic', { spec: { containers: [{ name: 'main', resources }] } }, { namespace: 'default' });

async function exec(pod: string, script: string): Promise<string> {
  const query = ['sh', '-c', script].map((part) => `command=${encodeURIComponent(part)}`).join('&');
  const session = await Session.open(lab.options.agentSocket, `/exec/default/${pod}/main?${query}&stdout=true&stderr=true`);
  await session.ended;
  return session.stdout;
}

/** Until the pod's container was killed for memory at least once. */
async function killedForMemory(name: string): Promise<void> {
  const pod = await lab.podUntil(name, 'was killed', ({ containerStatuses }) => {
    const [status] = containerStatuses ?? [];
    return status?.state?.terminated ?? status?.lastState?.terminated;
  });
  const terminated = mainOf(pod).state?.terminated ?? mainOf(pod).lastState?.terminated;
  assert.equal([terminated?.reason, terminated?.exitCode], ['OOMKilled', 137]);
}

const checks: Record<string, () => Promise<void>> = {
  'the tree is of version 2, and hands its controllers down to pods': async () => {
    assert.is(lab.cgroups.version, 2);
    assert.not(readFileSync('/proc/self/mountinfo', 'utf8').includes(' - cgroup '));
    for (const folder of ['.', 'pods', 'pods/guaranteed', 'pods/burstable', 'pods/besteffort']) {
      const given = text(root, folder, 'cgroup.subtree_control').split(' ');
      for (const controller of ['cpu', 'memory', 'pids']) assert.ok(given.includes(controller), `${folder}: ${given}`);
    }
    assert.is(text(root, 'monitor/cgroup.subtree_control'), '', 'it holds processes');
  },

  'pods are in the cgroup of their class with their weights, quotas and limits': async () => {
    await Promise.all([
      lab.createPod('guaranteed', { containers: [shell('exec sleep 1000', amounts('200m', '64Mi'))] }),
      lab.createPod('burstable', { containers: [shell('exec sleep 1000', { requests: { cpu: '500m' } })] }),
      lab.createPod('besteffort', { containers: [shell('exec sleep 1000')] }),
    ]);
    const names = ['guaranteed', 'burstable', 'besteffort'];
    const [guaranteed, burstable, bestEffort] = (await Promise.all(names.map((name) => lab.running(name)))) as [Pod, Pod, Pod];
    assert.equal(
      [guaranteed, burstable, bestEffort].map(({ status }) => status?.qosClass),
      ['Guaranteed', 'Burstable', 'BestEffort'],
    );
    for (const folder of [folderOf(guaranteed), join(folderOf(guaranteed), idOf(guaranteed))]) {
      assert.is(text(folder, 'memory.max'), String(64 * mi));
      assert.is(text(folder, 'cpu.max'), '20000 100000');
      assert.is(text(folder, 'cpu.weight'), String(cpuWeight(204)));
    }
    assert.is(text(folderOf(guaranteed), idOf(guaranteed), 'memory.swap.max'), '0', 'no swap beside the limit');
    assert.is(text(folderOf(guaranteed), idOf(guaranteed), 'cgroup.procs').split('\n').length, 1);
    assert.is(text(folderOf(guaranteed), 'pids.max'), '32768');
    assert.is(text(folderOf(burstable), 'cpu.weight'), String(cpuWeight(512)));
    assert.equal([text(folderOf(burstable), 'memory.max'), text(folderOf(burstable), 'cpu.max')], ['max', 'max 100000']);
    assert.is(text(folderOf(bestEffort), 'cpu.weight'), '1');
    assert.is(text(root, 'pods/burstable/cpu.weight'), String(cpuWeight(512)), 'the class weighs as much as its pods');
  },

  'a new agent finds the pods and their weights': async () => {
    const again = await createCgroups({ root: lab.options.cgroupRoot });
    assert.is((await again.list()).length, 3);
    assert.is(text(root, 'pods/burstable/cpu.weight'), String(cpuWeight(512)));
  },

  'a command runs in the container, sees its limits, is held to its quota, and can neither change limits nor open devices':
    async () => {
      const terminal = 'busybox mknod /tmp/terminal c 4 64 && (: < /tmp/terminal) 2>/dev/null || echo no terminal';
      const nothing = 'busybox mknod /tmp/nothing c 1 3 && (: < /tmp/nothing) && echo nothing opened';
      const limit = 'cat /sys/fs/cgroup/memory.max; (echo 1 > /sys/fs/cgroup/memory.max) 2>/dev/null || echo no change';
      const busy = 'until grep -q "nr_throttled [1-9]" /sys/fs/cgroup/cpu.stat; do :; done; echo held back';
      const said = await exec('guaranteed', `${limit}; ${terminal}; ${nothing}; ${busy}`);
      assert.is(said, `${64 * mi}\nno change\nno terminal\nnothing opened\nheld back\n`);
    },

  'usage and what is left of memory are told': async () => {
    const pod = await podNamed('guaranteed');
    const before = (await lab.cgroups.containerMemory(pod.metadata.uid!, idOf(pod)))!;
    await exec('guaranteed', 'dd if=/dev/zero of=/dev/shm/held bs=1048576 count=24 2>/dev/null');
    const held = (await lab.cgroups.containerMemory(pod.metadata.uid!, idOf(pod)))! - before;
    assert.ok(held >= 22 * mi && held < 40 * mi, `what evictions go by grew by ${held}`);
    assert.is(await lab.cgroups.podProcesses(pod.metadata.uid!), 1);
    const summary = await until('the summary has what was written', async () => {
      const answer = JSON.parse((await getText(lab.options.agentSocket, '/stats/summary')).text) as Summary;
      const found = answer.pods.find(({ podRef }) => podRef.name === 'guaranteed');
      return (found?.containers[0]?.memory?.workingSetBytes ?? 0) >= 22 * mi ? answer : undefined;
    });
    const stats = summary.pods.find(({ podRef }) => podRef.name === 'guaranteed')!;
    const container = stats.containers[0]!;
    assert.ok(container.cpu!.usageCoreNanoSeconds > 0);
    assert.is(container.memory!.availableBytes, 64 * mi - container.memory!.workingSetBytes);
    assert.ok(stats.memory!.usageBytes >= container.memory!.usageBytes && stats.process_stats!.process_count >= 1);
    assert.ok(summary.node.cpu.usageCoreNanoSeconds > 0 && summary.node.memory.workingSetBytes > 0);
    assert.equal(
      summary.node.systemContainers.map(({ name }) => name),
      ['pods', 'runtime'],
    );
    const left = (await readSignals(lab.dataDir))['memory.available']!;
    assert.ok(left.available > 0 && left.available < left.capacity);
  },

  'a memory limit below what is in use is refused, not answered by a kill': async () => {
    const before = await podNamed('guaranteed');
    await resize('guaranteed', amounts('200m', '16Mi'));
    const condition = ({ conditions }: NonNullable<Pod['status']>) =>
      conditions?.find(({ type, reason }) => type === 'PodResizeInProgress' && reason === 'Error');
    const pod = await lab.podUntil('guaranteed', 'is refused', condition);
    assert.match(
      condition(pod.status!)!.message!,
      /^cannot decrease memory limits: \[attempting to set pod memory limit \(16777216\) below current usage \(\d+\), attempting to set container "main" memory limit \(16777216\) below current usage \(\d+\)\]$/,
    );
    assert.is(text(folderOf(pod), idOf(pod), 'memory.max'), String(64 * mi));
    assert.equal([mainOf(pod).restartCount, idOf(pod)], [0, idOf(before)]);
  },

  'a container gets more and less while it runs': async () => {
    const before = await podNamed('guaranteed');
    for (const [cpu, memory, quota] of [
      ['500m', 128, '50000'],
      ['300m', 96, '30000'],
    ] as const) {
      await resize('guaranteed', amounts(cpu, `${memory}Mi`));
      const pod = await lab.podUntil('guaranteed', `has ${cpu}`, ({ containerStatuses, conditions }) => {
        const done = containerStatuses?.[0]?.resources?.limits?.cpu === cpu;
        return done && !conditions?.some(({ type }) => type.startsWith('PodResize'));
      });
      assert.equal([mainOf(pod).restartCount, idOf(pod)], [0, idOf(before)]);
      for (const folder of [folderOf(pod), join(folderOf(pod), idOf(pod))]) {
        assert.is(text(folder, 'cpu.max'), `${quota} 100000`);
        assert.is(text(folder, 'memory.max'), String(memory * mi));
        assert.is(text(folder, 'cpu.weight'), String(cpuWeight((Number.parseInt(cpu, 10) * 1024) / 1000)));
      }
    }
  },

  'a container ends as a whole, OOMKilled with 137, when one of its processes takes too much memory': async () => {
    const script = "sh -c 'x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done'; exec sleep 1000";
    const containers = [shell(script, { limits: { memory: '16Mi' } })];
    await lab.createPod('family', { restartPolicy: 'Never', containers });
    await killedForMemory('family');
  },

  'nothing of a pod is left when it has gone': async () => {
    const all = (await lab.api.list(pods)).items;
    assert.is(all.length, 4);
    for (const { metadata } of all) await lab.deletePod(metadata.name);
    await until('their cgroups have gone', () => all.every((pod) => !existsSync(folderOf(pod))));
    const left = (name: string) =>
      readdirSync(join(root, 'pods', name), { withFileTypes: true }).filter((one) => one.isDirectory());
    assert.equal(['guaranteed', 'burstable', 'besteffort'].flatMap(left), []);
    assert.is(text(root, 'pods/burstable/cpu.weight'), '1');
  },

  'nothing of the agent is left when it has gone': async () => {
    await lab.close();
    assert.not(existsSync(root));
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  const startedMs = performance.now();
  try {
    await check();
    console.log(`ok   ${name} (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    const details = (error as { details?: string }).details ?? '';
    console.log(`FAIL ${name}\n     ${errorMessage(error)}\n${details}`);
  }
}
process.exit(failed === 0 ? 0 : 1);
