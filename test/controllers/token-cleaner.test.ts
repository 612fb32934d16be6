/** Bootstrap tokens go when they expire, and not before. */
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

test.run();
