/** Environment, volumes and security of real containers. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configMaps, secrets } from '../../src/machinery/resources.ts';
import type { PodSpec } from '../../src/machinery/types.ts';
import { getText } from './support/agent-client.ts';
import { image, Lab, until } from './support/lab.ts';

let lab: Lab;
test.before(async () => {
  lab = await Lab.open();
});
test.after(() => lab.close());

type Container = Partial<PodSpec['containers'][number]>;

/** Runs a script to its end and gives what it wrote. */
async function outputOf(name: string, script: string, container: Container = {}, spec: Partial<PodSpec> = {}): Promise<string> {
  const containers = [{ name: 'main', image, command: ['sh', '-c', script], ...container }];
  await lab.createPod(name, { restartPolicy: 'Never', ...spec, containers }, { labels: { app: 'x', tier: 'y' } });
  await lab.podUntil(name, 'ends', ({ phase }) => phase === 'Succeeded' || phase === 'Failed');
  return (await getText(lab.options.agentSocket, `/logs/default/${name}/main`)).text;
}

const run = (pod: string, script: string) => lab.shell(pod, script);

test('the environment comes from the image, objects, fields and resources, and is expanded', async () => {
  await lab.api.create(configMaps, {
    metadata: { name: 'settings', namespace: 'default' },
    data: { COLOR: 'blue', 'not a name': 'x' },
  });
  await lab.api.create(secrets, {
    metadata: { name: 'keys', namespace: 'default' },
    data: { token: Buffer.from('s3cret').toString('base64') },
  });
  const text = await outputOf('env', 'echo $FROM_IMAGE $P_COLOR $TOKEN $NAME $CPU "$GREETING" "$KEPT"', {
    envFrom: [{ prefix: 'P_', configMapRef: { name: 'settings' } }],
    resources: { limits: { cpu: '1500m' } },
    env: [
      { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'token' } } },
      { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
      { name: 'GREETING', value: 'hi $(NAME)' },
      { name: 'KEPT', value: '$$(NAME) $(UNKNOWN)' },
    ],
  });
  assert.is(text, 'yes blue s3cret env 2 hi env $(NAME) $(UNKNOWN)\n');
});

test('a missing ConfigMap is waited for', async () => {
  await lab.createPod('early', {
    containers: [{ name: 'main', image, command: ['sleep', '1000'], envFrom: [{ configMapRef: { name: 'later' } }] }],
  });
  const waiting = await lab.podUntil(
    'early',
    'waits',
    ({ containerStatuses }) => containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError',
  );
  assert.is(waiting.status?.containerStatuses?.[0]?.state?.waiting?.message, 'configmap "later" not found');
  await lab.api.create(configMaps, { metadata: { name: 'later', namespace: 'default' }, data: { A: '1' } });
  const pod = await lab.running('early');
  assert.is(pod.status?.containerStatuses?.[0]?.restartCount, 0);
});

test('files of ConfigMaps and Secrets follow their objects; secrets are never on the disk', async () => {
  await lab.api.create(configMaps, { metadata: { name: 'pages', namespace: 'default' }, data: { index: 'one', extra: 'x' } });
  await lab.api.create(secrets, {
    metadata: { name: 'cert', namespace: 'default' },
    data: { key: Buffer.from('abc').toString('base64') },
  });
  await lab.createPod(
    'files',
    {
      volumes: [
        { name: 'pages', configMap: { name: 'pages' } },
        { name: 'cert', secret: { secretName: 'cert', defaultMode: 0o400 } },
        {
          name: 'all',
          projected: {
            sources: [
              { configMap: { name: 'pages', items: [{ key: 'index', path: 'deep/page' }] } },
              { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
            ],
          },
        },
      ],
      containers: [
        {
          name: 'main',
          image,
          command: ['sleep', '1000'],
          volumeMounts: [
            { name: 'pages', mountPath: '/pages' },
            { name: 'pages', mountPath: '/single', subPath: 'index' },
            { name: 'cert', mountPath: '/cert' },
            { name: 'all', mountPath: '/all' },
          ],
        },
      ],
    },
    { labels: { app: 'x' } },
  );
  await lab.running('files');
  assert.is(
    await run(
      'files',
      'cat /pages/index /single /cert/key /all/deep/page /all/labels; stat -L -c %a /cert/key; readlink /pages/index',
    ),
    'oneoneabconeapp="x"400\n..data/index\n',
  );
  assert.match(await run('files', 'echo no > /pages/index'), /Read-only file system/);
  assert.match(await run('files', 'grep " /cert " /proc/mounts'), /^tmpfs/);
  await lab.api.patch(configMaps, 'pages', 'merge', { data: { index: 'two', extra: null } }, { namespace: 'default' });
  await until('the new text', async () => (await run('files', 'cat /pages/index; ls /pages')) === 'twoindex\n');
  assert.is(await run('files', 'cat /single'), 'one');
});

test('an emptyDir is shared by the containers of a pod, in memory with a limit if asked for', async () => {
  const volumeMounts = [
    { name: 'disk', mountPath: '/disk' },
    { name: 'memory', mountPath: '/memory' },
  ];
  await lab.createPod('shared', {
    volumes: [
      { name: 'disk', emptyDir: {} },
      { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
    ],
    containers: [
      { name: 'main', image, command: ['sleep', '1000'], volumeMounts },
      { name: 'other', image, command: ['sh', '-c', 'echo from other > /disk/note; exec sleep 1000'], volumeMounts },
    ],
  });
  await lab.running('shared');
  await until('the note', async () => (await run('shared', 'cat /disk/note')) === 'from other\n');
  assert.match(await run('shared', 'dd if=/dev/zero of=/memory/big bs=1k count=2048'), /No space left on device/);
});

test('a subPath that a link leads out of its volume is refused', async () => {
  const host = mkdtempSync(join(tmpdir(), 'kontiki-host-'));
  try {
    symlinkSync('/etc', join(host, 'escape'));
    writeFileSync(join(host, 'kept'), 'still here');
    const volumes = [{ name: 'host', hostPath: { path: host, type: 'Directory' } }];
    await lab.createPod('escapee', {
      volumes,
      containers: [
        { name: 'main', image, command: ['sleep', '1000'], volumeMounts: [{ name: 'host', mountPath: '/x', subPath: 'escape' }] },
      ],
    });
    const pod = await lab.podUntil(
      'escapee',
      'is refused',
      ({ containerStatuses }) => containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError',
    );
    assert.match(pod.status?.containerStatuses?.[0]?.state?.waiting?.message ?? '', /leads out of its volume/);
    assert.is(
      await outputOf('insider', 'cat /x/kept', { volumeMounts: [{ name: 'host', mountPath: '/x' }] }, { volumes }),
      'still here',
    );
  } finally {
    await lab.deletePod('escapee').catch(() => {});
    rmSync(host, { recursive: true });
  }
});

test('users and groups come from the pod or the image, and root can be forbidden', async () => {
  assert.is(
    await outputOf('named', 'id', { securityContext: { runAsUser: 101 } }),
    'uid=101(web) gid=102(web) groups=102(web),103(log)\n',
  );
  assert.is(
    await outputOf(
      'numbered',
      'id -u; id -G',
      {},
      { securityContext: { runAsUser: 7, runAsGroup: 8, fsGroup: 9, supplementalGroups: [10] } },
    ),
    '7\n8 9 10\n',
  );
  await lab.createPod('rootless', {
    containers: [{ name: 'main', image, command: ['id'], securityContext: { runAsNonRoot: true } }],
  });
  const pod = await lab.podUntil(
    'rootless',
    'waits',
    ({ containerStatuses }) => containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError',
  );
  const { uid } = pod.metadata;
  assert.is(
    pod.status?.containerStatuses?.[0]?.state?.waiting?.message,
    `container has runAsNonRoot and image will run as root (pod: "rootless_default(${uid})", container: main)`,
  );
});

test('the root can be read-only, capabilities are dropped and the kernel settings are out of reach', async () => {
  const script =
    'touch /x; grep CapEff /proc/self/status; echo 1 > /proc/sys/kernel/panic; ls /sys/firmware | wc -l; mount -t tmpfs t /tmp';
  const text = await outputOf('locked', script, {
    securityContext: { readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } },
  });
  assert.match(text, /touch: \/x: Read-only file system/);
  assert.match(text, /CapEff:\t0000000000000400\n/);
  assert.match(text, /can't create \/proc\/sys\/kernel\/panic: Read-only file system\n0\n/);
  assert.match(text, /permission denied|Operation not permitted/i);
});

test('the pod has its own host name, hosts file, shared memory and cgroup limits', async () => {
  const text = await outputOf(
    'self',
    'hostname; cat /etc/hostname; grep -c alias /etc/hosts; grep " /dev/shm " /proc/mounts | cut -d" " -f1; cat /etc/resolv.conf',
    {},
    {
      hostname: 'chosen',
      hostAliases: [{ ip: '1.2.3.4', hostnames: ['alias'] }],
      dnsPolicy: 'None',
      dnsConfig: { nameservers: ['9.9.9.9'], searches: ['a.b'], options: [{ name: 'ndots', value: '2' }] },
    },
  );
  assert.match(text, /^chosen\nchosen\n1\n/);
  assert.match(text, /nameserver 9\.9\.9\.9\nsearch a\.b\noptions ndots:2\n$/);
});

test('a privileged container sees the devices of the machine', async () => {
  assert.match(
    await outputOf('privileged', 'ls /dev/kmsg; mount -t tmpfs t /tmp && echo mounted', {
      securityContext: { privileged: true },
    }),
    /\/dev\/kmsg\nmounted\n/,
  );
});

test.run();
