/** The smaller plugins: priority, tolerations, presets, classes of storage, ingress and runtimes, protection, certificates. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { User } from '../../src/api/types.ts';
import * as r from '../../src/machinery/resources.ts';
import type { Pod, PodSpec } from '../../src/machinery/types.ts';
import { admissionWorld, container, type Fields, namespace, podOf, resourceOf } from './admission-objects.ts';

const test = suite('admission plugins');

const priorityClass = (name: string, value: number, fields: Fields = {}) => ({ metadata: { name }, value, ...fields });

test('a pod gets number and policy of its class', async () => {
  const { make, run } = await admissionWorld();
  const got = async (name: string, spec: Fields) => {
    const made = (await run(podOf(name, {}, spec))).spec as PodSpec;
    return [made.priorityClassName, made.priority, made.preemptionPolicy];
  };
  assert.equal(await got('plain', {}), [undefined, 0, 'PreemptLowerPriority']);
  await make('PriorityClass', priorityClass('polite', 1_000, { preemptionPolicy: 'Never' }));
  assert.equal(await got('polite', { priorityClassName: 'polite' }), ['polite', 1_000, 'Never']);
  assert.equal(await got('agreeing', { priorityClassName: 'polite', priority: 1_000 }), ['polite', 1_000, 'Never']);
  assert.equal(await got('critical', { priorityClassName: 'system-node-critical' }), [
    'system-node-critical',
    2_000_001_000,
    'PreemptLowerPriority',
  ]);
  await make('PriorityClass', priorityClass('usual', 5, { globalDefault: true }));
  assert.equal(await got('by-default', {}), ['usual', 5, 'PreemptLowerPriority']);
});

const computed = 'must not be provided in pod spec; priority admission controller computed';
const wrongPriorities: [Fields, string][] = [
  [{ priorityClassName: 'none' }, 'no PriorityClass with name none was found'],
  [{ priority: 7 }, `the integer value of priority (7) ${computed} 0 from the given PriorityClass name`],
  [
    { priority: 0, priorityClassName: 'ten' },
    `the integer value of priority (0) ${computed} 10 from the given PriorityClass name`,
  ],
  [
    { preemptionPolicy: 'Never', priorityClassName: 'ten' },
    `the string value of PreemptionPolicy (Never) ${computed} PreemptLowerPriority from the given PriorityClass name`,
  ],
];

for (const [spec, why] of wrongPriorities) {
  test(`refused: ${why}`, async () => {
    const { make, run, refusedWith } = await admissionWorld();
    await make('PriorityClass', priorityClass('ten', 10));
    assert.is(await refusedWith(run(podOf('a', {}, spec))), `pods "a" is forbidden: ${why}`);
  });
}

test('a pod’s number stays when its class is gone', async () => {
  const { client, make, run } = await admissionWorld();
  await make('PriorityClass', priorityClass('ten', 10));
  await run(podOf('a', {}, { priorityClassName: 'ten' }));
  await client.delete(r.priorityClasses, 'ten');
  const changed = await client.patch(r.pods, 'a', 'merge', { metadata: { labels: { a: 'b' } } }, { namespace });
  assert.is(changed.spec?.priority, 10);
});

test('the classes of the system stay', async () => {
  const { client, refusedWith } = await admissionWorld();
  const why = 'this is a system priority class and cannot be deleted';
  assert.is(
    await refusedWith(client.delete(r.priorityClasses, 'system-node-critical')),
    `priorityclasses.scheduling.k8s.io "system-node-critical" is forbidden: ${why}`,
  );
});

const tolerated = (key: string, tolerationSeconds: number) => ({
  key,
  effect: 'NoExecute',
  operator: 'Exists',
  tolerationSeconds,
});
const [notReady, unreachable] = [tolerated('node.kubernetes.io/not-ready', 300), tolerated('node.kubernetes.io/unreachable', 2)];
const own = { key: 'node.kubernetes.io/not-ready', operator: 'Exists', tolerationSeconds: 5, effect: 'NoExecute' };
const tolerations: [string, Fields[], Fields[]][] = [
  ['none', [], [notReady, unreachable]],
  ['one of its own', [own], [own, unreachable]],
  ['everything', [{ operator: 'Exists' }], [{ operator: 'Exists' }]],
];

for (const [what, given, expected] of tolerations) {
  test(`a machine that is not ready or gone is tolerated for a while by a pod that tolerates ${what}`, async () => {
    const { client, run } = await admissionWorld();
    const made = await run(podOf('a', {}, { tolerations: given }));
    assert.equal(made.spec?.tolerations, expected);
    const { metadata } = structuredClone(made);
    const replaced = { ...structuredClone(made), metadata: { ...metadata, labels: { a: 'b' } } };
    assert.equal((await client.update(r.pods, replaced, { namespace })).spec?.tolerations, expected);
  });
}

const preset = (name: string, spec: Fields) => ({
  metadata: { name },
  spec: { selector: { matchLabels: { role: 'frontend' } }, ...spec },
});
const database = {
  env: [{ name: 'DB_PORT', value: '6379' }],
  volumeMounts: [{ mountPath: '/cache', name: 'cache-volume' }],
  volumes: [{ name: 'cache-volume', emptyDir: {} }],
};
const website = (annotations: Record<string, string> = {}, of: Fields = {}) => ({
  ...podOf('website', of),
  metadata: { name: 'website', labels: { app: 'website', role: 'frontend' }, annotations },
});
const presetMark = 'podpreset.admission.kubernetes.io/podpreset-allow-database';

test('a preset adds its settings to the pods that it chooses', async () => {
  const { client, make, run } = await admissionWorld();
  const { metadata } = await make('PodPreset', preset('allow-database', database));
  await make('PodPreset', preset('more', { envFrom: [{ configMapRef: { name: 'settings' } }] }));
  const made = await run(website());
  const [first] = (made.spec as PodSpec).containers;
  assert.equal(first?.env, database.env);
  assert.equal(first?.envFrom, [{ configMapRef: { name: 'settings' } }]);
  assert.equal(
    first?.volumeMounts?.find(({ name }) => name === 'cache-volume'),
    database.volumeMounts[0],
  );
  assert.equal(
    made.spec?.volumes?.find(({ name }) => name === 'cache-volume'),
    database.volumes[0],
  );
  assert.is(made.metadata.annotations?.[presetMark], metadata.resourceVersion);
  const other = await client.create<Pod>(r.pods, podOf('other') as never, { namespace });
  assert.is(other.spec?.containers[0]?.env, undefined);
});

const untouched: [string, ReturnType<typeof website>, Fields?][] = [
  ['does not want it', website({ 'podpreset.admission.kubernetes.io/exclude': 'true' })],
  ['has another value', website({}, { env: [{ name: 'DB_PORT', value: '1' }] })],
  [
    'mounts something else there',
    { ...website({}, { volumeMounts: [{ name: 'x', mountPath: '/cache' }] }) },
    { volumes: [{ name: 'x', emptyDir: {} }] },
  ],
  ['has another volume of that name', website(), { volumes: [{ name: 'cache-volume', hostPath: { path: '/x' } }] }],
];

for (const [what, pod, spec] of untouched) {
  test(`no preset changes a pod that ${what}`, async () => {
    const { make, run } = await admissionWorld();
    await make('PodPreset', preset('allow-database', database));
    await make('PodPreset', preset('zz', { env: [{ name: 'OTHER', value: '1' }] }));
    const made = await run({ ...pod, spec: { ...pod.spec, ...spec } });
    assert.equal(made.spec?.containers[0]?.env, pod.spec.containers[0]?.env);
    assert.is(made.metadata.annotations?.[presetMark], undefined);
  });
}

test('what a preset adds that is there already is no conflict', async () => {
  const { make, run } = await admissionWorld();
  await make('PodPreset', preset('allow-database', database));
  const made = await run(website({}, { env: database.env }));
  assert.equal(made.spec?.containers[0]?.env, database.env);
  assert.ok(made.metadata.annotations?.[presetMark]);
});

const claim = (name: string, spec: Fields = {}) => ({
  metadata: { name },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
});
const storageClass = (name: string, isDefault: boolean, fields: Fields = {}) => ({
  metadata: { name, annotations: { 'storageclass.kubernetes.io/is-default-class': String(isDefault) } },
  provisioner: 'example.com/x',
  ...fields,
});

test('a claim that names no class gets the newest default', async () => {
  const { clock, make } = await admissionWorld();
  const classOf = async (name: string, spec?: Fields) =>
    (await make('PersistentVolumeClaim', claim(name, spec))).spec.storageClassName;
  assert.is(await classOf('none'), undefined);
  await make('StorageClass', storageClass('zz', true));
  await make('StorageClass', storageClass('other', false));
  assert.is(await classOf('first'), 'zz');
  await clock.advance(2_000);
  await make('StorageClass', storageClass('newer', true));
  assert.is(await classOf('second'), 'newer');
  assert.is(await classOf('named', { storageClassName: 'other' }), 'other');
  assert.is(await classOf('no-class', { storageClassName: '' }), '');
});

test('claims and volumes are made with what protects them', async () => {
  const { make } = await admissionWorld();
  const { metadata } = await make('PersistentVolumeClaim', claim('a'));
  assert.equal(metadata.finalizers, ['kubernetes.io/pvc-protection']);
  const spec = { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/a' } };
  const volume = await make('PersistentVolume', { metadata: { name: 'a', finalizers: ['example.com/mine'] }, spec });
  assert.equal(volume.metadata.finalizers, ['example.com/mine', 'kubernetes.io/pv-protection']);
});

const cannotGrow =
  'persistentvolumeclaims "a" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize';
for (const [name, fields, why] of [
  ['elastic', { allowVolumeExpansion: true }, undefined],
  ['stiff', {}, cannotGrow],
  ['', {}, cannotGrow],
] as [string, Fields, string | undefined][]) {
  test(`a claim of class "${name}" ${why ? 'stays as it is' : 'grows'}`, async () => {
    const { client, make, refusedWith } = await admissionWorld();
    if (name) await make('StorageClass', storageClass(name, false, fields));
    await make('PersistentVolumeClaim', claim('a', { storageClassName: name }));
    const claims = r.persistentVolumeClaims;
    await client.patch(claims, 'a', 'merge', { status: { phase: 'Bound' } }, { namespace, subresource: 'status' });
    const growth = () =>
      client.patch(claims, 'a', 'merge', { spec: { resources: { requests: { storage: '2Gi' } } } }, { namespace });
    if (why) assert.is(await refusedWith(growth()), why);
    else assert.is((await growth()).spec?.resources?.requests?.storage, '2Gi');
    await client.patch(claims, 'a', 'merge', { metadata: { labels: { a: 'b' } } }, { namespace });
  });
}

const ingress = (name: string, fields: Fields = {}, annotations: Fields = {}) => ({
  metadata: { name, annotations },
  spec: { defaultBackend: { service: { name: 's', port: { number: 80 } } }, ...fields },
});
const ingressClass = (name: string) => ({
  metadata: { name, annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
  spec: { controller: 'example.com/c' },
});

test('an ingress that names no class gets the default, of two the newer one', async () => {
  const { clock, make } = await admissionWorld();
  const classOf = async (object: Fields) => (await make('Ingress', object)).spec.ingressClassName;
  assert.is(await classOf(ingress('none')), undefined);
  await make('IngressClass', ingressClass('one'));
  assert.is(await classOf(ingress('a')), 'one');
  assert.is(await classOf(ingress('b', { ingressClassName: 'other' })), 'other');
  assert.is(await classOf(ingress('c', {}, { 'kubernetes.io/ingress.class': 'old' })), undefined);
  await clock.advance(1_000);
  await make('IngressClass', ingressClass('a-newer'));
  assert.is(await classOf(ingress('d')), 'a-newer');
  await clock.advance(1_000);
  await make('IngressClass', ingressClass('newest'));
  assert.is(await classOf(ingress('d2')), 'newest');
  assert.is(await classOf(ingress('e', { ingressClassName: 'one' })), 'one');
});

const sandbox = {
  metadata: { name: 'sandbox' },
  handler: 'sandbox',
  overhead: { podFixed: { cpu: '250m', memory: '0.5Gi' } },
  scheduling: { nodeSelector: { sandbox: 'yes' }, tolerations: [{ key: 'sandbox', operator: 'Exists' }] },
};

test('a pod gets overhead and placement of its runtime', async () => {
  const { make, run } = await admissionWorld();
  await make('RuntimeClass', sandbox);
  const { spec } = await run(podOf('a', {}, { runtimeClassName: 'sandbox', nodeSelector: { disk: 'ssd' } }));
  assert.equal(spec?.overhead, { cpu: '250m', memory: '512Mi' });
  assert.equal(spec?.nodeSelector, { disk: 'ssd', sandbox: 'yes' });
  assert.equal(spec?.tolerations?.filter(({ key }) => key === 'sandbox').length, 1);
  await run(podOf('b', {}, { runtimeClassName: 'sandbox', overhead: { cpu: '0.25', memory: '512Mi' } }));
});

const wrongRuntimes: [Fields, string][] = [
  [{ runtimeClassName: 'none' }, 'pod rejected: RuntimeClass "none" not found'],
  [
    { runtimeClassName: 'sandbox', overhead: { cpu: '1' } },
    "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
  ],
  [{ overhead: { cpu: '1' } }, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead'],
  [
    { runtimeClassName: 'sandbox', nodeSelector: { sandbox: 'no' } },
    'conflict: runtimeClass.scheduling.nodeSelector[sandbox] = yes; pod.spec.nodeSelector[sandbox] = no',
  ],
];

for (const [spec, why] of wrongRuntimes) {
  test(`refused: ${why}`, async () => {
    const { make, run, refusedWith } = await admissionWorld();
    await make('RuntimeClass', sandbox);
    assert.is(await refusedWith(run(podOf('a', {}, spec))), `pods "a" is forbidden: ${why}`);
  });
}

async function signingRequest(signerName: string, subject: string) {
  x509.cryptoProvider.set(webcrypto as never);
  const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(signingAlgorithm, false, ['sign', 'verify']);
  const made = await x509.Pkcs10CertificateRequestGenerator.create({ name: subject, keys: keys as never, signingAlgorithm });
  const request = Buffer.from(made.toString('pem')).toString('base64');
  return { metadata: { name: 'csr' }, spec: { request, signerName, usages: ['client auth'] } };
}

const clientSigner = 'kubernetes.io/kube-apiserver-client';

test('nobody asks for the group of those who may do everything', async () => {
  const { client, make, refusedWith } = await admissionWorld();
  const csr = await signingRequest(clientSigner, 'CN=eve, O=system:masters');
  assert.is(
    await refusedWith(make('CertificateSigningRequest', csr)),
    `certificatesigningrequests.certificates.k8s.io "csr" is forbidden: use of ${clientSigner} signer with system:masters group is not allowed`,
  );
  await make('CertificateSigningRequest', await signingRequest(clientSigner, 'CN=eve, O=team'));
  await client.delete(resourceOf('CertificateSigningRequest'), 'csr');
  await make('CertificateSigningRequest', await signingRequest('example.com/own', 'CN=eve, O=system:masters'));
});

const bob: User = { name: 'bob', groups: ['system:authenticated'] };
const signerRule = (resourceNames: string[], verbs: string[]) => ({
  apiGroups: ['certificates.k8s.io'],
  resources: ['signers'],
  resourceNames,
  verbs,
});

for (const [names, verbs, approves, signs] of [
  [[], [], false, false],
  [['example.com/own'], ['approve'], true, false],
  [['example.com/*'], ['approve', 'sign'], true, true],
  [['example.com/other', 'example.org/*'], ['approve', 'sign'], false, false],
] as [string[], string[], boolean, boolean][]) {
  test(`who may ${verbs.join(' and ') || 'nothing'} for ${names.join(' and ') || 'nobody'}, approves: ${approves}, signs: ${signs}`, async () => {
    const { client, clientOf, make, refusedWith } = await admissionWorld();
    const resources = ['certificatesigningrequests', 'certificatesigningrequests/approval', 'certificatesigningrequests/status'];
    const rules = [
      { apiGroups: ['certificates.k8s.io'], resources, verbs: ['get', 'update', 'patch'] },
      ...(names.length > 0 ? [signerRule(names, verbs)] : []),
    ];
    await client.create(r.clusterRoles, { metadata: { name: 'signer' }, rules });
    await client.create(r.clusterRoleBindings, {
      metadata: { name: 'signer' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'signer' },
      subjects: [{ kind: 'User', name: 'bob', apiGroup: 'rbac.authorization.k8s.io' }],
    });
    await make('CertificateSigningRequest', await signingRequest('example.com/own', 'CN=eve'));
    const of = resourceOf('CertificateSigningRequest');
    const condition = { type: 'Approved', status: 'True', reason: 'Known' };
    const approve = () =>
      clientOf(bob).patch(of, 'csr', 'merge', { status: { conditions: [condition] } }, { subresource: 'approval' });
    const sign = () => clientOf(bob).patch(of, 'csr', 'merge', { status: { certificate: 'eA==' } }, { subresource: 'status' });
    const why = (verb: string) =>
      `certificatesigningrequests.certificates.k8s.io "csr" is forbidden: user not permitted to ${verb} requests with signerName "example.com/own"`;
    if (approves) await approve();
    else assert.is(await refusedWith(approve()), why('approve'));
    if (signs) await sign();
    else assert.is(await refusedWith(sign()), why('sign'));
  });
}

test('containers that a preset changes may be several', async () => {
  const { make, run } = await admissionWorld();
  await make('PodPreset', preset('allow-database', database));
  const pod = website();
  const made = await run({
    ...pod,
    spec: { containers: [container(), container({ name: 'side' })], initContainers: [container({ name: 'init' })] },
  });
  const all = [...(made.spec?.containers ?? []), ...(made.spec?.initContainers ?? [])];
  assert.equal(
    all.map(({ env }) => env),
    [database.env, database.env, database.env],
  );
});

test.run();
