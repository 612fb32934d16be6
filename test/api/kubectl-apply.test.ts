/** Server-side apply as people use it: stock kubectl of several ages, alone and beside client-side apply. */
import { basename } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kubectlHome, kubectls, type Ran } from './kubectl.ts';
import { type ListeningApi, listeningApi } from './listening.ts';

type Home = Awaited<ReturnType<typeof kubectlHome>>;
const test = suite<{ it: ListeningApi; home: Home }>('kubectl apply --server-side');

test.before.each(async (context) => {
  context.it = await listeningApi();
  context.home = await kubectlHome(context.it);
});
test.after.each(async ({ it, home }) => {
  await home.close();
  await it.close();
});

const deployment = ({ replicas = 2, image = 'one', labels = '{app: web}' }) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: ${labels}}
spec:
  ${replicas ? `replicas: ${replicas}` : ''}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: ${image}
        ports: [{containerPort: 80}]
`;

function ok(ran: Ran, expected?: RegExp): string {
  assert.is(ran.code, 0, `${ran.out}${ran.err}`);
  if (expected) assert.match(ran.out, expected);
  return ran.out;
}

interface Entry {
  manager: string;
  operation: string;
  subresource?: string;
}

async function owners(home: Home, kubectl: string): Promise<string[]> {
  const shown = ok(await home.run(kubectl, 'get deploy web -o json --show-managed-fields'.split(' ')));
  const { metadata } = JSON.parse(shown) as { metadata: { managedFields?: Entry[] } };
  return (metadata.managedFields ?? []).map(({ manager, operation, subresource }) =>
    [manager, operation, subresource].filter(Boolean).join(' '),
  );
}

for (const kubectl of kubectls().filter((path, _, all) => all.length === 1 || /1\.(27|30|33)$/.test(path))) {
  const version = basename(kubectl);

  test(`${version} applies, meets conflicts, and forces`, async ({ home }) => {
    const run = (args: string, stdin?: string) => home.run(kubectl, args.split(' '), stdin);
    ok(await run('apply --server-side -f -', deployment({})), /deployment.apps\/web serverside-applied/);
    assert.equal(await owners(home, kubectl), ['kubectl Apply']);
    assert.not.match(ok(await run('get deploy web -o yaml')), /managedFields/);
    const before = ok(await run('get deploy web -o jsonpath={.metadata.resourceVersion}'));
    ok(await run('apply --server-side -f -', deployment({})));
    assert.is(ok(await run('get deploy web -o jsonpath={.metadata.resourceVersion}')), before);
    const refused = await run('apply --server-side --field-manager=other -f -', deployment({ replicas: 5 }));
    assert.is.not(refused.code, 0);
    assert.match(refused.err, /Apply failed with 1 conflict: conflict with "kubectl": \.spec\.replicas/);
    ok(await run('apply --server-side --field-manager=other --force-conflicts -f -', deployment({ replicas: 5 })));
    assert.is(ok(await run('get deploy web -o jsonpath={.spec.replicas}')), '5');
    ok(await run('apply --server-side -f -', deployment({ replicas: 0 })));
    assert.is(ok(await run('get deploy web -o jsonpath={.spec.replicas}')), '5', 'the other owns it');
    ok(await run('scale deploy web --replicas=3'));
    assert.equal(await owners(home, kubectl), ['kubectl Apply', 'other Apply', `${version} Update scale`]);
    const wrong = await run('apply --server-side -f -', deployment({}).replace('replicas', 'replcas'));
    assert.is.not(wrong.code, 0);
    assert.match(wrong.err, /\.spec\.replcas: field not declared in schema|unknown field "spec.replcas"/);
  });

  test(`${version} shows what a server-side apply would change`, async ({ home }) => {
    const run = (args: string, stdin?: string) => home.run(kubectl, args.split(' '), stdin);
    const created = await run('diff --server-side -f -', deployment({}));
    assert.is(created.code, 1, created.err);
    ok(await run('apply --server-side -f -', deployment({})));
    assert.is((await run('diff --server-side -f -', deployment({}))).code, 0);
    const changed = await run('diff --server-side -f -', deployment({ image: 'two' }));
    assert.is(changed.code, 1, changed.err);
    assert.match(changed.out, /\+ +- image: two|\+ +image: two/);
    ok(await run('apply --server-side --dry-run=server -f -', deployment({ image: 'two' })), /serverside-applied/);
    assert.is(ok(await run('get deploy web -o jsonpath={..image}')), 'one');
  });

  test(`${version} moves from client-side to server-side apply and back`, async ({ home }) => {
    const run = (args: string, stdin?: string) => home.run(kubectl, args.split(' '), stdin);
    ok(await run('apply -f -', deployment({ labels: '{app: web, old: "1"}' })));
    assert.equal(await owners(home, kubectl), ['kubectl-client-side-apply Update']);
    ok(await run('apply --server-side -f -', deployment({ image: 'two', labels: '{app: web}' })));
    assert.equal(JSON.parse(ok(await run('get deploy web -o jsonpath={.metadata.labels}'))), { app: 'web' });
    assert.equal(
      (await owners(home, kubectl)).filter((owner) => /client-side/.test(owner)),
      [],
    );
    ok(await run('apply --server-side -f -', deployment({ image: 'three' })));
    ok(await run('apply -f -', deployment({ image: 'four', replicas: 4 })));
    assert.is(ok(await run('get deploy web -o jsonpath={..image}{.spec.replicas}')), 'four4');
    ok(await run('apply -f -', deployment({ image: 'four', replicas: 4 })), /unchanged/);
  });
}

test.run();
