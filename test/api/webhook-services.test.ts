/** Webhooks that are services of the cluster: found through its endpoints, reached through agents. And conversion by webhook. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Authorizer } from '../../src/api/authorization.ts';
import { Upstreams } from '../../src/api/upstream/upstream.ts';
import { createWebhooks } from '../../src/api/webhooks/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { seededRandom } from '../../src/lib/random.ts';
import { configMaps, endpointSlices, services } from '../../src/machinery/resources.ts';
import type { KubeObject } from '../../src/machinery/types.ts';
import { type FakeAgents, fakeAgents } from './fake-agent.ts';
import { type ListeningApi, listeningApi } from './listening.ts';
import { configuration, hook, httpsServer, validatingConfigurations, webhookServer } from './webhook-servers.ts';
import { failureOf } from './widgets.ts';

const test = suite('webhooks as services');
const namespace = 'default';
let agents: FakeAgents;
let world: ListeningApi;

test.before(async () => {
  agents = await fakeAgents();
  world = await listeningApi({ agents: agents.connector });
});

test.after(async () => {
  await world.close();
  agents.close();
});

const client = () => world.api.client();
const refused = { allowed: false, reason: '' };
/** Conversion asks nobody what they may do. */
const nobody: Authorizer = { decide: () => refused, decidePath: () => refused, rulesFor: () => [] };

function endpoint(pod: string, ready = true) {
  const targetRef = { kind: 'Pod', name: pod, namespace };
  return { addresses: ['10.42.0.9'], conditions: { ready }, nodeName: 'node-2', targetRef };
}

async function service(name: string, endpoints: ReturnType<typeof endpoint>[], target = 8443) {
  const ports = [{ name: 'hooks', port: 443, targetPort: target }];
  await client().create(services, { metadata: { name }, spec: { ports } }, { namespace });
  const metadata = { name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } };
  const slice = { metadata, addressType: 'IPv4', ports: [{ name: 'hooks', port: target }], endpoints };
  await client().create(endpointSlices, slice, { namespace });
}

const create = (name: string) => client().create(configMaps, { metadata: { name } }, { namespace });

test('a ready pod behind the service is asked through its node’s agent, under the name of the service', async () => {
  const server = await webhookServer(() => ({}), { names: ['judge.default.svc'] });
  await service('judge', [endpoint('judge-0', false), endpoint('judge-1')]);
  agents.ports.set('node-2 default/judge-1:8443', server.port);
  const clientConfig = { service: { namespace, name: 'judge', path: '/judge' }, caBundle: server.caBundle };
  await client().create(validatingConfigurations, configuration('s', hook(server, 's.example.com', { clientConfig })));
  await create('a');
  await create('b');
  assert.equal(server.paths, ['/judge?timeout=30s', '/judge?timeout=30s']);
  assert.equal(agents.asked, ['node-2 default/judge-1:8443 pod'], 'one connection serves both');
  server.close();
  await client().delete(validatingConfigurations, 's');
});

test('a service that is missing, has nothing ready, or has a certificate for another name is told as such', async () => {
  const server = await webhookServer();
  const failure = async (name: string) => {
    const clientConfig = { service: { namespace, name, port: 443 }, caBundle: server.caBundle };
    const own = hook(server, `${name}.example.com`, { clientConfig });
    await client().create(validatingConfigurations, configuration(name, own));
    const { message } = await failureOf(create('c'));
    await client().delete(validatingConfigurations, name);
    return message.replace(`Internal error occurred: failed calling webhook "${name}.example.com": failed to call webhook: `, '');
  };
  assert.is(await failure('none'), 'Post "https://none.default.svc:443/?timeout=30s": services "none" not found');
  await service('empty', [endpoint('empty-0', false)]);
  const unready = 'no endpoints available for service "empty"';
  assert.is(await failure('empty'), `Post "https://empty.default.svc:443/?timeout=30s": ${unready}`);
  await service('other', [endpoint('other-0')]);
  agents.ports.set('node-2 default/other-0:8443', server.port);
  const wrong = 'tls: failed to verify certificate: x509: certificate is not valid for other.default.svc';
  assert.is(await failure('other'), `Post "https://other.default.svc:443/?timeout=30s": ${wrong}`);
  server.close();
});

interface ConversionAsked {
  uid: string;
  desiredAPIVersion: string;
  objects: KubeObject[];
}

/** What `answer` makes of a ConversionReview, through the client of conversion. */
async function converting(answer: (request: ConversionAsked) => object) {
  const server = await httpsServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { apiVersion, request: asked } = JSON.parse(Buffer.concat(chunks).toString());
      const body = { kind: 'ConversionReview', apiVersion, response: { uid: asked.uid, ...answer(asked) } };
      response.end(JSON.stringify(body));
    })();
  });
  const stop = new AbortController();
  const upstreams = new Upstreams({ agents: agents.connector, clock: systemClock, closing: stop.signal });
  const surroundings = { store: world.store, clock: systemClock, random: seededRandom(1), logger: silentLogger };
  const hooks = createWebhooks({ ...surroundings, upstreams, authorizer: nobody });
  const clientConfig = { url: `${server.url}/convert`, caBundle: server.caBundle };
  const crd = { crdName: 'things.example.com', clientConfig, reviewVersions: ['v2', 'v1'] };
  return {
    convert: (objects: KubeObject[], apiVersion = 'example.com/v2') => hooks.convert(crd, objects, apiVersion),
    close() {
      hooks.close();
      stop.abort();
      server.close();
    },
  };
}

const thing = (name: string, version = 'v1') => ({
  apiVersion: `example.com/${version}`,
  kind: 'Thing',
  metadata: { name, uid: `uid-${name}`, resourceVersion: '7', labels: { old: 'yes' }, finalizers: ['f'] },
});
const success = (convertedObjects: object[]) => ({ result: { status: 'Success' }, convertedObjects });

test('conversion gives objects in the wanted version and order; of their metadata only labels and annotations may change', async () => {
  const world = await converting(({ objects, desiredAPIVersion }) =>
    success(
      objects.map((object) => ({
        ...object,
        apiVersion: desiredAPIVersion,
        spec: { converted: true },
        metadata: { ...object.metadata, labels: { new: 'yes' }, resourceVersion: '99', finalizers: [] },
      })),
    ),
  );
  const converted = await world.convert([thing('a'), thing('b', 'v2'), thing('c')]);
  assert.equal(
    converted.map(({ apiVersion, metadata }) => [apiVersion, metadata.name, metadata.labels]),
    [
      ['example.com/v2', 'a', { new: 'yes' }],
      ['example.com/v2', 'b', { old: 'yes' }],
      ['example.com/v2', 'c', { new: 'yes' }],
    ],
  );
  assert.equal([converted[0]?.metadata.resourceVersion, converted[0]?.metadata.finalizers], ['7', ['f']]);
  assert.equal((converted[0] as { spec?: object }).spec, { converted: true });
  world.close();
});

test('what a conversion may not do is refused', async () => {
  const wrongs: [change: (objects: KubeObject[]) => object, why: RegExp][] = [
    [() => success([]), /invalid converted object: webhook returned 0 objects, expected 1$/],
    [() => ({ result: { status: 'Failure', message: 'cannot' } }), /failed: cannot$/],
    [() => ({}), /response\.result\.status was absent$/],
    [(objects) => success(objects), /item at index 0 has the apiVersion "example\.com\/v1" instead of "example\.com\/v2"$/],
    [([one]) => success([{ ...one, apiVersion: 'example.com/v2', kind: 'Other' }]), /has the kind "Other" instead of "Thing"$/],
    [
      ([one]) => success([{ ...one, apiVersion: 'example.com/v2', metadata: { ...one?.metadata, name: 'z' } }]),
      /metadata\.name changed: expected "a", got "z"$/,
    ],
    [
      ([one]) => ({ ...success([{ ...one, apiVersion: 'example.com/v2' }]), uid: 'x' }),
      /expected response\.uid="[-0-9a-f]+", got "x"$/,
    ],
  ];
  for (const [change, why] of wrongs) {
    const world = await converting(({ objects }) => change(objects));
    const { code, message } = await failureOf(world.convert([thing('a')]));
    assert.is(code, 500);
    assert.match(message, /^Internal error occurred: conversion webhook for example\.com\/v1, Kind=Thing failed: /);
    assert.match(message, why);
    world.close();
  }
});

test.run();
