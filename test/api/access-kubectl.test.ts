/** Stock kubectl of several versions on roles, tokens and questions of access, over TLS. */
import { basename } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kubectlHome, kubectls, type Ran } from './kubectl.ts';
import { type ListeningApi, listeningApi } from './listening.ts';

type Home = Awaited<ReturnType<typeof kubectlHome>>;
const test = suite<{ it: ListeningApi; home: Home }>('kubectl on access');

test.before.each(async (context) => {
  context.it = await listeningApi();
  context.home = await kubectlHome(context.it);
});
test.after.each(async ({ it, home }) => {
  await home.close();
  await it.close();
});

function ok(ran: Ran, expected?: RegExp): string {
  assert.is(ran.code, 0, `${ran.out}${ran.err}`);
  if (expected) assert.match(ran.out, expected);
  return ran.out;
}

for (const kubectl of kubectls()) {
  const version = basename(kubectl);

  test(`${version} makes roles and bindings, and shows them`, async ({ home }) => {
    const run = (args: string) => home.run(kubectl, args.split(' '));
    ok(await run('create role reader --verb=get,list --resource=pods,pods/log'));
    ok(await run('create rolebinding readers --role=reader --user=alice --serviceaccount=default:robot --group=team'));
    ok(await run('create clusterrole metrics --verb=get --non-resource-url=/metrics'));
    ok(await run('create clusterrole all-views --aggregation-rule=a=b'));
    ok(await run('create clusterrolebinding metrics --clusterrole=metrics --group=watchers'));
    ok(await run('get role'), /^NAME +CREATED AT\nreader +\d{4}-\d\d-\d\dT[\d:]+Z\n$/);
    ok(
      await run('get rolebinding -o wide'),
      /^NAME +ROLE +AGE +USERS +GROUPS +SERVICEACCOUNTS\nreaders +Role\/reader +\d+s +alice +team +default\/robot\n$/,
    );
    ok(await run('describe clusterrole metrics'), /\[\/metrics\]/);
    ok(await run('get clusterroles'), /\ncluster-admin +\d{4}-/);
    const bad = await run('create rolebinding other --clusterrole=nothing --user=alice --dry-run=server');
    ok(bad);
    ok(await run('auth can-i get pods --as=alice'), /^yes\n$/);
    ok(await run('auth can-i get pods/log --as=alice'), /^yes\n$/);
    assert.match((await run('auth can-i delete pods --as=alice')).out, /^no\n$/);
    assert.match((await run('auth can-i get pods --as=alice -n kube-system')).out, /^no\n$/);
    ok(await run('auth can-i get /metrics --as=bob --as-group=watchers'), /^yes\n$/);
    ok(await run('auth can-i * *'), /^yes\n$/);
    const list = ok(await run('auth can-i --list --as=alice'));
    assert.match(list, /pods +\[\] +\[\] +\[get list\]/);
    assert.match(list, /selfsubjectaccessreviews\.authorization\.k8s\.io +\[\] +\[\] +\[create\]/);
    assert.match(list, /\[\/api\/\*\] +\[\] +\[get\]/);
  });

  test(`${version} makes a token, which is good for what its account may do`, async ({ home }) => {
    const run = (args: string) => home.run(kubectl, args.split(' '));
    ok(await run('create serviceaccount robot'));
    const token = ok(await run('create token robot --duration=1h')).trim();
    const as = (args: string) => home.runAs(kubectl, token, args.split(' '));
    assert.match(
      (await as('get configmaps')).err,
      /User "system:serviceaccount:default:robot" cannot list resource "configmaps"/,
    );
    ok(await run('create rolebinding robots --clusterrole=edit --serviceaccount=default:robot'));
    ok(await as('create configmap made --from-literal=a=b'));
    ok(await as('get configmap made'));
    ok(await as('auth can-i create deployments'), /^yes\n$/);
    ok(await as('auth whoami'), /system:serviceaccount:default:robot/);
    ok(await as('auth whoami -o json'), /"system:serviceaccounts:default"/);
    assert.match(
      (await as('create clusterrolebinding mine --clusterrole=cluster-admin --user=robot')).err,
      /cannot create resource "clusterrolebindings"/,
    );
    assert.match((await as('get pods --as=alice')).err, /cannot impersonate resource "users"/);
    ok(await run('delete serviceaccount robot'));
    assert.match((await as('get configmaps')).err, /Unauthorized|must be logged in/);
    const short = await run('create token default --duration=1m');
    assert.match(short.err, /may not specify a duration less than 10 minutes/);
    assert.match((await run('create token nobody')).err, /serviceaccounts "nobody" not found/);
  });
}

test.run();
