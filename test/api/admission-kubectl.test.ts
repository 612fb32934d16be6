/** Stock kubectl, the oldest and the newest, on quotas, limit ranges, priority, presets and pod security. */
import { basename } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kubectlHome, kubectls, type Ran } from './kubectl.ts';
import { type ListeningApi, listeningApi } from './listening.ts';

type Home = Awaited<ReturnType<typeof kubectlHome>>;
const test = suite<{ it: ListeningApi; home: Home }>('kubectl on admission');

test.before.each(async (context) => {
  context.it = await listeningApi();
  context.home = await kubectlHome(context.it);
});
test.after.each(async ({ it, home }) => {
  await home.close();
  await it.close();
});

function ok(ran: Ran, expected?: RegExp): Ran {
  assert.is(ran.code, 0, `${ran.out}${ran.err}`);
  if (expected) assert.match(ran.out, expected);
  return ran;
}

const limits = `
apiVersion: v1
kind: LimitRange
metadata: {name: limits}
spec:
  limits:
  - type: Container
    max: {memory: 1Gi}
    default: {memory: 512Mi}
    defaultRequest: {memory: 256Mi}
`;
const preset = `
apiVersion: settings.k8s.io/v1alpha1
kind: PodPreset
metadata: {name: allow-database}
spec:
  selector: {matchLabels: {role: frontend}}
  env: [{name: DB_PORT, value: "6379"}]
  volumeMounts: [{mountPath: /cache, name: cache-volume}]
  volumes: [{name: cache-volume, emptyDir: {}}]
`;
const pod = (name: string, memory = '') => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: website, role: frontend}}
spec:
  containers:
  - name: website
    image: nginx
    ports: [{containerPort: 80}]
    ${memory ? `resources: {limits: {memory: ${memory}}}` : ''}
`;

const all = kubectls();
const [oldest, newest] = [all[0] as string, all[all.length - 1] as string];

test(`${basename(oldest)} shows and meets quotas and limits`, async ({ home }) => {
  const run = (args: string, stdin?: string) => home.run(oldest, args.split(' '), stdin);
  ok(await run('create quota small --hard=pods=2,requests.memory=1Gi,count/deployments.apps=3'));
  ok(await run('create quota spare --hard=pods=1 --scopes=BestEffort'));
  ok(await run('create -f -', limits));
  ok(await run('describe limits limits'), /Container +memory +- +1Gi +256Mi +512Mi +-/);
  ok(await run('create -f -', pod('one')));
  ok(await run('create -f -', pod('two')));
  const described = ok(await run('describe quota small'), /pods +2 +2\n/).out;
  assert.match(described, /requests\.memory +512Mi +1Gi/);
  assert.match(described, /count\/deployments\.apps +0 +3/);
  ok(await run('get quota small'), /small +(\d+s +)?count\/deployments\.apps: 0\/3, pods: 2\/2, requests\.memory: 512Mi\/1Gi/);
  const over = await run('create -f -', pod('three'));
  assert.match(
    over.err,
    /\(Forbidden\).*pods "three" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2/,
  );
  const large = await run('create -f -', pod('four', '2Gi'));
  assert.match(large.err, /\(Forbidden\).*pods "four" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi/);
  ok(await run('auth can-i create resourcequotas'), /^yes\n$/);
  assert.match((await run('auth can-i create limitranges --as=alice')).out, /^no\n$/);
});

test(`${basename(newest)} on presets, priorities and pod security`, async ({ home }) => {
  const run = (args: string, stdin?: string) => home.run(newest, args.split(' '), stdin);
  ok(
    await run('get priorityclasses'),
    /system-cluster-critical +2000000000 +false[^\n]*\nsystem-node-critical +2000001000 +false/,
  );
  ok(await run('create priorityclass high --value=1000 --description=fast'));
  ok(await run('create -f -', preset));
  ok(await run('create -f -', pod('website')));
  const shown = ok(await run('get pod website -o yaml')).out;
  assert.match(shown, /podpreset\.admission\.kubernetes\.io\/podpreset-allow-database: "\d+"/);
  assert.match(shown, /- name: DB_PORT\n +value: "6379"/);
  assert.match(shown, /- mountPath: \/cache\n +name: cache-volume/);
  const strict = await run('label namespace default pod-security.kubernetes.io/enforce=restricted');
  ok(strict);
  assert.match(
    strict.err,
    /Warning: existing pods in namespace "default" violate the new PodSecurity enforce level "restricted:latest"/,
  );
  const refused = await run('run x --image=nginx');
  assert.match(
    refused.err,
    /pods "x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false \(container "x" must set securityContext\.allowPrivilegeEscalation=false\), /,
  );
  const warned = ok(await run('create deployment web --image=nginx'));
  assert.match(warned.err, /Warning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false/);
  const wrong = await run('label --overwrite namespace default pod-security.kubernetes.io/enforce=high');
  assert.match(wrong.err, /must be one of privileged, baseline, restricted/);
});

test.run();
