/** Stock kubectl, oldest to newest, against the endpoint: what people type has to work with each of them. */
import { basename } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kubectlHome, kubectls, type Ran } from './kubectl.ts';
import { type ListeningApi, listeningApi } from './listening.ts';

type Home = Awaited<ReturnType<typeof kubectlHome>>;
const test = suite<{ it: ListeningApi; home: Home }>('kubectl');

test.before.each(async (context) => {
  context.it = await listeningApi();
  context.home = await kubectlHome(context.it);
});
test.after.each(async ({ it, home }) => {
  await home.close();
  await it.close();
});

const deployment = (image: string, more = '') => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: ${image}
        ports: [{containerPort: 80}]
${more}`;
const sidecar = '      - {name: side, image: side}\n';

function ok(ran: Ran, expected?: RegExp): string {
  assert.is(ran.code, 0, `${ran.out}${ran.err}`);
  if (expected) assert.match(ran.out, expected);
  return ran.out;
}

for (const kubectl of kubectls()) {
  const version = basename(kubectl);

  test(`${version} creates, shows, changes and deletes`, async ({ home }) => {
    const run = (args: string, stdin?: string) => home.run(kubectl, args.split(' '), stdin);
    ok(await run('create configmap a --from-literal=k=v'));
    ok(await run('get configmaps'), /^NAME +DATA +AGE\na +1 +\d+s\n$/);
    ok(await run('label configmap a team=blue'));
    ok(await run('get cm -l team=blue -A --show-labels'), /team=blue/);
    ok(await run('annotate configmap a note=n'));
    ok(await run('patch configmap a -p {"data":{"k":null,"z":"1"}}'));
    assert.equal(JSON.parse(ok(await run('get cm a -o jsonpath={.data}'))), { z: '1' });
    ok(await run('replace -f -', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: "2"}\n'));
    ok(await run('wait --for=jsonpath={.data.x}=2 cm/a --timeout=20s'));
    ok(await run('delete configmap a'));
    const gone = await run('get configmap a');
    assert.is(gone.err, 'Error from server (NotFound): configmaps "a" not found\n');
  });

  test(`${version} applies what changes, and only that`, async ({ home }) => {
    const run = (args: string, stdin?: string) => home.run(kubectl, args.split(' '), stdin);
    ok(await run('apply -f -', deployment('one', sidecar)), /deployment.apps\/web created/);
    ok(await run('apply -f -', deployment('one', sidecar)), /deployment.apps\/web unchanged/);
    ok(await run('scale deployment web --replicas=5'));
    ok(await run('set image deployment/web web=two'));
    assert.is((await run('diff -f -', deployment('three'))).code, 1);
    ok(await run('apply -f -', deployment('three')), /deployment.apps\/web configured/);
    const images = 'get deploy web -o jsonpath={.spec.replicas}{.spec.template.spec.containers[*].image}';
    assert.is(ok(await run(images)), '2three');
    const wrong = await run('apply -f -', deployment('four').replace('replicas', 'replcas'));
    assert.is.not(wrong.code, 0);
    assert.match(wrong.err, /unknown field "spec.replcas"/);
    ok(await run('explain deployment.spec.replicas'), /replicas/);
    ok(await run('describe deployment web'), /Image: +three/);
    ok(await run('delete -f -', deployment('three')), /"web" deleted/);
  });
}

test.run();
