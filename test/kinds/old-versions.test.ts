/** Old versions through the endpoint: written, seen through both versions, as a Table, watched, applied, and warned of. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ListeningApi, listeningApi } from '../api/listening.ts';
import { type OldVersionCase, oldVersionCases } from './old-versions.ts';

type Json = Record<string, unknown>;
const test = suite<{ it: ListeningApi }>('old versions');

test.before(async (context) => {
  context.it = await listeningApi();
});
test.after(({ it }) => it.close());

/** Everything in `part` is in `whole`, and what is null in it is not there. */
function contains(whole: unknown, part: unknown, path: string): void {
  if (part === null) assert.is(whole, undefined, path);
  else if (Array.isArray(part)) {
    assert.is((whole as unknown[])?.length, part.length, path);
    for (const [index, value] of part.entries()) contains((whole as unknown[])[index], value, `${path}[${index}]`);
  } else if (typeof part === 'object') {
    for (const [key, value] of Object.entries(part as Json)) contains((whole as Json)?.[key], value, `${path}.${key}`);
  } else assert.is(whole, part, path);
}

function placeOf({ old, plural, current, cluster }: OldVersionCase) {
  const below = `${cluster ? '' : 'namespaces/default/'}${plural}`;
  const [apiVersion = '', kind = ''] = old.split(' ');
  return { apiVersion, kind, oldPath: `/apis/${apiVersion}/${below}`, currentPath: `/apis/${current}/${below}` };
}

function warningOf({ old, current, warned, instead }: OldVersionCase): string {
  const [deprecated, removed] = warned;
  const use = instead ?? `${current} ${old.split(' ')[1]}`;
  return `299 - "${old} is deprecated in v${deprecated}+, unavailable in v${removed}+; use ${use}"`;
}

for (const one of oldVersionCases) {
  const { apiVersion, kind, oldPath, currentPath } = placeOf(one);
  const { name = 'aged', fields, now, back } = one;
  const warning = warningOf(one);

  test(`${one.old}: what is written is seen through both versions, and is warned of`, async ({ it }) => {
    const send = async (path: string, method: string, body?: object, type = 'application/json') => {
      const headers = { 'content-type': type };
      const answer = await it.request(path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
      assert.ok(answer.code < 300, `${method} ${path}: ${answer.text}`);
      return answer;
    };
    const object = { apiVersion, kind, metadata: { name }, ...fields };
    const { revision } = it.store;
    const made = await send(oldPath, 'POST', object);
    assert.is(String(made.headers.warning), warning);
    assert.is(made.json().apiVersion, apiVersion);
    const seen = await send(`${currentPath}/${name}`, 'GET');
    contains(seen.json(), { apiVersion: one.current, kind, ...now }, 'now');
    if (one.current !== apiVersion) assert.is(seen.headers.warning, undefined);
    const old = await send(`${oldPath}/${name}`, 'GET');
    assert.is(String(old.headers.warning), warning);
    contains(old.json(), { apiVersion, kind, ...back }, 'back');

    // What comes back as it was seen changes nothing.
    const again = await send(`${oldPath}/${name}`, 'PUT', old.json());
    assert.equal(again.json<{ spec?: unknown }>().spec, old.json<{ spec?: unknown }>().spec);
    contains((await send(`${currentPath}/${name}`, 'GET')).json(), now, 'now, written again');

    const table = await it.request(`${oldPath}/${name}`, { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } });
    const { kind: shown, rows } = table.json<{ kind: string; rows: { cells: unknown[]; object: Json }[] }>();
    assert.equal([shown, rows[0]?.cells[0]], ['Table', name]);

    const watch = await it.open(`${oldPath}?watch=true&resourceVersion=${revision}&fieldSelector=metadata.name%3D${name}`);
    let text = '';
    for await (const chunk of watch) {
      text += chunk;
      if (text.includes('\n')) break;
    }
    watch.destroy();
    const event = JSON.parse(text.slice(0, text.indexOf('\n'))) as { type: string; object: Json };
    assert.is(event.type, 'ADDED');
    contains(event.object, { apiVersion, kind, ...back }, 'watched');

    const applied = { apiVersion, kind, metadata: { name, labels: { applied: 'yes' } } };
    const patched = await send(`${oldPath}/${name}?fieldManager=me`, 'PATCH', applied, 'application/apply-patch+yaml');
    assert.is(String(patched.headers.warning), warning);
    const { metadata } = patched.json<{
      metadata: { managedFields: { manager: string; apiVersion: string; operation: string }[] };
    }>();
    const mine = metadata.managedFields.find(({ manager }) => manager === 'me');
    assert.equal([mine?.apiVersion, mine?.operation], [apiVersion, 'Apply']);
    contains(
      (await send(`${currentPath}/${name}`, 'GET')).json(),
      { metadata: { labels: { applied: 'yes' } }, ...now },
      'applied',
    );
    await send(`${currentPath}/${name}`, 'DELETE');
  });
}

test.run();
