/** Bootstrap tokens go when they expire, and not before; what they sign. */
import { compactVerify } from 'jose';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startControllers } from '../../src/controllers/index.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { seededRandom } from '../../src/lib/random.ts';
import * as r from '../../src/machinery/resources.ts';
import { testRegistry } from '../api/widgets.ts';

const test = suite('token cleaner');
const namespace = 'kube-system';

test('a token is deleted when its time has come; others stay', async () => {
  const { client, clock, nodeHealth } = await testRegistry();
  const endMs = clock.wallMs() + 3_600_000;
  const make = (name: string, type: string, expiration?: number) =>
    client.create(
      r.secrets,
      {
        metadata: { name },
        type,
        data: expiration ? { expiration: Buffer.from(new Date(expiration).toISOString()).toString('base64') } : {},
      },
      { namespace },
    );
  await make('bootstrap-token-aaaaaa', 'bootstrap.kubernetes.io/token', endMs);
  await make('bootstrap-token-bbbbbb', 'bootstrap.kubernetes.io/token');
  await make('other', 'Opaque', endMs);
  const abort = new AbortController();
  const options = { namespacedResources: [], ownableResources: [], apiAddresses: () => [] };
  const common = { client, clock, random: seededRandom(3), logger: silentLogger };
  const ended = startControllers({ ...common, nodeHealth, clusterCidr: '10.42.0.0/16', options }, abort.signal);
  const names = async () => (await client.list(r.secrets, { namespace })).items.map(({ metadata }) => metadata.name).sort();
  try {
    for (let count = 0; (await names()).length === 3; count++) {
      assert.ok(count < 1_000, 'not deleted in time');
      await clock.advance(30_000);
    }
    assert.ok(clock.wallMs() >= endMs);
    assert.equal(await names(), ['bootstrap-token-bbbbbb', 'other']);
  } finally {
    abort.abort(new Error('end of test'));
    await ended;
  }
});

test('what machines find the cluster by is signed with each token that may, and with no others', async () => {
  const { client, clock, nodeHealth } = await testRegistry();
  const token = (id: string, fields: Record<string, string>) => {
    const all = { 'token-id': id, 'token-secret': `secret-of-${id}`, 'usage-bootstrap-signing': 'true', ...fields };
    const data = Object.fromEntries(Object.entries(all).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
    const metadata = { name: `bootstrap-token-${id}` };
    return client.create(r.secrets, { metadata, type: 'bootstrap.kubernetes.io/token', data }, { namespace });
  };
  await token('aaaaaa', {});
  await token('bbbbbb', { 'usage-bootstrap-signing': 'false' });
  await token('cccccc', { expiration: new Date(clock.wallMs() - 1000).toISOString() });
  const abort = new AbortController();
  const options = { namespacedResources: [], ownableResources: [], apiAddresses: () => [] };
  const common = { client, clock, random: seededRandom(3), logger: silentLogger };
  const ended = startControllers({ ...common, nodeHealth, clusterCidr: '10.42.0.0/16', options }, abort.signal);
  const inPublic = { namespace: 'kube-public' };
  const signatures = async (): Promise<Record<string, string>> => {
    const { kubeconfig: _, ...rest } = (await client.get(r.configMaps, 'cluster-info', inPublic)).data ?? {};
    return rest;
  };
  const until = async (what: string, met: (names: string) => boolean) => {
    for (
      let count = 0;
      !met(
        Object.keys(await signatures())
          .sort()
          .join(),
      );
      count++
    ) {
      assert.ok(count < 1_000, what);
      await clock.advance(100);
    }
  };
  try {
    const data = { kubeconfig: 'one', 'jws-kubeconfig-zzzzzz': 'of a token that is gone' };
    await client.create(r.configMaps, { metadata: { name: 'cluster-info' }, data }, inPublic);
    await until('signed', (names) => names === 'jws-kubeconfig-aaaaaa');
    const first = (await signatures())['jws-kubeconfig-aaaaaa'] ?? '';
    const [header = '', payload, signature] = first.split('.');
    assert.equal(JSON.parse(Buffer.from(header, 'base64url').toString()), { alg: 'HS256', kid: 'aaaaaa' });
    assert.is(payload, '');
    const content = Buffer.from('one').toString('base64url');
    const { payload: verified } = await compactVerify(`${header}.${content}.${signature}`, Buffer.from('secret-of-aaaaaa'));
    assert.is(Buffer.from(verified).toString(), 'one');
    await token('dddddd', {});
    await until('the new token signs', (names) => names === 'jws-kubeconfig-aaaaaa,jws-kubeconfig-dddddd');
    await client.delete(r.secrets, 'bootstrap-token-dddddd', { namespace });
    await client.patch(r.configMaps, 'cluster-info', 'merge', { data: { kubeconfig: 'two' } }, inPublic);
    await until('the deleted one does not', (names) => names === 'jws-kubeconfig-aaaaaa');
    for (let count = 0; (await signatures())['jws-kubeconfig-aaaaaa'] === first; count++) {
      assert.ok(count < 1_000, 'what changed is signed again');
      await clock.advance(100);
    }
  } finally {
    abort.abort(new Error('end of test'));
    await ended;
  }
});

test.run();
