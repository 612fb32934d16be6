/** What the registry still takes while there is no room for anything new. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configMaps } from '../../src/machinery/resources.ts';
import { failureOf, testRegistry, widgets } from './widgets.ts';

const inDefault = { namespace: 'default' };
const large = 'x'.repeat(5_000);

test('while disks are full, creations and growing updates get 507, and what makes room or reports is taken', async () => {
  const { client, registry } = await testRegistry();
  await client.create(configMaps, { metadata: { name: 'a', namespace: 'default' }, data: { large } } as never, inDefault);
  await client.create(widgets, { metadata: { name: 'w', finalizers: ['test/hold'] } }, inDefault);
  let refusal: string | undefined = 'too little room';
  registry.context.growthRefusal = () => refusal;

  const created = await failureOf(client.create(widgets, { metadata: { name: 'b' } }, inDefault));
  assert.is(created.code, 507);
  assert.is(created.reason, 'ServiceUnavailable');
  assert.is(created.message, 'too little room: nothing new is stored until there is room; deleting works');
  const grown = { data: { large: large + large } };
  assert.is((await failureOf(client.patch(configMaps, 'a', 'merge', grown, inDefault))).code, 507);

  await client.patch(configMaps, 'a', 'merge', { data: { small: 'y' } }, inDefault);
  await client.patch(configMaps, 'a', 'merge', { data: { large: 'z' } }, inDefault);
  await client.patch(widgets, 'w', 'merge', { status: { seen: 1, text: large } }, {
    ...inDefault,
    subresource: 'status',
  } as never);
  await client.delete(configMaps, 'a', inDefault);
  // One with finalizers gets a deletion time first, and then goes with the last of them.
  await client.delete(widgets, 'w', inDefault);
  await client.patch(widgets, 'w', 'merge', { metadata: { annotations: { large } } }, inDefault);
  await client.patch(widgets, 'w', 'merge', { metadata: { finalizers: null } }, inDefault);
  assert.is((await failureOf(client.get(widgets, 'w', inDefault))).code, 404);

  refusal = undefined;
  await client.create(widgets, { metadata: { name: 'b' } }, inDefault);
});

test.run();
