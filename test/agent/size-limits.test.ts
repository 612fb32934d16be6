/** A pod whose disk emptyDir outgrows its limit is evicted; one within stays. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sizedVolumes } from '../../src/agent/eviction/storage-limits.ts';
import type { PodSpec } from '../../src/machinery/types.ts';
import { image, Lab } from './support/lab.ts';

let lab: Lab;
test.before(async () => {
  lab = await Lab.open();
});
test.after(() => lab.close());

test('only emptyDirs on disk with a limit are counted', () => {
  const volumes = [
    { name: 'a', emptyDir: { sizeLimit: '1Mi' } },
    { name: 'b', emptyDir: {} },
    { name: 'c', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
    { name: 'd', hostPath: { path: '/x' } },
    { name: 'e', emptyDir: { sizeLimit: '0' } },
  ];
  assert.equal(sizedVolumes({ containers: [], volumes } as unknown as PodSpec), [{ name: 'a', limit: '1Mi' }]);
});

test('what is written beyond the limit evicts the pod', async () => {
  const spec = (kilobytes: number) => ({
    volumes: [{ name: 'data', emptyDir: { sizeLimit: '1Mi' } }],
    containers: [
      {
        name: 'main',
        image,
        command: ['sh', '-c', `dd if=/dev/zero of=/data/x bs=1024 count=${kilobytes}; exec sleep 1000`],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
  });
  await lab.createPod('modest', spec(512));
  await lab.createPod('greedy', spec(2_048));
  const pod = await lab.podUntil('greedy', 'is evicted', ({ phase }) => phase === 'Failed');
  const message = 'Usage of EmptyDir volume "data" exceeds the limit "1Mi". ';
  assert.is(pod.status?.reason, 'Evicted');
  assert.is(pod.status?.message, message);
  assert.ok(lab.events.some((event) => event.pod === 'greedy' && event.reason === 'Evicted' && event.message === message));
  await lab.podUntil('greedy', 'has ended', ({ containerStatuses }) => containerStatuses?.[0]?.state?.terminated);
  assert.is((await lab.running('modest')).status?.phase, 'Running');
});

test.run();
