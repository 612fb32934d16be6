/** Pod security: every check in its words, the levels and versions, what is warned of, and labels that say nothing. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { evaluate, withDetails } from '../../src/api/admission/pod-security/evaluate.ts';
import { existingViolations } from '../../src/api/admission/pod-security/existing-pods.ts';
import { formatStandard, policyOf } from '../../src/api/admission/pod-security/policy.ts';
import * as r from '../../src/machinery/resources.ts';
import type { Pod, PodSpec } from '../../src/machinery/types.ts';
import { admissionWorld, container, type Fields, podOf, resourceOf } from './admission-objects.ts';

const test = suite('pod security');

const good = {
  securityContext: {
    allowPrivilegeEscalation: false,
    runAsNonRoot: true,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  },
};
const secure = (security: Fields) => ({ securityContext: { ...good.securityContext, ...security } });
const spec = (fields: Fields = {}, of: Fields = {}) => ({ containers: [container(of)], ...fields }) as unknown as PodSpec;
const look = (level: 'baseline' | 'restricted', of: PodSpec, annotations: Record<string, string> = {}, version?: number) =>
  withDetails(evaluate({ level, version: version ?? 'latest' }, { metadata: { annotations }, spec: of }));

const baseline: [string, PodSpec, string, Record<string, string>?][] = [
  ['nothing', spec(), ''],
  [
    'host namespaces',
    spec({ hostNetwork: true, hostPID: true, hostIPC: true }),
    'host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)',
  ],
  [
    'privileged',
    spec({}, { securityContext: { privileged: true } }),
    'privileged (container "app" must not set securityContext.privileged=true)',
  ],
  [
    'privileged ones of all three lists',
    spec({
      initContainers: [container({ name: 'init', securityContext: { privileged: true } })],
      ephemeralContainers: [container({ name: 'debug', securityContext: { privileged: true } })],
    }),
    'privileged (containers "init", "debug" must not set securityContext.privileged=true)',
  ],
  [
    'capabilities',
    spec({}, { securityContext: { capabilities: { add: ['SYS_ADMIN', 'CHOWN', 'NET_RAW'] } } }),
    'non-default capabilities (container "app" must not include "NET_RAW", "SYS_ADMIN" in securityContext.capabilities.add)',
  ],
  ['one host path', spec({ volumes: [{ name: 'a', hostPath: { path: '/' } }] }), 'hostPath volumes (volume "a")'],
  [
    'two host paths',
    spec({
      volumes: [
        { name: 'a', hostPath: { path: '/' } },
        { name: 'b', hostPath: { path: '/b' } },
      ],
    }),
    'hostPath volumes (volumes "a", "b")',
  ],
  ['a host port', spec({}, { ports: [{ containerPort: 80, hostPort: 8080 }] }), 'hostPort (container "app" uses hostPort 8080)'],
  [
    'host ports',
    spec({
      containers: [
        container({ ports: [{ containerPort: 80, hostPort: 8080 }] }),
        container({ name: 'side', ports: [{ containerPort: 81, hostPort: 8081 }] }),
      ],
    }),
    'hostPort (containers "app", "side" use hostPorts 8080, 8081)',
  ],
  [
    'procMount',
    spec({}, { securityContext: { procMount: 'Unmasked' } }),
    'procMount (container "app" must not set securityContext.procMount to "Unmasked")',
  ],
  [
    'seLinuxOptions',
    spec(
      { securityContext: { seLinuxOptions: { type: 'spc_t', user: 'u' } } },
      { securityContext: { seLinuxOptions: { role: 'r' } } },
    ),
    'seLinuxOptions (pod and container "app" set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set; role may not be set)',
  ],
  [
    'seccompProfile',
    spec({ securityContext: { seccompProfile: { type: 'Unconfined' } } }),
    'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
  ],
  [
    'sysctls',
    spec({
      securityContext: {
        sysctls: [
          { name: 'kernel.msgmax', value: '1' },
          { name: 'net.ipv4.tcp_syncookies', value: '1' },
        ],
      },
    }),
    'forbidden sysctls (kernel.msgmax)',
  ],
  [
    'hostProcess',
    spec({ securityContext: { windowsOptions: { hostProcess: true } } }),
    'hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)',
  ],
  [
    'AppArmor',
    spec({}, { securityContext: { appArmorProfile: { type: 'Unconfined' } } }),
    'forbidden AppArmor profiles (container "app" and annotation must not set AppArmor profile type to "Unconfined", "container.apparmor.security.beta.kubernetes.io/app=\\"unconfined\\"")',
    { 'container.apparmor.security.beta.kubernetes.io/app': 'unconfined' },
  ],
];

for (const [what, of, expected, annotations] of baseline) {
  test(`baseline on ${what}`, () => assert.is(look('baseline', of, annotations), expected));
}

const restricted: [string, PodSpec, string, number?][] = [
  ['a good pod', spec({}, good), ''],
  [
    'a pod that says nothing',
    spec(),
    'allowPrivilegeEscalation != false (container "app" must set securityContext.allowPrivilegeEscalation=false), ' +
      'unrestricted capabilities (container "app" must set securityContext.capabilities.drop=["ALL"]), ' +
      'runAsNonRoot != true (pod or container "app" must set securityContext.runAsNonRoot=true), ' +
      'seccompProfile (pod or container "app" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  ],
  [
    'a pod that says it for its containers',
    spec(
      { securityContext: { runAsNonRoot: true, seccompProfile: { type: 'Localhost', localhostProfile: 'x' } } },
      { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } } },
    ),
    '',
  ],
  [
    'capabilities',
    spec({}, secure({ capabilities: { drop: ['KILL'], add: ['CHOWN'] } })),
    'unrestricted capabilities (container "app" must set securityContext.capabilities.drop=["ALL"]; container "app" must not include "CHOWN" in securityContext.capabilities.add)',
  ],
  [
    'volumes',
    spec(
      {
        volumes: [
          { name: 'a', hostPath: { path: '/' } },
          { name: 'b', nfs: {} },
          { name: 'c', emptyDir: {} },
        ],
      },
      good,
    ),
    'restricted volume types (volumes "a", "b" use restricted volume types "hostPath", "nfs")',
  ],
  ['root by number', spec({}, secure({ runAsUser: 0 })), 'runAsUser=0 (container "app" must not set runAsUser=0)'],
  [
    'root on purpose',
    spec({ securityContext: { runAsNonRoot: false } }, secure({ runAsNonRoot: false })),
    'runAsNonRoot != true (pod and container "app" must not set securityContext.runAsNonRoot=false)',
  ],
  [
    'unconfined',
    spec({}, secure({ seccompProfile: { type: 'Unconfined' } })),
    'seccompProfile (container "app" must not set securityContext.seccompProfile.type to "Unconfined")',
  ],
  [
    'baseline comes first',
    spec({ hostNetwork: true }, secure({ privileged: true, allowPrivilegeEscalation: true })),
    'host namespaces (hostNetwork=true), privileged (container "app" must not set securityContext.privileged=true), ' +
      'allowPrivilegeEscalation != false (container "app" must set securityContext.allowPrivilegeEscalation=false)',
  ],
  ['Windows', spec({ os: { name: 'windows' } }, { securityContext: { runAsNonRoot: true } }), ''],
  [
    'Windows before 1.25',
    spec({ os: { name: 'windows' } }, secure({ allowPrivilegeEscalation: undefined })),
    'allowPrivilegeEscalation != false (container "app" must set securityContext.allowPrivilegeEscalation=false)',
    24,
  ],
  ['capabilities before 1.22', spec({}, secure({ capabilities: {} })), '', 21],
  ['root by number before 1.23', spec({}, secure({ runAsUser: 0 })), '', 22],
];

for (const [what, of, expected, version] of restricted) {
  test(`restricted on ${what}`, () => assert.is(look('restricted', of, {}, version), expected));
}

test('what is safe depends on the version', () => {
  const tuned = spec({ securityContext: { sysctls: [{ name: 'net.ipv4.tcp_rmem', value: '1' }] } });
  assert.is(look('baseline', tuned, {}, 31), 'forbidden sysctls (net.ipv4.tcp_rmem)');
  assert.is(look('baseline', tuned, {}, 32), '');
  const annotations = { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' };
  assert.is(
    look('baseline', spec(), annotations, 18),
    'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")',
  );
  assert.is(look('baseline', spec(), annotations, 19), '');
});

const label = (mode: string) => `pod-security.kubernetes.io/${mode}`;

test('labels say which standard holds', () => {
  const standards = (labels: Record<string, string>) =>
    Object.values(policyOf(labels).policy).map((standard) => formatStandard(standard));
  assert.equal(standards({}), ['privileged:latest', 'privileged:latest', 'privileged:latest']);
  assert.equal(standards({ [label('enforce')]: 'baseline', [label('enforce-version')]: 'v1.25' }), [
    'baseline:v1.25',
    'privileged:latest',
    'baseline:v1.25',
  ]);
  assert.equal(standards({ [label('enforce')]: 'restricted', [label('warn')]: 'privileged' })[2], 'privileged:latest');
  assert.equal(standards({ [label('enforce')]: 'high', [label('warn')]: 'high' }), [
    'restricted:latest',
    'privileged:latest',
    'privileged:latest',
  ]);
});

async function labelled(labels: Record<string, string>) {
  const world = await admissionWorld();
  await world.client.create(r.namespaces, { metadata: { name: 'held', labels } });
  await world.client.create(r.serviceAccounts, { metadata: { name: 'default' } }, { namespace: 'held' });
  const warnings = async (kind: string, object: Fields) => {
    const of = resourceOf(kind);
    const resolved = world.registry.context.table.find(of.group, of.version, of.resource);
    if (!resolved) throw new Error(`no ${kind}`);
    const told: string[] = [];
    const user = { name: 'alice', groups: ['system:masters'] };
    const body = { apiVersion: of.group ? `${of.group}/${of.version}` : of.version, kind, ...object };
    const options = { dryRun: false, fieldValidation: 'Strict' as const, warnings: told };
    if (of.namespaced) await world.registry.create({ resolved, namespace: 'held', user }, structuredClone(body), options);
    else
      await world.registry.update(
        { resolved, namespace: undefined, user, name: object.metadata.name },
        structuredClone(body),
        options,
      );
    return told;
  };
  return { ...world, warnings };
}

test('what is enforced is refused, also for debugging containers and new images', async () => {
  const { run, client, refusedWith } = await labelled({ [label('enforce')]: 'baseline' });
  const privileged = { securityContext: { privileged: true } };
  const why = 'violates PodSecurity "baseline:latest": privileged (container "app" must not set securityContext.privileged=true)';
  assert.is(await refusedWith(run(podOf('x', privileged), 'held')), `pods "x" is forbidden: ${why}`);
  const pod = await run(podOf('x'), 'held');
  const ephemeralContainers = [container({ name: 'debug', ...privileged })];
  const debugged = { ...structuredClone(pod), spec: { ...structuredClone(pod.spec), ephemeralContainers } } as unknown as Pod;
  assert.match(
    await refusedWith(client.update(r.pods, debugged, { namespace: 'held', subresource: 'ephemeralcontainers' })),
    /container "debug" must not set/,
  );
  await client.patch(r.namespaces, 'held', 'merge', { metadata: { labels: { [label('enforce')]: 'restricted' } } });
  await client.patch(r.pods, 'x', 'merge', { metadata: { labels: { a: 'b' } } }, { namespace: 'held' });
  const image = { spec: { containers: [{ name: 'app', image: 'app:2' }] } };
  assert.match(await refusedWith(client.patch(r.pods, 'x', 'strategic', image, { namespace: 'held' })), /restricted:latest/);
});

test('what is warned of is told once, and passes', async () => {
  const { warnings } = await labelled({ [label('warn')]: 'baseline', [label('warn-version')]: 'v1.30' });
  const told = await warnings('Pod', podOf('x', {}, { hostPID: true }));
  assert.equal(told, ['would violate PodSecurity "baseline:v1.30": host namespaces (hostPID=true)']);
});

test('workloads whose pods would be refused pass with a warning', async () => {
  const { warnings } = await labelled({ [label('enforce')]: 'baseline' });
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [container()], hostPID: true } };
  const selector = { matchLabels: { a: 'b' } };
  const expected = ['would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)'];
  const once = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } };
  const workloads: [string, Fields][] = [
    ['Deployment', { spec: { selector, template } }],
    ['ReplicaSet', { spec: { selector, template } }],
    ['DaemonSet', { spec: { selector, template } }],
    ['StatefulSet', { spec: { selector, template, serviceName: 's' } }],
    ['ReplicationController', { spec: { selector: { a: 'b' }, template } }],
    ['Job', { spec: { template: once } }],
    ['CronJob', { spec: { schedule: '* * * * *', jobTemplate: { spec: { template: once } } } }],
    ['PodTemplate', { template }],
  ];
  for (const [kind, fields] of workloads) {
    assert.equal(await warnings(kind, { metadata: { name: 'w' }, ...fields }), expected, kind);
  }
});

test('labels that say nothing are refused, unless they were there', async () => {
  const { client, refusedWith } = await labelled({});
  const bad = { [label('enforce')]: 'high', [label('audit-version')]: '1.25' };
  const why =
    'Namespace "bad" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "high": must be one of privileged, baseline, restricted, ' +
    'metadata.labels[pod-security.kubernetes.io/audit-version]: Invalid value: "1.25": must be "latest" or "v1.x"]';
  assert.is(await refusedWith(client.create(r.namespaces, { metadata: { name: 'bad', labels: bad } }), 422), why);
  assert.match(
    await refusedWith(client.patch(r.namespaces, 'held', 'merge', { metadata: { labels: bad } }), 422),
    /must be one of/,
  );
});

test('a namespace that becomes stricter tells which of its pods are not', async () => {
  const { client, run, warnings } = await labelled({});
  for (const name of ['b', 'a', 'c']) await run(podOf(name, {}, { hostPID: true }), 'held');
  await run(podOf('d', { securityContext: { privileged: true } }), 'held');
  await run(podOf('e'), 'held');
  const held = await client.get(r.namespaces, 'held');
  const labels = { ...held.metadata.labels, [label('enforce')]: 'baseline' };
  const stricter = { ...structuredClone(held), metadata: { ...structuredClone(held.metadata), labels } };
  assert.equal(await warnings('Namespace', stricter), [
    'existing pods in namespace "held" violate the new PodSecurity enforce level "baseline:latest"',
    'a (and 2 other pods): host namespaces',
    'd: privileged',
  ]);
});

test('of very many pods one of each workload is looked at first', () => {
  const pod = (name: string, uid: string | undefined, hostPID: boolean) =>
    ({
      metadata: { name, ...(uid ? { ownerReferences: [{ controller: true, uid }] } : {}) },
      spec: { containers: [], hostPID },
    }) as unknown as Pod;
  const pods = Array.from({ length: 4_000 }, (_, index) => pod(`many-${index}`, 'one', false));
  pods.push(pod('last', 'two', true));
  assert.equal(existingViolations('n', { level: 'baseline', version: 'latest' }, pods), [
    'new PodSecurity enforce level only checked against the first 3000 of 4001 existing pods',
    'existing pods in namespace "n" violate the new PodSecurity enforce level "baseline:latest"',
    'last: host namespaces',
  ]);
});

test.run();
