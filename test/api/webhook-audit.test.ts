/** What the audit log is told of webhooks: who was asked in which round, what was changed, and who could not be asked. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AuditEvent } from '../../src/api/audit/audit.ts';
import { type AuditLevel, parsePolicy } from '../../src/api/audit/policy.ts';
import { configMaps } from '../../src/machinery/resources.ts';
import { listeningApi } from './listening.ts';
import {
  configuration,
  hook,
  mutatingConfigurations,
  patchOf,
  validatingConfigurations,
  webhookServer,
} from './webhook-servers.ts';

const test = suite('webhooks in the audit log');

/** The annotations about webhooks of one creation, told at `level`. */
async function annotationsAt(level: AuditLevel): Promise<Record<string, unknown>> {
  const told = Promise.withResolvers<AuditEvent>();
  const record = (event: AuditEvent) => {
    if (event.stage === 'ResponseComplete' && String(event.requestURI).endsWith('?seen')) told.resolve(event);
  };
  const { policy } = parsePolicy({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level }] });
  const it = await listeningApi({ audit: { policy, sink: { record }, confidential: [] } });
  const label = (name: string) => patchOf([{ op: 'add', path: '/data', value: { by: name } }]);
  const server = await webhookServer((_, path) => (path.startsWith('/first.example.com') ? label('first') : {}));
  const silent = { url: 'https://127.0.0.1:1', caBundle: server.caBundle };
  try {
    const client = it.api.client();
    const others = hook(server, 'others.example.com', { rules: [{ ...hook(server, 'x').rules[0], resources: ['secrets'] }] });
    const first = hook(server, 'first.example.com');
    const open = hook(silent, 'open.example.com', { failurePolicy: 'Ignore' });
    await client.create(mutatingConfigurations, configuration('change', others, first, open));
    await client.create(validatingConfigurations, configuration('judge', others, open));
    const made = await it.request('/api/v1/namespaces/default/configmaps?seen', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ metadata: { name: 'a' } }),
    });
    assert.is(made.code, 201, made.text);
    assert.equal((await client.get(configMaps, 'a', { namespace: 'default' })).data, { by: 'first' });
    const event = await told.promise;
    const annotations = (event as AuditEvent & { annotations: Record<string, string> }).annotations;
    return Object.fromEntries(Object.entries(annotations).filter(([key]) => key.includes('webhook.admission.k8s.io/')));
  } finally {
    server.close();
    await it.close();
  }
}

const said = (webhook: string, mutated: boolean) => JSON.stringify({ configuration: 'change', webhook, mutated });
const metadata = {
  'mutation.webhook.admission.k8s.io/round_0_index_1': said('first.example.com', true),
  'mutation.webhook.admission.k8s.io/round_0_index_2': said('open.example.com', false),
  'failed-open.mutation.webhook.admission.k8s.io/round_0_index_2': 'open.example.com',
  'failed-open.validating.webhook.admission.k8s.io/round_0_index_0': 'open.example.com',
};

test('each hook is told of by its round and place, and those that were passed over', async () => {
  assert.equal(await annotationsAt('Metadata'), metadata);
});

test('patches are told of where bodies are', async () => {
  const { 'patch.webhook.admission.k8s.io/round_0_index_1': patch, ...rest } = await annotationsAt('Request');
  assert.equal(rest, metadata);
  assert.equal(JSON.parse(String(patch)), {
    configuration: 'change',
    webhook: 'first.example.com',
    patch: [{ op: 'add', path: '/data', value: { by: 'first' } }],
    patchType: 'JSONPatch',
  });
});

test.run();
