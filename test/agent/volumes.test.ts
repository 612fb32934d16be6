/** What volumes and their mounts give to real containers: kinds of host paths, rights, parts, propagation, refusals. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configMaps, secrets } from '../../src/machinery/resources.ts';
import type { Pod, PodSpec, Volume } from '../../src/machinery/types.ts';
import { image, Lab, until } from './support/lab.ts';

type Container = Partial<PodSpec['containers'][number]>;

const namespace = 'default';
let lab: Lab;
/** On the machine; a mount of its own that others share. */
let host: string;
test.before(async () => {
  lab = await Lab.open();
  host = mkdtempSync(join(tmpdir(), 'kontiki-volumes-'));
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', host]);
  execFileSync('mount', ['--make-shared', host]);
});
test.after(async () => {
  await lab.close();
  execFileSync('umount', ['--recursive', host]);
  rmSync(host, { recursive: true });
});

const main = (container: Container = {}) => ({ name: 'main', image, command: ['sleep', '1000'], ...container });

const run = (pod: string, script: string, container?: string) => lab.shell(pod, script, container);

/** Why the pod has no volumes, as users read it; `volume` is the only one. */
async function failedMount(pod: string, volume: Volume): Promise<string> {
  await lab.createPod(pod, { volumes: [volume], containers: [main()] });
  const event = await until(`${pod} fails to mount`, () =>
    lab.events.find((candidate) => candidate.pod === pod && candidate.reason === 'FailedMount'),
  );
  await lab.deletePod(pod);
  return event.message.replace(`MountVolume.SetUp failed for volume "${volume.name}" : `, '');
}

const waitsFor = (name: string, reason: string): Promise<Pod> =>
  lab.podUntil(name, `waits: ${reason}`, ({ containerStatuses }) =>
    containerStatuses?.some(({ state }) => state?.waiting?.reason === reason),
  );

test('a host path must be what its type says, and is made where the type says so', async () => {
  const path = (name: string) => join(host, name);
  mkdirSync(path('folder'));
  writeFileSync(path('file'), 'content');
  symlinkSync(path('file'), path('link'));
  const types: [name: string, type: string, message: string][] = [
    ['absent', 'Directory', 'hostPath type check failed: PATH is not a directory'],
    ['file', 'Directory', 'hostPath type check failed: PATH is not a directory'],
    ['file', 'DirectoryOrCreate', 'hostPath type check failed: PATH is not a directory'],
    ['folder', 'File', 'hostPath type check failed: PATH is not a file'],
    ['folder', 'FileOrCreate', 'hostPath type check failed: PATH is not a file'],
    ['absent/file', 'FileOrCreate', 'open PATH: no such file or directory'],
    ['file', 'Socket', 'hostPath type check failed: PATH is not a socket file'],
    ['file', 'CharDevice', 'hostPath type check failed: PATH is not a character device'],
    ['file', 'BlockDevice', 'hostPath type check failed: PATH is not a block device'],
  ];
  const failures = types.map(async ([name, type, message], at) => {
    const said = await failedMount(`type-${at}`, { name: 'host', hostPath: { path: path(name), type } });
    assert.is(said, message.replace('PATH', path(name)));
  });
  const good: [name: string, path: string, type: string][] = [
    ['folder', path('folder'), 'Directory'],
    ['file', path('link'), 'File'],
    ['socket', lab.options.agentSocket, 'Socket'],
    ['device', '/dev/zero', 'CharDevice'],
    ['made', path('made/deep'), 'DirectoryOrCreate'],
    ['plain', path('plain'), ''],
    ['new', path('new'), 'FileOrCreate'],
  ];
  await lab.createPod('types', {
    volumes: good.map(([name, where, type]) => ({ name, hostPath: { path: where, type } })),
    containers: [main({ volumeMounts: good.map(([name]) => ({ name, mountPath: `/host/${name}` })) })],
  });
  await Promise.all([lab.running('types'), ...failures]);
  const script = 'cd /host; stat -c "%n %F" *; cat file; echo more > new';
  assert.is(
    await run('types', script),
    'device character special file\nfile regular file\nfolder directory\nmade directory\nnew regular empty file\nplain directory\nsocket socket\ncontent',
  );
  assert.is(statSync(path('new')).size, 5);
  assert.not(existsSync(path('absent')));
});

test('what a volume must hold and does not is waited for; what is optional comes when it is there', async () => {
  await lab.api.create(configMaps, { metadata: { name: 'has', namespace }, data: { a: 'A' }, binaryData: { b: 'AAE=' } });
  await lab.api.create(secrets, { metadata: { name: 'has', namespace }, immutable: true, data: { s: 'cw==' } });
  const items = [{ key: 'none', path: 'none' }];
  const sources: [Volume, string][] = [
    [{ name: 'v', configMap: { name: 'none' } }, 'configmap "none" not found'],
    [{ name: 'v', secret: { secretName: 'none' } }, 'secret "none" not found'],
    [{ name: 'v', configMap: { name: 'has', items } }, 'configmap references non-existent config key: none'],
    [{ name: 'v', secret: { secretName: 'has', items } }, 'references non-existent secret key: none'],
    [
      { name: 'v', projected: { sources: [{ clusterTrustBundle: { name: 'ca', path: 'ca.pem' } }] } },
      'clustertrustbundle "ca" not found: this cluster does not serve ClusterTrustBundle objects',
    ],
    [
      { name: 'v', projected: { sources: [{ clusterTrustBundle: { signerName: 'a.b/c', path: 'ca.pem' } }] } },
      'clustertrustbundle of signer "a.b/c" not found: this cluster does not serve ClusterTrustBundle objects',
    ],
  ];
  const failures = sources.map(async ([volume, message], at) => assert.is(await failedMount(`lacks-${at}`, volume), message));
  await lab.createPod('optional', {
    securityContext: { fsGroup: 9 },
    volumes: [
      { name: 'late', configMap: { name: 'late', optional: true } },
      {
        name: 'all',
        projected: {
          defaultMode: 0o440,
          sources: [
            { configMap: { name: 'has', items: [{ key: 'b', path: 'deep/b', mode: 0o600 }] } },
            { secret: { name: 'has' } },
            { secret: { name: 'late', optional: true } },
            { clusterTrustBundle: { name: 'ca', path: 'ca.pem', optional: true } },
          ],
        },
      },
    ],
    containers: [
      main({
        volumeMounts: [
          { name: 'late', mountPath: '/late' },
          { name: 'all', mountPath: '/all' },
        ],
        securityContext: { runAsUser: 7, runAsGroup: 8 },
      }),
    ],
  });
  await Promise.all([lab.running('optional'), ...failures]);
  assert.is(
    await run('optional', 'ls /late; cd /all; stat -L -c "%n %a %g" . deep deep/b s ca.pem; cat s ca.pem'),
    '. 2755 9\ndeep 2755 9\ndeep/b 640 9\ns 440 9\nca.pem 440 9\ns',
  );
  await lab.api.create(configMaps, { metadata: { name: 'late', namespace }, data: { now: 'here' } });
  await until('it comes', async () => (await run('optional', 'cat /late/now')) === 'here');
});

test('whoever may write to a volume may write to its parts; parts are named by variables, and may be files', async () => {
  mkdirSync(join(host, 'parts'));
  writeFileSync(join(host, 'parts', 'one'), 'single');
  const env = [{ name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }];
  const volumes: Volume[] = [
    { name: 'data', emptyDir: {} },
    { name: 'host', hostPath: { path: join(host, 'parts') } },
  ];
  const securityContext = { runAsUser: 7, runAsGroup: 8 };
  await lab.createPod('parts', {
    volumes,
    containers: [
      main({
        env,
        securityContext,
        volumeMounts: [
          { name: 'data', mountPath: '/named', subPathExpr: 'of/$(POD)' },
          { name: 'host', mountPath: '/etc/one', subPath: 'one' },
        ],
      }),
      { ...main(), name: 'whole', volumeMounts: [{ name: 'data', mountPath: '/data' }] },
    ],
  });
  await lab.createPod('unnamed', {
    volumes,
    containers: [main({ volumeMounts: [{ name: 'data', mountPath: '/d', subPathExpr: 'x/$(NONE)' }] })],
  });
  await lab.createPod('absolute', {
    volumes,
    containers: [
      main({ env: [{ name: 'AT', value: '/etc' }], volumeMounts: [{ name: 'data', mountPath: '/d', subPathExpr: '$(AT)' }] }),
    ],
  });
  await lab.running('parts');
  assert.is(await run('parts', 'echo mine > /named/file; cat /etc/one'), 'single');
  assert.is(await run('parts', 'cat /data/of/parts/file; stat -c %a:%u /data/of/parts', 'whole'), 'mine\n777:0\n');
  const messageOf = (pod: Pod) => pod.status?.containerStatuses?.[0]?.state?.waiting?.message;
  assert.is(messageOf(await waitsFor('unnamed', 'CreateContainerConfigError')), 'missing value for "NONE"');
  assert.is(
    messageOf(await waitsFor('absolute', 'CreateContainerConfigError')),
    'error SubPath `/etc` must not be an absolute path',
  );
});

test('links that a container plants lead no part of a volume out of it', async () => {
  const script =
    'mkdir -p /data/real; echo in > /data/real/f; ln -s real /data/good; ln -s /etc /data/out; ln -s ../../.. /data/up';
  const volumeMounts = [{ name: 'data', mountPath: '/data' }];
  await lab.createPod('planted', {
    volumes: [{ name: 'data', emptyDir: {} }],
    initContainers: [{ ...main({ command: ['sh', '-c', script] }), name: 'plant', volumeMounts }],
    containers: [
      main({ volumeMounts: [{ name: 'data', mountPath: '/part', subPath: 'good' }] }),
      ...['out', 'up', 'out/new'].map((subPath, at) => ({
        ...main(),
        name: `bad-${at}`,
        volumeMounts: [{ name: 'data', mountPath: '/part', subPath }],
      })),
    ],
  });
  const pod = await lab.podUntil('planted', 'has all it can', ({ containerStatuses }) => {
    const isBad = ({ name }: { name: string }) => name.startsWith('bad-');
    const good = containerStatuses?.find((status) => !isBad(status));
    return (
      good?.state?.running &&
      containerStatuses?.filter(isBad).every(({ state }) => state?.waiting?.reason === 'CreateContainerConfigError')
    );
  });
  assert.is(await run('planted', 'cat /part/f'), 'in\n');
  const messages = pod.status!.containerStatuses!.flatMap(({ state }) => state?.waiting?.message ?? []);
  assert.is(messages.length, 3);
  for (const message of messages) assert.match(message, /leads out of its volume/);
  assert.not(existsSync('/etc/new'));
});

test('read-only is read-only, below it too where that is asked for', async () => {
  const tree = join(host, 'tree');
  mkdirSync(join(tree, 'below'), { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(tree, 'below')]);
  const modes = ['Disabled', 'IfPossible', 'Enabled'];
  await lab.createPod('readers', {
    volumes: [{ name: 'tree', hostPath: { path: tree } }],
    containers: [
      main({
        volumeMounts: modes.map((recursiveReadOnly) => ({
          name: 'tree',
          mountPath: `/${recursiveReadOnly}`,
          readOnly: true,
          recursiveReadOnly,
        })),
      }),
    ],
  });
  const pod = await lab.running('readers');
  const script =
    'for m in Disabled IfPossible Enabled; do touch /$m/x || echo; touch /$m/below/$m || echo; done 2>/dev/null; ls /Enabled/below';
  assert.is(await run('readers', script), '\n\n\n\n\nDisabled\n');
  assert.equal(
    pod.status?.containerStatuses?.[0]?.volumeMounts?.map(({ recursiveReadOnly }) => recursiveReadOnly),
    ['Disabled', 'Enabled', 'Enabled'],
  );
});

test('mounts made later are seen on the other side only where that is asked for', async () => {
  const shared = join(host, 'shared');
  for (const name of ['before', 'from-machine', 'from-pod']) mkdirSync(join(shared, name), { recursive: true });
  const modes = ['None', 'HostToContainer', 'Bidirectional'];
  await lab.createPod('propagation', {
    volumes: [{ name: 'shared', hostPath: { path: shared } }],
    containers: modes.map((mountPropagation) => ({
      ...main({ securityContext: { privileged: true } }),
      name: mountPropagation.toLowerCase(),
      volumeMounts: [{ name: 'shared', mountPath: '/shared', mountPropagation }],
    })),
  });
  await lab.running('propagation');
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(shared, 'from-machine')]);
  writeFileSync(join(shared, 'from-machine', 'seen'), '');
  for (const mode of modes) {
    const name = mode.toLowerCase();
    assert.is(await run('propagation', 'ls /shared/from-machine', name), mode === 'None' ? '' : 'seen\n', mode);
    const out = await run('propagation', `mount -t tmpfs t /shared/from-pod && touch /shared/from-pod/${name}`, name);
    assert.is(out, '');
    assert.equal(readdirSync(join(shared, 'from-pod')), mode === 'Bidirectional' ? [name] : [], mode);
  }
});

test('a volume in memory is no larger than the memory of the pod', async () => {
  await lab.createPod('memory', {
    volumes: [
      { name: 'all', emptyDir: { medium: 'Memory' } },
      { name: 'less', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
      { name: 'more', emptyDir: { medium: 'Memory', sizeLimit: '1Gi' } },
    ],
    containers: [
      main({
        resources: { limits: { memory: '64Mi' } },
        volumeMounts: ['all', 'less', 'more'].map((name) => ({ name, mountPath: `/${name}` })),
      }),
    ],
  });
  await lab.running('memory');
  const script = 'grep -E " /(all|less|more) " /proc/mounts | sed "s/.* \\(.[a-z]*\\) tmpfs .*size=\\([0-9a-z]*\\).*/\\1 \\2/"';
  assert.is(await run('memory', script), '/all 65536k\n/less 1024k\n/more 65536k\n');
});

test('groups of the image count unless the pod says that only its own do', async () => {
  const securityContext = { runAsUser: 101, supplementalGroups: [10] };
  await lab.createPod('merged', { securityContext, containers: [main()] });
  await lab.createPod('strict', {
    securityContext: { ...securityContext, supplementalGroupsPolicy: 'Strict' },
    containers: [main()],
  });
  const merged = await lab.running('merged');
  const strict = await lab.running('strict');
  assert.is(await run('merged', 'id -G'), '102 10 103\n');
  assert.is(await run('strict', 'id -G'), '102 10\n');
  const userOf = (pod: Pod) => pod.status?.containerStatuses?.[0]?.user?.linux;
  assert.equal(userOf(merged), { uid: 101, gid: 102, supplementalGroups: [10, 102, 103] });
  assert.equal(userOf(strict), { uid: 101, gid: 102, supplementalGroups: [10, 102] });
});

test.run();
