/** Stock kubectl over TLS, through the whole API, to an agent that the test plays: SPDY with old ones, WebSocket with new ones. */
import { basename } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createApi } from '../../src/api/index.ts';
import { kinds } from '../../src/api/kinds/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { pods } from '../../src/machinery/resources.ts';
import { channels } from '../../src/machinery/stream-frames.ts';
import { testAuthority } from '../api/certificates.ts';
import { kubectlHome, kubectls } from '../api/kubectl.ts';
import type { ListeningApi } from '../api/listening.ts';
import { MemoryCluster } from '../api/memory-cluster.ts';
import { TestHealth } from '../api/widgets.ts';
import { exited, startWorld, type World } from './support.ts';

interface Context {
  world: World;
  home: Awaited<ReturnType<typeof kubectlHome>>;
  close(): Promise<void>;
}
const test = suite<Context>('kubectl streams');

test.before(async (context) => {
  const world = await startWorld();
  const api = createApi({
    store: await MemoryCluster.open(),
    kinds,
    agents: world.agents,
    nodeHealth: new TestHealth(),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    serviceCidr: '10.43.0.0/16',
    nodePortRange: { from: 30_000, to: 32_767 },
  });
  await api.bootstrap(AbortSignal.timeout(10_000));
  const client = api.client();
  const spec = { nodeName: 'n1', containers: [{ name: 'app', image: 'x' }] };
  const created = await client.create(pods, { metadata: { name: 'web' }, spec }, { namespace: 'default' });
  await client.update(pods, { ...created, status: { phase: 'Running' } }, { namespace: 'default', subresource: 'status' });
  const authority = await testAuthority();
  const admin = await authority.issue('CN=admin, O=system:masters');
  const server = await authority.issue('CN=server');
  const port = await api.listen({ host: '127.0.0.1', port: 0, tls: { ca: authority.ca, ...server } });
  context.world = world;
  context.home = await kubectlHome({ port, authority, admin } as unknown as ListeningApi);
  context.close = async () => {
    await context.home.close();
    await api.close();
    await world.close();
  };
});
test.after(async ({ close }) => close());

for (const kubectl of kubectls()) {
  const version = basename(kubectl);

  test(`${version}: exec gives output, error output and exit code`, async ({ world, home }) => {
    world.onSession = (session) => {
      session.write(channels.stdout, 'out\n');
      session.write(channels.stderr, 'err\n');
      session.end(exited(3));
    };
    const ran = await home.run(kubectl, ['exec', 'web', '--', 'false']);
    assert.is(ran.code, 3);
    assert.is(ran.out, 'out\n');
    assert.match(ran.err, /^err\ncommand terminated with exit code 3\n$/);
  });

  test(`${version}: exec -i passes input and its end, and output far above any window`, async ({ world, home }) => {
    const large = 'x'.repeat(500_000);
    world.onSession = async (session) => {
      session.write(channels.stdout, await session.stdinText());
      session.end();
    };
    const ran = await home.run(kubectl, ['exec', '-i', 'web', '--', 'cat'], large);
    assert.is(ran.code, 0, ran.err);
    assert.is(ran.out.length, large.length);
  });

  test(`${version}: attach and logs`, async ({ world, home }) => {
    world.onSession = (session) => {
      session.write(channels.stdout, session.url);
      session.end();
    };
    const attached = await home.run(kubectl, ['attach', 'web']);
    assert.match(attached.out, /\/attach\/default\/web\/app\?stdout=true&stderr=true$/, attached.err);
    const logs = await home.run(kubectl, ['logs', 'web', '--tail=5']);
    assert.is(logs.out, 'log of /logs/default/web/app?tailLines=5\n', logs.err);
  });
}

test.run();
