/** From a pod's description to what the runtime is told: commands, variables, users, capabilities, needs, links. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { admit } from '../../src/agent/pods/admission.ts';
import { HostPorts } from '../../src/agent/pods/host-ports.ts';
import { Ledger } from '../../src/agent/pods/ledger.ts';
import { containerCgroupLimits, oomScoreAdjust, podCgroupLimits, podRequests } from '../../src/agent/pods/needs.ts';
import { pullCredentials } from '../../src/agent/pods/pull-secrets.ts';
import { hostsText, resolvText } from '../../src/agent/pods/sandbox.ts';
import { serviceLinks } from '../../src/agent/pods/service-links.ts';
import { signalNumber } from '../../src/agent/pods/stop.ts';
import { logTail } from '../../src/agent/pods/termination-message.ts';
import { capabilitiesOfMask, containerCapabilities } from '../../src/agent/runtime/capabilities.ts';
import { containerCommand } from '../../src/agent/runtime/command.ts';
import { parseSyncLine } from '../../src/agent/runtime/container-runtime.ts';
import { expandVariables } from '../../src/agent/runtime/expand.ts';
import { buildSpec, type SpecInput } from '../../src/agent/runtime/spec.ts';
import { resolveUser, type UserRequest } from '../../src/agent/runtime/user.ts';
import type { Container, Pod, PodSpec, Secret, Service } from '../../src/machinery/types.ts';

const image = { entrypoint: ['entry'], cmd: ['cmd'], env: [], workingDir: '', user: '', stopSignal: '' };
const every = new Set(capabilitiesOfMask('1ffffffffff'));

test('command and args meet entrypoint and cmd in four ways', () => {
  const line = (container: Partial<Container>) => containerCommand(container as Container, image, new Map([['A', 'x']]));
  assert.equal(line({}), ['entry', 'cmd']);
  assert.equal(line({ command: ['c'] }), ['c']);
  assert.equal(line({ args: ['$(A)'] }), ['entry', 'x']);
  assert.equal(line({ command: ['c'], args: ['a'] }), ['c', 'a']);
  assert.throws(() => containerCommand({}, { ...image, entrypoint: [], cmd: [] }, new Map()), /no command specified/);
});

test('variables are expanded, escaped and left alone as documented', () => {
  const known = new Map([['A', '1'], ['B', '$(A)']]); // biome-ignore format: one line reads better
  const expand = (text: string) => expandVariables(text, known);
  assert.is(expand('$(A)-$(B)-$(C)'), '1-$(A)-$(C)');
  assert.is(expand('$$(A) $$$(A)'), '$(A) $1');
  assert.is(expand('$A $ $( $(A'), '$A $ $( $(A');
});

test('users are found by name or number, and root is refused when it must be', () => {
  const request: UserRequest = {
    imageUser: '',
    image: 'i',
    container: 'c',
    podLabel: 'p',
    supplementalGroups: [],
    strictGroups: false,
    passwd: 'root:x:0:0::/:/bin/sh\nweb:x:33:44::/:/bin/sh\n',
    group: 'root:x:0:\nlog:x:5:web\nextra:x:6:\n',
  };
  assert.equal(resolveUser(request), { uid: 0, gid: 0, additionalGids: [0] });
  assert.equal(resolveUser({ ...request, imageUser: 'web' }), { uid: 33, gid: 44, additionalGids: [5, 44] });
  assert.equal(resolveUser({ ...request, imageUser: 'web:extra' }), { uid: 33, gid: 6, additionalGids: [5, 6] });
  assert.equal(resolveUser({ ...request, imageUser: 'web', runAsUser: 1000 }), { uid: 1000, gid: 0, additionalGids: [0] });
  assert.throws(() => resolveUser({ ...request, imageUser: 'nobody' }), /unable to find user nobody/);
  assert.throws(() => resolveUser({ ...request, runAsNonRoot: true }), /image will run as root \(pod: "p", container: c\)/);
  assert.throws(() => resolveUser({ ...request, runAsNonRoot: true, imageUser: 'web' }), /non-numeric user \(web\)/);
  assert.throws(() => resolveUser({ ...request, runAsNonRoot: true, runAsUser: 0 }), /runAsUser breaks non-root policy/);
  assert.is(resolveUser({ ...request, runAsNonRoot: true, imageUser: '33' }).uid, 33);
});

test('capabilities are added, dropped, and never more than the machine has', () => {
  const of = (add: string[], drop: string[], privileged = false) => containerCapabilities({ add, drop, privileged }, every);
  assert.ok(of([], []).includes('CAP_CHOWN'));
  assert.not.ok(of([], []).includes('CAP_SYS_ADMIN'));
  assert.equal(of(['NET_ADMIN'], ['ALL']), ['CAP_NET_ADMIN']);
  assert.not.ok(of(['ALL'], ['CAP_SYS_ADMIN']).includes('CAP_SYS_ADMIN'));
  assert.is(of([], [], true).length, 41);
  const poor = new Set([...every].filter((name) => name !== 'CAP_SYS_RESOURCE'));
  assert.not.ok(containerCapabilities({ add: [], drop: [], privileged: true }, poor).includes('CAP_SYS_RESOURCE'));
});

const specInput = (container: Partial<Container>, spec: Partial<PodSpec> = {}): SpecInput => ({
  pod: { metadata: { name: 'p', uid: 'u', namespace: 'n' }, spec: { containers: [], ...spec } } as unknown as Pod,
  container: { name: 'c', ...container } as Container,
  rootfs: '/root',
  args: ['a'],
  env: new Map([['A', '1']]),
  cwd: '',
  user: { uid: 0, gid: 0, additionalGids: [] },
  namespaces: { net: '/ns/net', ipc: '/ns/ipc', uts: '/ns/uts' },
  mounts: [],
  limits: { cpuShares: 512, cpuQuotaMicros: 50_000, memoryLimitBytes: 1024, pidsLimit: 10 },
  cgroupsPath: '/pods/x',
  cgroupVersion: 2,
  oomScoreAdj: -997,
  bounding: every,
  hostDevices: [],
});

test('the runtime is told limits, namespaces, masks and privileges', () => {
  const spec = buildSpec(specInput({ securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true } }));
  const linux = spec.linux as {
    namespaces: { type: string; path?: string }[];
    resources: Record<string, unknown>;
    maskedPaths?: string[];
  };
  assert.equal(
    linux.namespaces.map(({ type }) => type),
    ['mount', 'cgroup', 'pid', 'network', 'ipc', 'uts'],
  );
  assert.equal(linux.resources.cpu, { shares: 512, quota: 50_000, period: 100_000 });
  assert.equal(linux.resources.memory, { limit: 1024, swap: 1024 });
  assert.equal(linux.resources.unified, { 'memory.oom.group': '1' });
  const old = buildSpec({ ...specInput({}), cgroupVersion: 1 }).linux.resources as Record<string, unknown>;
  assert.is(old.unified, undefined, 'runtimes refuse it on version 1');
  assert.ok(linux.maskedPaths?.includes('/proc/kcore'));
  assert.ok(spec.root.readonly && spec.process.noNewPrivileges);
  assert.is(spec.process.oomScoreAdj, -997);
  assert.is(spec.process.cwd, '/');
  const open = buildSpec(specInput({ securityContext: { privileged: true } }, { hostPID: true }));
  assert.is(open.linux.maskedPaths, undefined);
  assert.not.ok((open.linux.namespaces as { type: string }[]).some(({ type }) => type === 'pid'));
});

test('what this machine may not do is left out, not failed for', () => {
  const input = { ...specInput({}), bounding: new Set(['CAP_CHOWN']) };
  const { process } = buildSpec(input);
  assert.is(process.oomScoreAdj, undefined);
  assert.equal(process.capabilities.bounding, ['CAP_CHOWN']);
});

test('a user other than root holds no capability of its own', () => {
  const { process } = buildSpec({ ...specInput({}), user: { uid: 7, gid: 0, additionalGids: [] } });
  assert.equal(process.capabilities.effective, []);
  assert.ok(process.capabilities.bounding.length > 0);
});

test('a pod needs the larger of its init containers and the sum of the others', () => {
  const container = (cpu: string, memory: string, more = {}) => ({
    name: 'x',
    resources: { requests: { cpu, memory } },
    ...more,
  });
  const spec = {
    initContainers: [container('3', '10Mi'), container('100m', '5Mi', { restartPolicy: 'Always' })],
    containers: [container('1', '30Mi'), container('500m', '40Mi')],
  } as PodSpec;
  assert.equal(podRequests(spec), { cpuMilli: 3000, memoryBytes: 75 * 1024 ** 2, ephemeralStorageBytes: 0 });
  assert.is(podCgroupLimits(spec, 100).memoryLimitBytes, undefined);
  const limited = { name: 'x', resources: { limits: { cpu: '250m', memory: '1Mi' } } } as unknown as Container;
  assert.equal(containerCgroupLimits(limited), { cpuShares: 256, cpuQuotaMicros: 25_000, memoryLimitBytes: 1024 ** 2 });
  assert.equal(
    [oomScoreAdjust('Guaranteed', 1, 2), oomScoreAdjust('BestEffort', 0, 2), oomScoreAdjust('Burstable', 1, 4)],
    [-997, 1000, 750],
  );
});

test('the ledger holds what is promised until it is given back', () => {
  const ledger = new Ledger({ cpuMilli: 1000, memoryBytes: 100, ephemeralStorageBytes: 100, pods: 2 });
  const pod = (uid: string, cpu: string) =>
    ({ metadata: { name: uid, uid }, spec: { containers: [{ name: 'c', resources: { requests: { cpu } } }] } }) as unknown as Pod;
  const node = { metadata: { name: 'n' } };
  const hostPorts = new HostPorts({ setHostPorts: async () => {} });
  assert.is(admit(pod('a', '600m'), node, ledger, hostPorts), undefined);
  assert.is(admit(pod('a', '600m'), node, ledger, hostPorts), undefined);
  assert.equal(admit(pod('b', '500m'), node, ledger, hostPorts), {
    reason: 'OutOfcpu',
    message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 500, used: 600, capacity: 1000",
  });
  assert.is(admit(pod('c', '400m'), node, ledger, hostPorts), undefined);
  assert.is(admit(pod('d', '0'), node, ledger, hostPorts)?.reason, 'OutOfpods');
  ledger.release('a');
  assert.is(admit(pod('d', '0'), node, ledger, hostPorts), undefined);
});

test('pull secrets are chosen by registry', () => {
  const secret = (auths: unknown) =>
    ({ data: { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') } }) as unknown as Secret;
  const hub = secret({ 'https://index.docker.io/v1/': { auth: Buffer.from('me:p:w').toString('base64') } });
  const own = secret({ 'r.example:5000': { username: 'u', password: 'v' } });
  const later = secret({ 'r.example:5000': { username: 'late', password: 'x' }, 'empty.example': {} });
  assert.equal(
    [...pullCredentials([undefined, own, hub, later])],
    [
      ['r.example:5000', { username: 'u', password: 'v' }],
      ['docker.io', { username: 'me', password: 'p:w' }],
    ],
  );
});

test('service links name the services of the namespace and the API', () => {
  const service = (namespace: string, name: string, clusterIP: string) =>
    ({
      metadata: { namespace, name },
      spec: { clusterIP, ports: [{ name: 'http', port: 80, protocol: 'TCP' }] },
    }) as unknown as Service;
  const all = [
    service('default', 'kubernetes', '10.0.0.1'),
    service('ns', 'my-web', '10.0.0.2'),
    service('ns', 'headless', 'None'),
    service('other', 'x', '10.0.0.3'),
  ];
  const links = serviceLinks(all, 'ns', true);
  assert.is(links.get('KUBERNETES_SERVICE_HOST'), '10.0.0.1');
  assert.is(links.get('MY_WEB_SERVICE_PORT_HTTP'), '80');
  assert.is(links.get('MY_WEB_PORT_80_TCP'), 'tcp://10.0.0.2:80');
  assert.not.ok([...links.keys()].some((name) => name.startsWith('HEADLESS') || name.startsWith('X_')));
  assert.is(serviceLinks(all, 'ns', false).get('MY_WEB_SERVICE_HOST'), undefined);
});

test('the resolver follows the machine unless the pod says otherwise', () => {
  const pod = (spec: Partial<PodSpec>) => ({ metadata: { name: 'p' }, spec: { containers: [], ...spec } }) as unknown as Pod;
  const machine = 'nameserver 1.1.1.1\nsearch lan\noptions ndots:1 rotate\n';
  assert.is(resolvText(pod({}), machine), 'nameserver 1.1.1.1\nsearch lan\noptions ndots:1 rotate\n');
  const dnsConfig = { nameservers: ['2.2.2.2'], options: [{ name: 'ndots', value: '5' }] };
  assert.is(
    resolvText(pod({ dnsConfig }), machine),
    'nameserver 1.1.1.1\nnameserver 2.2.2.2\nsearch lan\noptions ndots:5 rotate\n',
  );
  assert.is(resolvText(pod({ dnsPolicy: 'None', dnsConfig }), machine), 'nameserver 2.2.2.2\noptions ndots:5\n');
  assert.match(
    hostsText(pod({ hostAliases: [{ ip: '3.3.3.3', hostnames: ['a', 'b'] }] }), 'p', '10.0.0.9', ''),
    /^# Kubernetes-managed hosts file\.\n[\s\S]*10\.0\.0\.9\tp\n\n# Entries added by HostAliases\.\n3\.3\.3\.3\ta\tb\n$/,
  );
});

test('small texts of other programs are read right', () => {
  assert.equal(parseSyncLine('{"data": 42}'), { pid: 42, message: 'the runtime gave no reason' });
  assert.is(
    parseSyncLine('{"data": -1, "message": "time=\\"x\\" level=error msg=\\"exec: \\\\\\"nope\\\\\\": not found\\"\\n"}').message,
    'exec: "nope": not found',
  );
  assert.is(parseSyncLine('').pid, -1);
  assert.is(logTail('t1 stdout F one\nt2 stderr P tw\nt3 stderr F o\n'), 'one\ntwo\n');
  assert.equal(['SIGTERM', 'QUIT', '9', 'SIGRTMIN+3', 'nonsense'].map(signalNumber), [15, 3, 9, 37, 15]);
});

test.run();
