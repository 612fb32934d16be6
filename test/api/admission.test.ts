/** The chain of admission: what plugins see, what they may change, and that what they ask for is written with the object. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AdmissionPlugin, AdmissionRequest } from '../../src/api/admission/types.ts';
import { configMaps } from '../../src/machinery/resources.ts';
import { forbidden } from '../../src/machinery/status.ts';
import { failureOf, testRegistry } from './widgets.ts';

const test = suite('admission chain');
const namespace = 'default';
const isConfigMap = ({ target }: AdmissionRequest) => target.resolved.kind.plural === 'configmaps';

function plugin(of: Partial<AdmissionPlugin>): AdmissionPlugin {
  return { name: 'Test', handles: isConfigMap, ...of };
}

test('a plugin sees operation, object and old object, and may change what is written', async () => {
  const seen: string[] = [];
  const { client } = await testRegistry({
    plugins: [
      plugin({
        mutate(request) {
          const data = (object: AdmissionRequest['object']) => (object as { data?: object } | undefined)?.data;
          seen.push(`${request.operation} ${JSON.stringify(data(request.object))} ${JSON.stringify(data(request.oldObject))}`);
          if (request.object) request.object.metadata.labels = { added: 'yes' };
        },
      }),
    ],
  });
  const made = await client.create(configMaps, { metadata: { name: 'a' }, data: { k: '1' } }, { namespace });
  assert.is(made.metadata.labels?.added, 'yes');
  await client.update(configMaps, { ...made, data: { k: '2' } }, { namespace });
  await client.delete(configMaps, 'a', { namespace });
  assert.equal(seen, ['CREATE {"k":"1"} undefined', 'UPDATE {"k":"2"} {"k":"1"}', 'DELETE undefined {"k":"2"}']);
});

test('what a plugin changes of the fields that are the server’s is put back', async () => {
  const { client } = await testRegistry({
    plugins: [
      plugin({
        async mutate(request) {
          if (request.object) request.object.metadata = { ...request.object.metadata, uid: 'mine', resourceVersion: '7' };
        },
      }),
    ],
  });
  const made = await client.create(configMaps, { metadata: { name: 'a' } }, { namespace });
  assert.is.not(made.metadata.uid, 'mine');
  const updated = await client.update(configMaps, { ...made, data: { k: '2' } }, { namespace });
  assert.is(updated.metadata.uid, made.metadata.uid);
});

test('a refusal keeps the object as it was, also for a deletion', async () => {
  let closed = false;
  const refuse = plugin({
    validate({ target }) {
      if (closed) throw forbidden({ group: '', resource: 'configmaps' }, target.name, 'closed');
    },
  });
  const { client } = await testRegistry({ plugins: [refuse] });
  const made = await client.create(configMaps, { metadata: { name: 'a' } }, { namespace });
  closed = true;
  const message = 'configmaps "a" is forbidden: closed';
  assert.is((await failureOf(client.update(configMaps, { ...made, data: { k: '2' } }, { namespace }))).message, message);
  assert.is((await failureOf(client.delete(configMaps, 'a', { namespace }))).message, message);
  assert.equal(await client.get(configMaps, 'a', { namespace }), made);
});

test('a condition that a plugin sets holds for the write: the plugin is asked again when it does not', async () => {
  let asked = 0;
  const { client, store } = await testRegistry({
    plugins: [
      plugin({
        handles: ({ target, operation }) => target.name === 'counted' && operation === 'CREATE',
        async validate(request) {
          asked++;
          const key = '/test/counter';
          const record = store.get(key);
          request.with.conditions.push({ key, modRevision: record?.modRevision ?? 0 });
          request.with.operations.push({ type: 'put', key, value: Buffer.from(String(asked)) });
          // Somebody else is quicker, once.
          if (asked === 1) await store.write({ conditions: [], operations: [{ type: 'put', key, value: Buffer.from('x') }] });
        },
      }),
    ],
  });
  await client.create(configMaps, { metadata: { name: 'counted' } }, { namespace });
  assert.is(asked, 2);
  assert.is(Buffer.from(store.get('/test/counter')?.value ?? []).toString(), '2');
});

test.run();
