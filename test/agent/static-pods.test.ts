/** Pods of the machine's own folder: they run without the API, are mirrored in it, and follow their files. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { StaticFolder } from '../../src/agent/pods/static-folder.ts';
import { podOfManifest } from '../../src/agent/pods/static-manifest.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { nodes, pods } from '../../src/machinery/resources.ts';
import type { Pod } from '../../src/machinery/types.ts';
import { getText } from './support/agent-client.ts';
import { image, Lab, until } from './support/lab.ts';

let lab: Lab;
const folder = mkdtempSync(join(tmpdir(), 'kontiki-static-'));
test.before(async () => {
  lab = await Lab.open();
  await lab.stopAgent();
  lab.options.staticPodPath = folder;
  await lab.startAgent();
});
test.after(async () => {
  await lab.close();
  rmSync(folder, { recursive: true });
});

const manifest = (word: string) => `
apiVersion: v1
kind: Pod
metadata: {name: own, labels: {app: own}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: ${image}
    command: [sh, -c, 'echo ${word}; trap "exit 0" TERM; while true; do sleep 0.1; done']
`;
const name = 'own-test-node';
const file = join(folder, 'own.yaml');
function put(text: string): void {
  writeFileSync(join(folder, '.new'), text);
  renameSync(join(folder, '.new'), file);
}
const idOf = (pod: Pod) => pod.status?.containerStatuses?.[0]?.containerID;
const says = (word: string) =>
  until(`it says ${word}`, async () => {
    const { code, text } = await getText(lab.options.agentSocket, `/logs/default/${name}/main`).catch(() => ({
      code: 0,
      text: '',
    }));
    return code === 200 && text === `${word}\n`;
  });

test('it runs, its mirror shows it and comes back when somebody deletes it', async () => {
  put(manifest('one'));
  const mirror = await lab.running(name);
  const { annotations = {}, ownerReferences } = mirror.metadata;
  const hash = annotations['kubernetes.io/config.hash'];
  assert.ok(hash);
  assert.is(annotations['kubernetes.io/config.mirror'], hash);
  assert.is(annotations['kubernetes.io/config.source'], 'file');
  const node = await lab.api.get(nodes, 'test-node');
  assert.equal(ownerReferences, [
    { apiVersion: 'v1', kind: 'Node', name: 'test-node', uid: node.metadata.uid, controller: true },
  ]);
  assert.ok(mirror.status?.conditions?.some(({ type, status }) => type === 'PodScheduled' && status === 'True'));
  await lab.deletePod(name, 30);
  const next = await lab.podUntil(
    name,
    'is mirrored again',
    ({ phase }, { metadata }) => phase === 'Running' && metadata.uid !== mirror.metadata.uid && !metadata.deletionTimestamp,
  );
  assert.is(idOf(next), idOf(mirror), 'the container has not noticed');
  await says('one');
});

test('without the API a changed file is another pod, and a broken one changes nothing', async () => {
  const before = await lab.running(name);
  lab.api.setAway(true);
  put(manifest('two'));
  await says('two');
  put('kind: {');
  lab.api.setAway(false);
  const after = await lab.podUntil(
    name,
    'has the other hash',
    ({ phase }, { metadata }) =>
      phase === 'Running' &&
      metadata.annotations?.['kubernetes.io/config.hash'] !== before.metadata.annotations?.['kubernetes.io/config.hash'],
  );
  assert.is.not(idOf(after), idOf(before));
});

test('a new agent takes it up again, and removes mirrors of what is not here', async () => {
  put(manifest('two'));
  const before = await lab.running(name);
  await lab.stopAgent();
  const metadata = { annotations: { 'kubernetes.io/config.mirror': 'gone' } };
  await lab.createPod('stray-test-node', { containers: [{ name: 'main', image }] }, metadata);
  await lab.startAgent();
  await until('the stray mirror is gone', async () => {
    const { items } = await lab.api.list(pods);
    return !items.some((pod) => pod.metadata.name === 'stray-test-node');
  });
  const after = await lab.running(name);
  assert.is(idOf(after), idOf(before));
  assert.is(after.metadata.uid, before.metadata.uid);
});

test('without its file it ends, and its mirror with it', async () => {
  rmSync(file);
  await until(
    'nothing of it is left',
    async () => (await lab.api.list(pods)).items.length === 0 && (await lab.cgroups.list()).length === 0,
  );
});

const place = { file: '/f.yaml', nodeName: 'n', nowMs: 0 };
const spec = '{containers: [{name: a, image: b}]';
const refusals: [text: string, why: RegExp][] = [
  ['kind: Deployment', /does not hold a Pod of v1/],
  ['[', /./],
  ['{apiVersion: v1, kind: Pod, metadata: {name: a}}', /spec: Required value/],
  ['{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: []}}', /spec.containers: Required value/],
  [`{apiVersion: v1, kind: Pod, metadata: {name: A_}, spec: ${spec}}}`, /metadata.name: /],
  [
    `{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: ${spec}, serviceAccountName: x}}`,
    /may not reference a service account/,
  ],
  [`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: ${spec}, volumes: [{name: v, secret: {secretName: s}}]}}`, /secrets/],
  [`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: ${spec}, hostNetwork: 7}}`, /cannot unmarshal number/],
];
for (const [text, why] of refusals) {
  test(`a manifest that is none: ${why}`, () => {
    assert.throws(() => podOfManifest(text, place), why);
  });
}

test('a folder keeps the last good form of a file, and leaves out what is none', async () => {
  const path = mkdtempSync(join(tmpdir(), 'kontiki-static-'));
  try {
    const options = { path, nodeName: 'n', clock: systemClock, logger: silentLogger };
    assert.equal(await new StaticFolder({ ...options, path: join(path, 'none') }).read(), []);
    const folder = new StaticFolder(options);
    writeFileSync(join(path, '.hidden'), manifest('x'));
    writeFileSync(join(path, 'large'), `${manifest('x')}#${' '.repeat(2 ** 20)}`);
    writeFileSync(join(path, 'a.yaml'), manifest('one'));
    writeFileSync(join(path, 'b.json'), JSON.stringify({ ...podOfManifest(manifest('two'), place), status: undefined }));
    writeFileSync(join(path, 'c.yaml'), manifest('also one'));
    const first = await folder.read();
    assert.equal(
      first.map(({ metadata }) => metadata.name),
      ['own-n', 'own-n-n'],
    );
    assert.match(first[0]!.spec!.containers[0]!.command![2]!, 'echo one;');
    writeFileSync(join(path, 'a.yaml'), 'kind: {');
    const second = await folder.read();
    assert.is(second[0], first[0]);
    rmSync(join(path, 'a.yaml'));
    const third = await folder.read();
    assert.equal(
      third.map(({ metadata }) => metadata.name),
      ['own-n-n', 'own-n'],
    );
    assert.match(third[1]!.spec!.containers[0]!.command![2]!, 'echo also one;');
  } finally {
    rmSync(path, { recursive: true });
  }
});

test('the uid is a function of machine, file and text', () => {
  const text = manifest('x');
  const uid = (more: object = {}, wanted = text) => podOfManifest(wanted, { ...place, ...more }).metadata.uid;
  assert.is(uid(), uid({ nowMs: 5 }));
  const others = [uid({ nodeName: 'm' }), uid({ file: '/g.yaml' }), uid({}, manifest('y'))];
  assert.is(new Set([uid(), ...others]).size, 4);
});

test.run();
