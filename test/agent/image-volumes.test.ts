/** Volumes that are images: what is in them, who waits for them, and that their images stay as long as the pod. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type BuiltImage, dockerArchive, entry, image as imageOf, layer, symbolicLink } from '../images/image-fixtures.ts';
import { image, Lab, mountsOf, until } from './support/lab.ts';

const pages = 'registry.test/pages:1';
const volumes = [{ name: 'pages', image: { reference: pages, pullPolicy: 'IfNotPresent' } }];
const command = ['sleep', '1000'];
let lab: Lab;
let built: BuiltImage;

test.before(async () => {
  lab = await Lab.open();
  const folder = mkdtempSync(join(tmpdir(), 'kontiki-image-volume-'));
  try {
    const lower = layer(entry('site/'), entry('site/index', 'old'), entry('site/other', 'other'));
    const upper = layer(
      entry('site/index', 'one'),
      entry('run', '#!/bin/sh\necho ran\n', { mode: 0o755 }),
      symbolicLink('out', '/etc'),
    );
    built = imageOf([lower, upper]);
    const archive = dockerArchive(join(folder, 'pages.tar'), [{ image: built, tags: [pages] }]);
    await lab.images.importArchive(archive, AbortSignal.timeout(60_000));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
test.after(() => lab.close());

const run = (pod: string, script: string, container?: string) => lab.shell(pod, script, container);

const imageMounts = () => mountsOf(join(lab.dataDir, 'images')).filter((line) => line.includes('.pages/root '));

test('the files of an image are there for every container, and can be neither changed nor run', async () => {
  const volumeMounts = [
    { name: 'pages', mountPath: '/pages' },
    { name: 'pages', mountPath: '/part', subPath: 'site' },
    { name: 'pages', mountPath: '/file', subPathExpr: '$(FOLDER)/other' },
  ];
  const env = [{ name: 'FOLDER', value: 'site' }];
  await lab.createPod('reader', {
    volumes,
    containers: [
      { name: 'main', image, command, volumeMounts, env },
      { name: 'side', image, command, volumeMounts, env },
    ],
  });
  await lab.running('reader');
  assert.is(await run('reader', 'cat /pages/site/index /part/index /file'), 'oneoneother');
  assert.is(await run('reader', 'cat /pages/site/index', 'side'), 'one');
  assert.match(await run('reader', 'echo no > /pages/site/index'), /Read-only file system/);
  assert.match(await run('reader', 'echo no > /part/new'), /Read-only file system/);
  assert.match(await run('reader', '/pages/run'), /Permission denied/);
  assert.is(imageMounts().length, 1);
  const message = `Container image "${pages}" already present on machine`;
  assert.is(lab.events.filter((event) => event.pod === 'reader' && event.message === message).length, 1);
});

test('the image is in use while the pod is there, also for the next agent', async () => {
  const refusal = () => lab.images.remove(pages).then(() => 'removed', String);
  assert.match(await refusal(), /is in use by pod default\/reader/);
  await lab.stopAgent();
  await lab.startAgent();
  assert.match(await refusal(), /is in use by pod default\/reader/);
  assert.is(await run('reader', 'kill 1; cat /pages/site/index').then((text) => text.slice(0, 3)), 'one');
});

test('owners are those of the image for a pod with user ids of its own too', async () => {
  const volumeMounts = [{ name: 'pages', mountPath: '/pages' }];
  await lab.createPod('mapped', { hostUsers: false, volumes, containers: [{ name: 'main', image, command, volumeMounts }] });
  await lab.running('mapped');
  assert.is(await run('mapped', 'cat /pages/site/index; stat -c :%u:%g /pages/site/index'), 'one:0:0\n');
  assert.match(await run('mapped', '/pages/run'), /Permission denied/);
});

test('a part that the image lacks, or that lies outside of it, is refused', async () => {
  for (const [name, subPath, message] of [
    ['absent', 'site/absent', 'failed to find subPath "site/absent" in its volume'],
    ['outside', 'out', 'subPath "out" leads out of its volume'],
  ] as const) {
    const volumeMounts = [{ name: 'pages', mountPath: '/pages', subPath }];
    await lab.createPod(name, { volumes, containers: [{ name: 'main', image, command, volumeMounts }] });
    await lab.podUntil(name, 'says why', ({ containerStatuses }) => {
      const { reason, message: said } = containerStatuses?.[0]?.state?.waiting ?? {};
      return reason === 'CreateContainerConfigError' && said === message;
    });
    await lab.deletePod(name);
  }
});

test('a container waits for the image of its volume as for its own; others start', async () => {
  const reference = '127.0.0.1:9/none:1';
  await lab.createPod('waits', {
    volumes: [{ name: 'pages', image: { reference, pullPolicy: 'IfNotPresent' } }],
    containers: [
      { name: 'main', image, command, volumeMounts: [{ name: 'pages', mountPath: '/pages' }] },
      { name: 'other', image, command },
    ],
  });
  const pod = await lab.podUntil('waits', 'backs off', ({ containerStatuses }) => {
    const [main, other] = containerStatuses ?? [];
    return main?.state?.waiting?.reason === 'ImagePullBackOff' && other?.state?.running;
  });
  assert.match(
    pod.status?.containerStatuses?.[0]?.state?.waiting?.message ?? '',
    `Back-off pulling image "${reference}": ErrImagePull: `,
  );
  const events = lab.events.filter((event) => event.pod === 'waits').map(({ reason, message }) => `${reason} ${message}`);
  assert.ok(events.includes(`Pulling Pulling image "${reference}"`));
  assert.ok(events.some((event) => event.startsWith(`Failed Failed to pull image "${reference}": `)));
});

test('when the pods have gone, so may the image', async () => {
  for (const name of ['reader', 'mapped', 'waits']) await lab.deletePod(name);
  await until('the mounts go', () => imageMounts().length === 0);
  await until('nobody needs it', () => lab.images.uses().find(({ id }) => id === built.id)?.usedBy.length === 0);
  assert.equal((await lab.images.remove(pages)).deleted, [built.id]);
});

test.run();
