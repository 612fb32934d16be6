/** Pods with user ids of their own (`hostUsers: false`): what root is there and on the machine, volumes, restarts of the agent. */
import { chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { whyNoUserNamespaces } from '../../src/agent/host/user-namespaces.ts';
import { podPaths, readRecord } from '../../src/agent/pods/record.ts';
import { UserNamespaceCheck } from '../../src/agent/pods/user-namespace.ts';
import { parseSubordinateIds, UserRanges } from '../../src/agent/pods/user-ranges.ts';
import type { Executor } from '../../src/agent/types.ts';
import { configMaps, secrets } from '../../src/machinery/resources.ts';
import type { Pod } from '../../src/machinery/types.ts';
import { image, Lab, mountsOf, until } from './support/lab.ts';

let lab: Lab;
test.before(async () => {
  lab = await Lab.open();
});
test.after(() => lab.close());

const run = (pod: string, script: string, container?: string) => lab.shell(pod, script, container);

async function firstIdOf(pod: Pod): Promise<number> {
  const record = await readRecord(podPaths(lab.dataDir, pod.metadata.uid!).state);
  return record!.firstUserId!;
}

test('root of such a pod is nobody on the machine, and owns its files and volumes all the same', async () => {
  const host = mkdtempSync(join(tmpdir(), 'kontiki-own-users-'));
  writeFileSync(join(host, 'page'), 'of the machine');
  chownSync(join(host, 'page'), 7, 8);
  const namespace = 'default';
  await lab.api.create(configMaps, { metadata: { name: 'own', namespace }, data: { a: 'config' } });
  await lab.api.create(secrets, { metadata: { name: 'own', namespace }, data: { b: Buffer.from('hush').toString('base64') } });
  const volumeMounts = ['disk', 'memory', 'config', 'secret', 'all', 'host'].map((name) => ({ name, mountPath: `/${name}` }));
  try {
    await lab.createPod(
      'own',
      {
        hostUsers: false,
        securityContext: { fsGroup: 9 },
        volumes: [
          { name: 'disk', emptyDir: {} },
          { name: 'memory', emptyDir: { medium: 'Memory' } },
          { name: 'config', configMap: { name: 'own' } },
          { name: 'secret', secret: { secretName: 'own', defaultMode: 0o400 } },
          {
            name: 'all',
            projected: { sources: [{ downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } }] },
          },
          { name: 'host', hostPath: { path: host, type: 'Directory' } },
        ],
        containers: [
          {
            name: 'main',
            image,
            command: ['sleep', '1000'],
            volumeMounts: [...volumeMounts, { name: 'disk', mountPath: '/part', subPath: 'deep/part' }],
          },
          { name: 'web', image, command: ['sleep', '1000'], securityContext: { runAsUser: 101 }, volumeMounts },
        ],
      },
      { labels: { app: 'x' } },
    );
    const pod = await lab.running('own');
    const firstId = await firstIdOf(pod);
    assert.is(await run('own', 'sed "s/ \\+/ /g" /proc/self/uid_map /proc/self/gid_map'), ` 0 ${firstId} 65536\n`.repeat(2));
    const { pid } = (await readRecord(podPaths(lab.dataDir, pod.metadata.uid!).state))!.containers.main!.current!;
    assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), new RegExp(`^Uid:\t${firstId}\t${firstId}\t`, 'm'));

    const owners = await run(
      'own',
      'touch /bin/new /disk/mine /memory/mine; stat -c "%u:%g %n" /bin/sleep /bin/new /disk/mine /host/page',
    );
    assert.is(owners, '0:0 /bin/sleep\n0:0 /bin/new\n0:9 /disk/mine\n7:8 /host/page\n');
    assert.is(await run('own', 'cat /config/a /secret/b /all/name /host/page'), 'confighushownof the machine');
    assert.is(await run('own', 'touch /disk/of-web; stat -c %u:%g /disk/of-web; cat /secret/b', 'web'), '101:9\nhush');
    const onDisk = statSync(join(podPaths(lab.dataDir, pod.metadata.uid!).volumes, 'disk', 'of-web'));
    assert.equal([onDisk.uid, onDisk.gid], [101, 9]);
    assert.is(await run('own', 'touch /part/x && stat -c %a:%g /disk/deep'), '2777:9\n');

    await lab.api.patch(configMaps, 'own', 'merge', { data: { a: 'changed' } }, { namespace });
    await until('the new text', async () => (await run('own', 'cat /config/a')) === 'changed');
    // What only root of the machine may do, it may not; what root of a pod may do to the pod's own network, it may.
    assert.match(await run('own', 'echo 1 > /proc/sys/vm/drop_caches'), /Permission denied|Read-only/);
    assert.is(
      await run('own', 'hostname; cat /etc/hostname; echo "# mine" >> /etc/hosts && tail -n 1 /etc/hosts'),
      'own\nown\n# mine\n',
    );
  } finally {
    rmSync(host, { recursive: true });
  }
});

test('two pods have no id in common; a pod keeps its ids when the agent comes back, and gives them back', async () => {
  const containers = [{ name: 'main', image, command: ['sleep', '1000'] }];
  await lab.createPod('first', { hostUsers: false, containers });
  await lab.createPod('second', { hostUsers: false, shareProcessNamespace: true, containers });
  const first = await lab.running('first');
  const ids = [await firstIdOf(first), await firstIdOf(await lab.running('second'))];
  assert.ok(Math.abs(ids[0]! - ids[1]!) >= 65_536);
  assert.match(await run('second', 'cat /proc/1/status'), /Name:\tpause/);
  await lab.stopAgent();
  await lab.startAgent();
  assert.is(await run('first', 'sed "s/ \\+/ /g" /proc/self/uid_map'), ` 0 ${ids[0]} 65536\n`);
  await lab.createPod('third', { hostUsers: false, containers });
  assert.not.ok(ids.includes(await firstIdOf(await lab.running('third'))));
  await lab.deletePod('first');
  await until('the pod has gone', () => readRecord(podPaths(lab.dataDir, first.metadata.uid!).state).then((record) => !record));
  await lab.createPod('fourth', { hostUsers: false, containers });
  assert.is(await firstIdOf(await lab.running('fourth')), ids[0]);
});

test('ids that the machine has given to others are left alone', async () => {
  assert.equal(parseSubordinateIds('web:100000:65536\n# x\nbroken\n1000:70000:1\n'), [
    [100_000, 65_536],
    [70_000, 1],
  ]);
  const ranges = new UserRanges(async () => [[100_000, 65_536]]);
  assert.is(await ranges.take('a'), 196_608);
  assert.is(await ranges.take('a'), 196_608);
  assert.is(await ranges.take('b'), 262_144);
  ranges.release('a');
  assert.is(await ranges.take('c'), 196_608);
  const full = new UserRanges(async () => [[0, 2 ** 31]]);
  assert.match(String(await full.take('a').catch(String)), /could not find an empty slot to allocate a user namespace/);
});

test('a machine that cannot do it says why, and what was tried is taken down', async () => {
  assert.is(await whyNoUserNamespaces(lab.executor, lab.dataDir), undefined);
  const { executor } = lab;
  // The kernel says no as it does where no namespaces are allowed: to a user who may not make any.
  const poor: Executor = {
    run: (...words) => executor.run(...words),
    check: (command, args, options) =>
      command === 'perl'
        ? executor.check('setpriv', ['--bounding-set=-all', '--inh-caps=-all', '--reuid=65534', 'perl', ...args])
        : executor.check(command, args, options),
    detach: (...words) => executor.detach(...words),
    close: () => executor.close(),
  };
  assert.match((await whyNoUserNamespaces(poor, lab.dataDir)) ?? '', /(_map|mount).*(permitted|denied)/);
  const pod = { spec: { hostUsers: false } } as Pod;
  const refusal = await new UserNamespaceCheck(poor, lab.dataDir).refusal(pod);
  assert.is(refusal?.reason, 'UnsupportedOption');
  assert.match(refusal?.message ?? '', /^Pod was rejected: spec.hostUsers=false is not supported on this machine: /);
  assert.is(await new UserNamespaceCheck(poor, lab.dataDir).refusal({ spec: {} } as Pod), undefined);
  assert.is(await new UserNamespaceCheck(executor, lab.dataDir).refusal(pod), undefined);
  assert.equal(
    mountsOf(lab.dataDir).filter((line) => line.includes('user-namespace-')),
    [],
  );
});

test.run();
