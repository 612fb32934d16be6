/** Quotas counted again, and claims and volumes that go when nothing uses them: against the real API in this process. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startControllers } from '../../src/controllers/index.ts';
import { planQuota } from '../../src/controllers/resource-quota/plan.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { seededRandom } from '../../src/lib/random.ts';
import type { ResourceQuota } from '../../src/machinery/kind-types.ts';
import * as r from '../../src/machinery/resources.ts';
import type { Pod } from '../../src/machinery/types.ts';
import { admissionWorld, namespace, podOf } from '../api/admission-objects.ts';

const test = suite('quota and storage controllers');
const resources = [
  r.pods,
  r.services,
  r.configMaps,
  r.persistentVolumeClaims,
  r.resourceQuotas,
  r.secrets,
] as unknown as r.Resource[];

type World = Awaited<ReturnType<typeof admissionWorld>> & { look(is: () => Promise<boolean>, what: string): Promise<void> };

async function withControllers(run: (world: World) => Promise<void>): Promise<void> {
  const world = await admissionWorld();
  const { client, clock, nodeHealth } = world;
  const abort = new AbortController();
  const options = { namespacedResources: resources, ownableResources: resources, apiAddresses: () => [] };
  const common = { client, clock, random: seededRandom(3), logger: silentLogger };
  const ended = startControllers({ ...common, nodeHealth, clusterCidr: '10.42.0.0/16', options }, abort.signal);
  /** Moves the clock until it is so. */
  const look = async (is: () => Promise<boolean>, what: string) => {
    for (let count = 0; count < 600; count++) {
      if (await is()) return;
      await clock.advance(1_000);
    }
    throw new Error(`not within ten minutes: ${what}`);
  };
  try {
    await run({ ...world, look });
  } finally {
    abort.abort(new Error('end of test'));
    await ended;
  }
}

const quota = (hard: Record<string, string>) => ({ metadata: { name: 'q' }, spec: { hard } });

test('what is deleted or over is given back', () =>
  withControllers(async ({ client, make, run, look }) => {
    await run(podOf('before'));
    await make('ResourceQuota', quota({ pods: '3', 'count/pods': '10', configmaps: '50' }));
    const used = async () => (await client.get<ResourceQuota>(r.resourceQuotas, 'q', { namespace })).status?.used;
    await look(async () => (await used())?.pods === '1', 'counted what was there');
    await run(podOf('a'));
    await run(podOf('b'));
    assert.is((await used())?.pods, '3');
    await client.delete(r.pods, 'before', { namespace });
    await look(async () => (await used())?.pods === '2', 'a deleted pod is given back');
    const status = { phase: 'Succeeded' };
    await client.patch<Pod>(r.pods, 'a', 'merge', { status }, { namespace, subresource: 'status' });
    await look(
      async () => (await used())?.pods === '1' && (await used())?.['count/pods'] === '2',
      'a finished pod is given back',
    );
    await run(podOf('c'));
    const made = (await used())?.configmaps;
    await make('ConfigMap', { metadata: { name: 'x' } });
    await client.delete(r.configMaps, 'x', { namespace });
    await look(async () => (await used())?.configmaps === made, 'a deleted config map is given back');
  }));

test('a changed quota and a wrong status are counted again', () =>
  withControllers(async ({ client, make, run, look }) => {
    await make('ResourceQuota', quota({ pods: '3' }));
    await run(podOf('a'));
    const status = async () => (await client.get<ResourceQuota>(r.resourceQuotas, 'q', { namespace })).status;
    await client.patch(r.resourceQuotas, 'q', 'merge', { spec: { hard: { pods: '5', secrets: '4' } } }, { namespace });
    await look(
      async () => (await status())?.hard?.pods === '5' && (await status())?.used?.secrets === '0',
      'the new spec is shown',
    );
    const wrong = { status: { used: { pods: '4' } } };
    await client.patch(r.resourceQuotas, 'q', 'merge', wrong, { namespace, subresource: 'status' });
    await look(async () => (await status())?.used?.pods === '1', 'the periodic count puts it right');
  }));

test('a pod that should long be gone takes nothing, and the plan says when that is', () => {
  const nowMs = Date.parse('2026-01-01T00:00:00Z');
  const going = (deletionTimestamp: string) =>
    ({ ...podOf('a'), metadata: { name: 'a', deletionTimestamp, deletionGracePeriodSeconds: 30 } }) as unknown as Pod;
  const of = quota({ pods: '3' }) as unknown as ResourceQuota;
  const plan = planQuota(of, () => [going('2025-12-31T23:59:45Z'), going('2025-12-31T23:00:00Z')], nowMs);
  assert.equal(plan, { status: { hard: { pods: '3' }, used: { pods: '1' } }, recountInMs: 16_000 });
  assert.is(planQuota(of, () => [], nowMs).recountInMs, 300_000);
});

const claim = (name: string) => ({
  metadata: { name },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
});
const using = (name: string, claimName: string, spec: object = {}) =>
  podOf(name, {}, { volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }], ...spec });

test('a claim that a pod uses stays until the pod is over', () =>
  withControllers(async ({ client, clock, make, run, look }) => {
    const exists = async (name: string) =>
      (await client.list(r.persistentVolumeClaims, { namespace })).items.some(({ metadata }) => metadata.name === name);
    await client.create(r.nodes, { metadata: { name: 'one' } });
    for (const name of ['used', 'waited-for', 'free']) await make('PersistentVolumeClaim', claim(name));
    await run(using('a', 'used', { nodeName: 'one' }));
    await run(using('b', 'waited-for'));
    for (const name of ['used', 'waited-for', 'free']) await client.delete(r.persistentVolumeClaims, name, { namespace });
    await look(async () => !(await exists('free')) && !(await exists('waited-for')), 'claims that no pod on a machine uses go');
    await clock.advance(10_000);
    assert.ok(await exists('used'));
    await client.patch<Pod>(r.pods, 'a', 'merge', { status: { phase: 'Failed' } }, { namespace, subresource: 'status' });
    await look(async () => !(await exists('used')), 'the claim of a finished pod goes');
  }));

test('a volume that a claim has stays until it is released', () =>
  withControllers(async ({ client, clock, make, look }) => {
    const spec = { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/a' } };
    await make('PersistentVolume', { metadata: { name: 'bound' }, spec });
    await make('PersistentVolume', { metadata: { name: 'free' }, spec });
    const bound = { status: { phase: 'Bound' } };
    await client.patch(r.persistentVolumes, 'bound', 'merge', bound, { subresource: 'status' });
    const names = async () => (await client.list(r.persistentVolumes)).items.map(({ metadata }) => metadata.name);
    for (const name of ['bound', 'free']) await client.delete(r.persistentVolumes, name);
    await look(async () => !(await names()).includes('free'), 'a volume that nobody has goes');
    await clock.advance(10_000);
    assert.equal(await names(), ['bound']);
    await client.patch(r.persistentVolumes, 'bound', 'merge', { status: { phase: 'Released' } }, { subresource: 'status' });
    await look(async () => (await names()).length === 0, 'the released volume goes');
  }));

test.run();
