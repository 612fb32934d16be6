/** `pods/ephemeralcontainers`: only additions, nothing else of the pod, never at creation. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pods } from '../../src/machinery/resources.ts';
import { failureOf, testRegistry } from './widgets.ts';

const namespace = 'default';
const options = { namespace, subresource: 'ephemeralcontainers' };
const container = (name: string, more: object = {}) => ({ name, image: 'debug:1', ...more });
const spec = { containers: [{ name: 'main', image: 'app:1' }] };

async function podIn() {
  const { client } = await testRegistry();
  await client.create(pods, { metadata: { name: 'p' }, spec }, { namespace });
  const patch = (...ephemeralContainers: object[]) =>
    client.patch(pods, 'p', 'strategic', { spec: { ephemeralContainers } }, options);
  return { client, patch };
}

test('containers are added one after the other, with their defaults', async () => {
  const { client, patch } = await podIn();
  await patch(container('a', { stdin: true, targetContainerName: 'main' }));
  const added = await patch(container('b'));
  const list = added.spec?.ephemeralContainers as { name: string; terminationMessagePath?: string }[];
  assert.equal(list.map(({ name }) => name).sort(), ['a', 'b']);
  assert.is(list[0]?.terminationMessagePath, '/dev/termination-log');
  const whole = await client.get(pods, 'p', { namespace });
  assert.is(whole.spec?.ephemeralContainers?.length, 2);
});

test('what is there cannot be changed or removed, and nothing else of the pod is touched', async () => {
  const { client, patch } = await podIn();
  await patch(container('a'));
  const changed = await failureOf(patch(container('a', { image: 'other:1' })));
  assert.is(changed.code, 422);
  assert.match(changed.message, 'existing ephemeral containers "a" may not be changed');
  const pod = await client.get(pods, 'p', { namespace });
  const without = { ...pod, spec: { ...pod.spec!, ephemeralContainers: [] } };
  assert.match((await failureOf(client.update(pods, without, options))).message, 'ephemeral containers "a" may not be removed');
  const other = { spec: { activeDeadlineSeconds: 5, ephemeralContainers: [container('b')] } };
  const next = await client.patch(pods, 'p', 'strategic', other, options);
  assert.is(next.spec?.activeDeadlineSeconds, undefined);
  assert.is(next.spec?.ephemeralContainers?.length, 2);
  const main = await failureOf(
    client.patch(pods, 'p', 'strategic', { spec: { ephemeralContainers: [container('c')] } }, { namespace }),
  );
  assert.is(main.code, 422, 'the pod itself takes none');
});

test('what ephemeral containers cannot have is refused by name', async () => {
  const { client, patch } = await podIn();
  const said = async (more: object) => (await failureOf(patch(container('d', more)))).message;
  const at = (field: string) => `spec.ephemeralContainers[0].${field}: Forbidden: cannot be set for an Ephemeral Container`;
  assert.match(await said({ ports: [{ containerPort: 1 }] }), at('ports'));
  assert.match(await said({ resources: { limits: { cpu: '1' } } }), at('resources'));
  assert.match(await said({ livenessProbe: { tcpSocket: { port: 1 } } }), at('livenessProbe'));
  assert.match(await said({ name: 'main' }), 'spec.ephemeralContainers[0].name: Duplicate value: "main"');
  assert.match(await said({ targetContainerName: 'none' }), 'targetContainerName: Not found: "none"');
  assert.match(await said({ image: '' }), 'spec.ephemeralContainers[0].image: Required value');
  const early = { metadata: { name: 'early' }, spec: { ...spec, ephemeralContainers: [container('a')] } };
  const refused = await failureOf(client.create(pods, early, { namespace }));
  assert.match(refused.message, 'spec.ephemeralContainers: Forbidden: cannot be set on create');
});

test.run();
