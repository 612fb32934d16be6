/** Each stock kubectl from 1.27 to 1.33 through the same commands. */
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { execute, kubectlVersions, type Lab } from '../support/lab.ts';

const deployment = (name: string) => `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
spec:
  replicas: 1
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: main, image: "busybox:1", command: [sleep, "1000"], ports: [{containerPort: 80}]}
`;

export function addKubectlTests(test: Test, lab: Lab): void {
  for (const version of kubectlVersions) {
    test(`kubectl ${version}: create, apply, read, change, roll and delete`, async () => {
      const name = `web-${version.replace('.', '-')}`;
      const ok = (args: string[], input?: string) => lab.ok(args, { version, ...(input === undefined ? {} : { input }) });

      assert.match(await ok(['apply', '-f', '-'], deployment(name)), `deployment.apps/${name} created`);
      assert.match(await ok(['apply', '-f', '-'], deployment(name)), 'unchanged');
      assert.match(await ok(['apply', '-f', '-'], deployment(name).replace('replicas: 1', 'replicas: 2')), 'configured');
      await ok(['rollout', 'status', `deployment/${name}`, '--timeout=60s']);
      assert.match(
        await ok(['get', 'deployment', name, '-o', 'wide']),
        /READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE\s+CONTAINERS\s+IMAGES\s+SELECTOR\n\S+\s+2\/2/,
      );
      assert.match(
        await ok(['get', 'pods', '-l', `app=${name}`, '-o', 'wide']),
        /Running\s+0\s+\S+\s+10\.42\.\d+\.\d+\s+peer-\d/,
      );
      assert.match(await ok(['get', 'pods', '--show-labels']), `app=${name}`);
      assert.match(await ok(['describe', 'deployment', name]), /StrategyType:\s+RollingUpdate/);
      assert.match(
        await ok(['describe', 'pod', '-l', `app=${name}`]),
        /Successfully assigned default\/[\s\S]*Started container main|Started\s/,
      );
      assert.match(await ok(['describe', 'node', 'peer-1']), /Allocated resources/);
      await ok(['label', 'deployment', name, 'tier=front']);
      await ok(['annotate', 'deployment', name, 'note=one']);
      assert.match(await ok(['get', 'deployments', '-l', 'tier in (front),app!=x', '-o', 'name']), name);
      await ok(['label', 'deployment', name, 'tier-']);
      await ok(['scale', 'deployment', name, '--replicas=1']);
      await ok(['set', 'env', `deployment/${name}`, 'A=b']);
      await ok(['rollout', 'restart', `deployment/${name}`]);
      await ok(['rollout', 'status', `deployment/${name}`, '--timeout=60s']);
      assert.match(await ok(['rollout', 'history', `deployment/${name}`]), /3/);
      await ok(['rollout', 'undo', `deployment/${name}`]);
      await ok(['rollout', 'status', `deployment/${name}`, '--timeout=60s']);
      assert.match(await ok(['explain', 'deployment.spec.strategy']), 'rollingUpdate');
      assert.match(await ok(['explain', 'pod', '--recursive']), 'terminationGracePeriodSeconds');
      assert.match(await ok(['api-resources']), /deployments\s+deploy\s+apps\/v1\s+true\s+Deployment/);
      assert.match(await ok(['get', 'all']), `deployment.apps/${name}`);
      assert.match(await ok(['expose', 'deployment', name, '--port=80']), 'exposed');
      await ok(['create', 'configmap', name, '--from-literal=a=b']);
      await ok(['create', 'secret', 'generic', name, '--from-literal=a=b']);
      await ok(['create', 'serviceaccount', name]);
      await ok(['create', 'namespace', name]);
      const diff = await lab.kubectl(['diff', '-f', '-'], {
        version,
        input: deployment(name).replace('replicas: 1', 'replicas: 5'),
      });
      assert.match(diff.stdout, /\+ {2}replicas: 5/);
      const invalid = await lab.kubectl(['apply', '-f', '-'], { version, input: deployment('Bad_Name') });
      assert.is(invalid.code, 1);
      assert.match(invalid.stderr, /is invalid: metadata\.name: Invalid value: "Bad_Name"/);
      const unknown = await lab.kubectl(['apply', '-f', '-'], {
        version,
        input: deployment('odd').replace('replicas: 1', 'replica: 1'),
      });
      assert.match(unknown.stderr, /unknown field "spec\.replica"/);
      await ok(['delete', 'deployment,service,configmap,secret,serviceaccount', name, '--ignore-not-found']);
      await ok(['delete', 'namespace', name, '--timeout=60s']);
      assert.match((await lab.kubectl(['get', 'deployment', name], { version })).stderr, `deployments.apps "${name}" not found`);
    });
  }

  test('edit changes an object in an editor', async () => {
    await lab.ok(['create', 'configmap', 'draft', '--from-literal=a=before']);
    const outcome = await execute('kubectl', ['edit', 'configmap', 'draft'], {
      env: { KUBECONFIG: `${lab.dir}/kubeconfig`, KUBE_EDITOR: 'sed -i s/before/after/' },
    });
    assert.is(outcome.code, 0, outcome.stderr);
    assert.is(await lab.ok(['get', 'configmap', 'draft', '-o', 'jsonpath={.data.a}']), 'after');
  });

  test('get -w shows each change as it comes', async () => {
    await lab.ok(['create', 'configmap', 'seen', '--from-literal=a=1']);
    const format = 'jsonpath={.data.a}{"\\n"}';
    const watch = lab.start(['get', 'configmap', 'seen', '-w', '-o', format]);
    await watch.until('1\n');
    await lab.ok(['patch', 'configmap', 'seen', '-p', '{"data":{"a":"2"}}']);
    await watch.until('2\n');
    await watch.end();
  });
}
