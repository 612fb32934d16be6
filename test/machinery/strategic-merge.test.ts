import './generated.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { StatusError } from '../../src/machinery/status.ts';
import { applyStrategicMerge } from '../../src/machinery/strategic-merge.ts';

const pod = (spec: object) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec });
const patchSpec = (spec: object, patch: object) =>
  (applyStrategicMerge(pod(spec), { spec: patch }, 'core.v1.Pod') as { spec: unknown }).spec;
const patchMeta = (metadata: object, patch: object) =>
  (applyStrategicMerge({ metadata }, { metadata: patch }, 'v1.Pod') as { metadata: unknown }).metadata;

function codeOf(apply: () => unknown): number {
  try {
    apply();
  } catch (error) {
    assert.instance(error, StatusError, String(error));
    return (error as StatusError).code;
  }
  throw new Error('was accepted');
}

test('containers merge by name, env by name, and the input stays as it was', () => {
  const spec = { containers: [{ name: 'a', image: 'x:1', env: [{ name: 'E', value: '1' }], args: ['p', 'q'] }] };
  const before = structuredClone(spec);
  const patch = { containers: [{ name: 'a', image: 'x:2', env: [{ name: 'F', value: '2' }], args: ['r'] }] };
  assert.equal(patchSpec(spec, patch), {
    containers: [
      {
        name: 'a',
        image: 'x:2',
        env: [
          { name: 'F', value: '2' },
          { name: 'E', value: '1' },
        ],
        args: ['r'],
      },
    ],
  });
  assert.equal(spec, before);
});

test('without an order a new element stands first, as users of kubectl patch see', () => {
  const spec = { containers: [{ name: 'a' }, { name: 'b' }] };
  assert.equal(patchSpec(spec, { containers: [{ name: 'c' }] }), { containers: [{ name: 'c' }, { name: 'a' }, { name: 'b' }] });
});

test('with an order the list follows it, and what only the server has keeps its place', () => {
  const spec = { containers: [{ name: 'a' }, { name: 'injected' }, { name: 'b' }] };
  const patch = {
    $setElementOrder_: 0,
    containers: [{ name: 'c', image: 'i' }],
    '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }, { name: 'c' }],
  };
  const { $setElementOrder_: _, ...real } = patch;
  assert.equal(patchSpec(spec, real), {
    containers: [{ name: 'injected' }, { name: 'b' }, { name: 'a' }, { name: 'c', image: 'i' }],
  });
  assert.equal(patchSpec(spec, { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] }), {
    containers: [{ name: 'injected' }, { name: 'b' }, { name: 'a' }],
  });
});

test('an element that is not in the order of the patch is refused', () => {
  const order = [{ name: 'a' }, { name: 'b' }];
  for (const containers of [[{ name: 'b' }, { name: 'a' }], [{ name: 'z' }]]) {
    assert.is(
      codeOf(() => patchSpec({ containers: [{ name: 'a' }] }, { '$setElementOrder/containers': order, containers })),
      400,
    );
  }
});

test('an element can be deleted by its key', () => {
  const spec = { containers: [{ name: 'a' }, { name: 'b' }] };
  const patch = { '$setElementOrder/containers': [{ name: 'b' }], containers: [{ $patch: 'delete', name: 'a' }] };
  assert.equal(patchSpec(spec, patch), { containers: [{ name: 'b' }] });
  assert.equal(patchSpec({}, { containers: [{ $patch: 'delete', name: 'a' }, { name: 'b' }] }), { containers: [{ name: 'b' }] });
});

test('a list or a map can be replaced as a whole', () => {
  const spec = { containers: [{ name: 'a' }, { name: 'b' }], securityContext: { runAsUser: 1, fsGroup: 2 } };
  assert.equal(
    patchSpec(spec, { containers: [{ name: 'c' }, { $patch: 'replace' }], securityContext: { $patch: 'replace', fsGroup: 3 } }),
    {
      containers: [{ name: 'c' }],
      securityContext: { fsGroup: 3 },
    },
  );
  assert.equal(patchSpec({ securityContext: { runAsUser: 1 } }, { securityContext: { $patch: 'delete' } }), {
    securityContext: {},
  });
});

test('retainKeys drops what the patch does not name', () => {
  const spec = { volumes: [{ name: 'v', emptyDir: {} }] };
  const patch = { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/x' } }] };
  assert.equal(patchSpec(spec, patch), { volumes: [{ name: 'v', hostPath: { path: '/x' } }] });
  const deployment = { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } };
  const recreate = { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } };
  assert.equal(applyStrategicMerge(deployment, recreate, 'apps.v1.Deployment'), { spec: { strategy: { type: 'Recreate' } } });
  assert.is(
    codeOf(() => patchSpec(spec, { volumes: [{ name: 'v', $retainKeys: ['name'], emptyDir: {} }] })),
    400,
  );
});

test('plain lists with merge are sets; others are replaced', () => {
  assert.equal(patchMeta({ finalizers: ['a/1', 'a/2'] }, { finalizers: ['a/2', 'a/3'] }), { finalizers: ['a/1', 'a/2', 'a/3'] });
  const patch = {
    '$deleteFromPrimitiveList/finalizers': ['a/1'],
    '$setElementOrder/finalizers': ['a/2', 'a/3'],
    finalizers: ['a/3'],
  };
  assert.equal(patchMeta({ finalizers: ['a/1', 'a/2'] }, patch), { finalizers: ['a/2', 'a/3'] });
  assert.equal(patchSpec({ tolerations: [{ key: 'a' }] }, { tolerations: [{ key: 'b' }] }), { tolerations: [{ key: 'b' }] });
});

test('null deletes, also inside a map of strings; new values carry no nulls and no directives', () => {
  assert.equal(patchMeta({ labels: { a: '1', b: '2' } }, { labels: { a: null, c: '3' } }), { labels: { b: '2', c: '3' } });
  const patch = {
    securityContext: { runAsUser: null, fsGroup: 1 },
    containers: [{ name: 'a', image: null, '$setElementOrder/env': [] }],
  };
  assert.equal(patchSpec({}, patch), { securityContext: { fsGroup: 1 }, containers: [{ name: 'a' }] });
});

test('lists that are annotated merge keys of their own: ports, mounts, owners', () => {
  const spec = {
    containers: [{ name: 'a', ports: [{ containerPort: 80, name: 'x' }], volumeMounts: [{ mountPath: '/a', name: 'v' }] }],
  };
  const patch = {
    containers: [{ name: 'a', ports: [{ containerPort: 80, name: 'y' }], volumeMounts: [{ mountPath: '/b', name: 'v' }] }],
  };
  const { containers } = patchSpec(spec, patch) as typeof spec;
  assert.equal(containers[0]!.ports, [{ containerPort: 80, name: 'y' }]);
  assert.equal(containers[0]!.volumeMounts, [
    { mountPath: '/b', name: 'v' },
    { mountPath: '/a', name: 'v' },
  ]);
  const owners = patchMeta({ ownerReferences: [{ uid: '1', name: 'a' }] }, { ownerReferences: [{ uid: '1', controller: true }] });
  assert.equal(owners, { ownerReferences: [{ uid: '1', name: 'a', controller: true }] });
});

test('malformed directives are 400, unmergeable lists 422', () => {
  assert.is(
    codeOf(() => patchSpec({}, { securityContext: { $patch: 'explode' } })),
    400,
  );
  assert.is(
    codeOf(() => patchSpec({}, { containers: [{ $patch: 'explode', name: 'a' }] })),
    400,
  );
  assert.is(
    codeOf(() => patchSpec({}, { '$setElementOrder/containers': {} })),
    400,
  );
  assert.is(
    codeOf(() => patchSpec({ containers: [{ name: 'a' }] }, { containers: [{ image: 'x' }] })),
    422,
  );
  assert.is(
    codeOf(() => patchSpec({ containers: [{ name: 'a' }] }, { containers: ['x'] })),
    422,
  );
  assert.is(
    codeOf(() => applyStrategicMerge({}, [], 'core.v1.Pod')),
    400,
  );
});

test('a long list merges in time that grows with its length, not its square', () => {
  const containers = Array.from({ length: 20_000 }, (_, index) => ({ name: `c${index}` }));
  const order = containers.map(({ name }) => ({ name })).reverse();
  const patched = patchSpec({ containers }, { containers: [...containers].reverse(), '$setElementOrder/containers': order });
  assert.is((patched as { containers: { name: string }[] }).containers[0]!.name, 'c19999');
});

test.run();
