/** Requests that must be refused: each with the code, reason, message and causes that clients of Kubernetes know, and without any trace. */
import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Status } from '../../src/machinery/status.ts';
import { bodies } from './bad-input/bodies.ts';
import { type BadInput, pod, podSpec } from './bad-input/case.ts';
import { deletions } from './bad-input/deletions.ts';
import { fixtures } from './bad-input/fixtures.ts';
import { kinds } from './bad-input/kinds.ts';
import { metadata } from './bad-input/metadata.ts';
import { patches } from './bad-input/patches.ts';
import { paths } from './bad-input/paths.ts';
import { queries } from './bad-input/queries.ts';
import { strictness } from './bad-input/strictness.ts';
import { subresources } from './bad-input/subresources.ts';
import { types } from './bad-input/types.ts';
import { workloads } from './bad-input/workloads.ts';
import { type ListeningApi, listeningApi } from './listening.ts';

const test = suite<{ it: ListeningApi }>('bad input');
const json = { 'content-type': 'application/json' };

test.before(async (context) => {
  context.it = await listeningApi();
  for (const [path, body] of fixtures) {
    const { code, text } = await context.it.request(path, { method: 'POST', headers: json, body: JSON.stringify(body) });
    assert.is(code, 201, `${path}: ${text}`);
  }
  for (const path of ['/api/v1/namespaces/ending', '/api/v1/namespaces/default/configmaps/leaving']) {
    assert.is((await context.it.request(path, { method: 'DELETE' })).code, 200);
  }
});
test.after(async ({ it }) => it.close());

function stateOf({ store }: ListeningApi): string {
  const hash = createHash('sha256');
  for (const { key, value, modRevision } of store.list('').records) hash.update(`${key} ${modRevision} `).update(value);
  return hash.digest('hex');
}

/** The server's own uids differ from run to run. */
function withoutUids(message: string): string {
  return message
    .replace(/\b(?!00000000)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, '<uid>')
    .replace(/ResourceVersion in record \(\d+\)/, 'ResourceVersion in record (<version>)');
}

const tables: Record<string, BadInput[]> = {
  bodies,
  types,
  strictness,
  paths,
  queries,
  deletions,
  metadata,
  workloads,
  kinds,
  patches,
  subresources,
};

for (const [theme, table] of Object.entries(tables)) {
  test(`${theme}: ${table.length} requests are refused as they should be`, async ({ it }) => {
    const before = stateOf(it);
    const { revision, writes } = it.store;
    const wrong: string[] = [];
    for (const [name, { path, ...ask }, [code, reason, message, causes = []]] of table) {
      const answer = await it.request(path, ask);
      const status = answer.json() as unknown as Status;
      const told = (status.details?.causes ?? []).map((cause) => `${cause.field ?? ''} ${cause.reason ?? ''}`.trim());
      const differences = [
        [answer.code, code],
        [status.code, code],
        [status.kind, 'Status'],
        [status.status, 'Failure'],
        [status.reason, reason],
        [withoutUids(status.message ?? ''), message],
        [told.join(', '), causes.join(', ')],
        [`${it.store.revision} ${it.store.writes}`, `${revision} ${writes}`],
      ].filter(([is, should]) => is !== should);
      for (const [is, should] of differences) wrong.push(`${name}:\n  is     ${is}\n  should ${should}`);
    }
    assert.is(wrong.join('\n'), '');
    assert.is(stateOf(it), before);
  });
}

test('there are enough of them, each with a name of its own', () => {
  const names = Object.entries(tables).flatMap(([theme, table]) => table.map(([name]) => `${theme}: ${name}`));
  assert.ok(names.length >= 300, String(names.length));
  assert.is(new Set(names).size, names.length);
});

test('what differs from them only in what is wrong goes through', async ({ it }) => {
  const good = await it.request('/api/v1/namespaces/default/pods', {
    method: 'POST',
    headers: json,
    body: JSON.stringify(pod(podSpec())),
  });
  assert.is(good.code, 201);
});

test.run();
