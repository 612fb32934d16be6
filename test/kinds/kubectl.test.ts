/** Stock kubectl with every kind: what a person does with an object must work with each, in the oldest and the newest release. */
import { basename } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kinds } from '../../src/api/kinds/index.ts';
import { kubectlHome, kubectls, type Ran } from '../api/kubectl.ts';
import { type ListeningApi, listeningApi } from '../api/listening.ts';
import { examples } from './examples.ts';
import { oldManifests } from './manifests.ts';
import { isStored } from './support.ts';

type Home = Awaited<ReturnType<typeof kubectlHome>>;
const test = suite<{ it: ListeningApi; home: Home }>('kubectl and every kind');
const explainedAtOnce = 2;

test.before.each(async (context) => {
  context.it = await listeningApi();
  context.home = await kubectlHome(context.it);
});
test.after.each(async ({ it, home }) => {
  await home.close();
  await it.close();
});

const items = kinds.filter(isStored).map((kind) => {
  const { name = 'example', fields } = examples[kind.kind] ?? { fields: {} };
  const version = kind.versions[0].name;
  const apiVersion = kind.group ? `${kind.group}/${version}` : version;
  return { apiVersion, kind: kind.kind, metadata: { name }, ...fields };
});
const listOf = (objects: object[]) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
const all = listOf(items);
/** kubectl 1.27 describes addresses by a version that was never served by default. */
const described = (version: string) => (version.endsWith('27') ? listOf(items.filter(({ kind }) => kind !== 'IPAddress')) : all);
/** The client patches these each time, since it replaces their lists (or selectors) as a whole or compares amounts as texts. Nothing is written. */
const patchedAgain = [
  'endpoints',
  'endpointslice',
  'persistentvolume',
  'persistentvolumeclaim',
  'limitrange',
  'resourcequota',
  'statefulset',
  'poddisruptionbudget',
  'networkpolicy',
  'csistoragecapacity',
  'mutatingwebhookconfiguration',
  'validatingwebhookconfiguration',
  'validatingadmissionpolicy',
];

function ok(ran: Ran): string {
  assert.is(ran.code, 0, `${ran.out}${ran.err}`);
  return ran.out;
}

const linesOf = (text: string) => text.split('\n').filter((line) => line !== '');

for (const kubectl of kubectls().filter((file) => /1\.27$|1\.33$|kubectl$/.test(file))) {
  const version = basename(kubectl);

  test(`${version} creates, gets, describes, applies and deletes an object of every kind`, async ({ it, home }) => {
    const run = (args: string, stdin?: string) => home.run(kubectl, args.split(' '), stdin);
    assert.is(linesOf(ok(await run('create -f -', all))).length, items.length);
    assert.is(linesOf(ok(await run('get -f - -o name', all))).length, items.length);
    for (const line of ['example ', 'driver.example.com ', '10.43.0.7 ']) {
      assert.ok(ok(await run('get -f - -o wide', all)).includes(line), line);
    }
    assert.ok(linesOf(ok(await run('describe -f -', described(version)))).length > items.length);
    assert.is(linesOf(ok(await run('apply -f -', all))).length, items.length);
    const { revision } = it.store;
    const changed = linesOf(ok(await run('apply -f -', all))).filter((line) => !line.endsWith(' unchanged'));
    assert.equal(
      changed.map((line) => line.split(/[./]/)[0]),
      patchedAgain,
    );
    assert.is(it.store.revision, revision);
    const scaled = ok(await run('scale --replicas=3 statefulset/example replicationcontroller/example'));
    assert.is(linesOf(scaled).length, 2);
    ok(await run('certificate approve example'));
    assert.match(ok(await run('get csr example')), / admin +<none> +Approved\n$/);
    assert.is(linesOf(ok(await run('delete --wait=false -f -', all))).length, items.length);
  });

  test(`${version} explains every kind`, async ({ home }) => {
    const waiting = kinds.values();
    const work = async () => {
      for (const { plural, kind, group } of waiting) {
        const text = ok(await home.run(kubectl, ['explain', group ? `${plural}.${group}` : plural]));
        assert.match(text, new RegExp(`KIND: +${kind}\\n`));
      }
    };
    await Promise.all(Array.from({ length: explainedAtOnce }, work));
  });

  test(`${version} takes old manifests with a warning, and prefers the current groups`, async ({ home }) => {
    const run = (args: string, stdin?: string) => home.run(kubectl, args.split(' '), stdin);
    const created = await run('create -f -', oldManifests);
    ok(created);
    assert.match(
      created.err,
      /Warning: extensions\/v1beta1 Deployment is deprecated in v1\.8\+, unavailable in v1\.16\+; use apps\/v1 Deployment/,
    );
    assert.match(created.err, /Warning: batch\/v1beta1 CronJob is deprecated/);
    assert.is(ok(await run('get deployment old -o jsonpath={.apiVersion}')), 'apps/v1');
    assert.is(ok(await run('get ingress old -o jsonpath={.apiVersion}')), 'networking.k8s.io/v1');
    const shown = await run('get all,ing');
    assert.is(shown.err, '');
    assert.is(shown.out.match(/^deployment\.\S+/gm)?.join(), 'deployment.apps/old');
    const asOld = 'get ingresses.v1beta1.extensions old -o jsonpath={.spec.rules[0].http.paths[0].backend}';
    assert.equal(JSON.parse(ok(await run(asOld))), { serviceName: 'web', servicePort: 80 });
    const asEvent = 'get events.v1.events.k8s.io -A -o jsonpath={.items[*].note}';
    assert.is(ok(await run(asEvent)), 'seen by the newer name');
    assert.is(ok(await run('get events -o jsonpath={.items[*].message}')), 'seen by the newer name');
    ok(await run('apply -f -', oldManifests));
    ok(await run('explain ingress.spec.backend --api-version=extensions/v1beta1'));
    ok(await run('delete -f -', oldManifests));
  });
}

test.run();
