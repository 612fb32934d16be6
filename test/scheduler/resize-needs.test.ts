/** While a pod is resized, nodes hold the larger of what it asks and what it has. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { needsOf } from '../../src/scheduler/pod-needs.ts';

const rows: [
  what: string,
  allocated: string | undefined,
  inForce: string | undefined,
  reason: string | undefined,
  milli: number,
][] = [
  ['not taken up yet', undefined, undefined, undefined, 300],
  ['as asked', '300m', '300m', undefined, 300],
  ['deferred growth', '100m', '100m', 'Deferred', 300],
  ['growth that never comes', '100m', '100m', 'Infeasible', 100],
  ['shrinking, agreed on', '300m', '500m', undefined, 500],
  ['shrinking, not agreed on', '500m', '500m', undefined, 500],
];
for (const [what, allocated, inForce, reason, milli] of rows) {
  test(`${what}: ${milli}m`, () => {
    const status = {
      name: 'c',
      ...(allocated ? { allocatedResources: { cpu: allocated } } : {}),
      ...(inForce ? { resources: { requests: { cpu: inForce } } } : {}),
    };
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', uid: 'u' },
      spec: { containers: [{ name: 'c', resources: { requests: { cpu: '300m' } } }] },
      status: {
        containerStatuses: [status as never],
        ...(reason ? { conditions: [{ type: 'PodResizePending', status: 'True', reason }] } : {}),
      },
    };
    assert.is(needsOf(pod).requests.cpuMilli, milli);
  });
}

test.run();
