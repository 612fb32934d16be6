/** What is kept up for access: aggregated roles, the root certificate in every namespace, tokens in secrets. Real API. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createApi } from '../../src/api/index.ts';
import { kinds } from '../../src/api/kinds/index.ts';
import { startControllers } from '../../src/controllers/index.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { seededRandom } from '../../src/lib/random.ts';
import { aggregatedRules } from '../../src/machinery/aggregation.ts';
import type { Client } from '../../src/machinery/client.ts';
import * as r from '../../src/machinery/resources.ts';
import { isReason, serviceUnavailable } from '../../src/machinery/status.ts';
import type { ClusterRole } from '../../src/machinery/types.ts';
import { MemoryCluster } from '../api/memory-cluster.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { FakeHealth } from './cluster.ts';

const rootCertificate = '-----BEGIN CERTIFICATE-----\n';
const inDefault = { namespace: 'default' };

interface World {
  client: Client;
  /** Waits, moving the clock, until `probe` gives something. */
  eventually<T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T>;
}

async function withControllers(run: (world: World) => Promise<void>): Promise<void> {
  const clock = new ManualClock();
  const random = seededRandom(3);
  const nodeHealth = new FakeHealth();
  const api = createApi({
    store: await MemoryCluster.open(),
    kinds,
    agents: { connect: () => Promise.reject(serviceUnavailable('no agents here')) },
    nodeHealth,
    clock,
    random,
    logger: silentLogger,
    serviceCidr: '10.43.0.0/16',
    nodePortRange: { from: 30_000, to: 32_767 },
  });
  const abort = new AbortController();
  const client = api.client();
  await api.bootstrap(abort.signal);
  const options = { apiAddresses: () => [], namespacedResources: [], ownableResources: [], rootCertificate };
  const common = { client, clock, random, nodeHealth, clusterCidr: '10.42.0.0/16', options, logger: silentLogger };
  const ended = startControllers(common, abort.signal);
  const eventually: World['eventually'] = async (what, probe) => {
    for (let count = 0; count < 200; count++) {
      const value = await probe().catch((error: unknown) => {
        if (isReason(error, 'NotFound')) return undefined;
        throw error;
      });
      if (value !== undefined && value !== false) return value as never;
      await clock.advance(50);
    }
    throw new Error(`never: ${what}`);
  };
  try {
    await run({ client, eventually });
  } finally {
    abort.abort(new Error('end of test'));
    await ended;
    await api.close();
  }
}

test('an aggregated role gathers what its label chooses, each rule once, and never itself', () => {
  const role = (name: string, labels: Record<string, string>, rules: ClusterRole['rules']) =>
    ({ apiVersion: '', kind: '', metadata: { name, labels }, rules }) as ClusterRole;
  const rule = (resource: string) => ({ apiGroups: [''], resources: [resource], verbs: ['get'] });
  const all: ClusterRole = {
    ...role('all', { a: 'b' }, [rule('own')]),
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }, { matchLabels: { c: 'd' } }] },
  };
  const others = [
    role('z', { a: 'b', c: 'd' }, [rule('z'), rule('x')]),
    role('y', { c: 'd' }, [rule('x')]),
    role('w', {}, [rule('w')]),
  ];
  assert.equal(aggregatedRules(all, [...others, all]), [rule('x'), rule('z')]);
  assert.is(aggregatedRules(others[0] as ClusterRole, others), undefined);
});

test('aggregated roles follow the roles with their label', () =>
  withControllers(async ({ client, eventually }) => {
    const labels = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' };
    const rules = [{ apiGroups: ['example.com'], resources: ['widgets'], verbs: ['get'] }];
    const has = async (name: string) =>
      (await client.get(r.clusterRoles, name)).rules?.some(({ apiGroups }) => apiGroups?.includes('example.com')) ?? false;
    await client.create(r.clusterRoles, { metadata: { name: 'widgets', labels }, rules });
    // By way of `view` and `edit`.
    await eventually('admin has it', () => has('admin'));
    assert.ok((await has('view')) && (await has('edit')));
    await client.delete(r.clusterRoles, 'widgets');
    await eventually('admin has it no longer', async () => !(await has('admin')));
  }));

test('every namespace has the root certificate, and gets it back', () =>
  withControllers(async ({ client, eventually }) => {
    const name = 'kube-root-ca.crt';
    const found = (namespace: string) =>
      eventually('the certificate', async () => {
        const { data } = await client.get(r.configMaps, name, { namespace });
        return data?.['ca.crt'] === rootCertificate;
      });
    await found('default');
    await client.create(r.namespaces, { metadata: { name: 'shop' } });
    await found('shop');
    await client.delete(r.configMaps, name, { namespace: 'shop' });
    await found('shop');
    await client.patch(r.configMaps, name, 'merge', { data: { 'ca.crt': 'other', more: 'x' } }, { namespace: 'shop' });
    await found('shop');
  }));

test('a secret for a token is filled once its account is there, and goes with it', () =>
  withControllers(async ({ client, eventually }) => {
    const annotations = { 'kubernetes.io/service-account.name': 'robot' };
    const type = 'kubernetes.io/service-account-token';
    await client.create(r.secrets, { metadata: { name: 's', annotations }, type }, inDefault);
    const account = await client.create(r.serviceAccounts, { metadata: { name: 'robot' } }, inDefault);
    const { data = {}, metadata } = await eventually('the token', async () => {
      const secret = await client.get(r.secrets, 's', inDefault);
      return secret.data?.token ? secret : undefined;
    });
    const text = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString();
    assert.is(text('namespace'), 'default');
    assert.is(text('ca.crt'), rootCertificate);
    assert.is(text('token').split('.').length, 3);
    assert.is(metadata.annotations?.['kubernetes.io/service-account.uid'], account.metadata.uid);
    await client.delete(r.serviceAccounts, 'robot', inDefault);
    await eventually('the secret to go', async () => (await client.list(r.secrets, inDefault)).items.length === 0);
  }));

test.run();
