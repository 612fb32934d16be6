/** Service accounts on a real cluster: what a pod finds in its folder, what its token may do, and when that ends. */
import { writeFileSync } from 'node:fs';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Lab } from '../support/lab.ts';
import { runPod } from './pods.ts';

const folder = '/var/run/secrets/kubernetes.io/serviceaccount';

export function addAccessTests(test: Test, lab: Lab): void {
  /** kubectl with a token and nothing else. */
  async function runAs(token: string, args: string[], peer = 1) {
    const authority = '{.clusters[0].cluster.certificate-authority-data}';
    const encoded = await lab.ok(['config', 'view', '--raw', '-o', `jsonpath=${authority}`]);
    const file = `${lab.dir}/access-ca.crt`;
    writeFileSync(file, Buffer.from(encoded, 'base64'));
    return lab.kubectl(['--kubeconfig=/dev/null', `--certificate-authority=${file}`, `--token=${token}`, ...args], { peer });
  }

  test("a pod has its account's token, certificate and namespace; the token is good on every peer and dies with the pod", async () => {
    await lab.ok(['create', 'serviceaccount', 'robot']);
    await lab.ok(['create', 'rolebinding', 'robots', '--clusterrole=view', '--serviceaccount=default:robot']);
    await runPod(lab, 'teller', { command: 'sleep 1000', spec: { serviceAccountName: 'robot' } });
    await lab.ok(['wait', '--for=condition=Ready', 'pod/teller', '--timeout=60s']);
    const read = (name: string) => lab.ok(['exec', 'teller', '--', 'cat', `${folder}/${name}`]);
    assert.is(await read('namespace'), 'default');
    assert.match(await read('ca.crt'), /^-----BEGIN CERTIFICATE-----/);
    const token = await read('token');
    for (const peer of [1, 2, 3]) {
      const seen = await runAs(token, ['get', 'pod', 'teller', '-o', 'name'], peer);
      assert.is(seen.stdout, 'pod/teller\n', seen.stderr);
    }
    const refused = await runAs(token, ['delete', 'pod', 'teller']);
    assert.match(refused.stderr, /User "system:serviceaccount:default:robot" cannot delete resource "pods"/);
    await lab.ok(['delete', 'pod', 'teller']);
    assert.match((await runAs(token, ['get', 'pods'])).stderr, /Unauthorized/);
    const missing = await lab.kubectl(['run', 'nobody', '--image=busybox:1', '--overrides={"spec":{"serviceAccountName":"x"}}']);
    assert.match(missing.stderr, /error looking up service account default\/x: serviceaccount "x" not found/);
  });

  test('a secret of type service-account-token is filled, and goes with its account', async () => {
    const metadata = { name: 'robot-token', annotations: { 'kubernetes.io/service-account.name': 'robot' } };
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'kubernetes.io/service-account-token' };
    await lab.ok(['create', '-f', '-'], { input: JSON.stringify(secret) });
    const token = await lab.eventually('the secret to be filled', async () => {
      const text = await lab.ok(['get', 'secret', 'robot-token', '-o', 'jsonpath={.data.token}']);
      return text === '' ? undefined : Buffer.from(text, 'base64').toString();
    });
    assert.match((await runAs(token, ['auth', 'whoami'])).stdout, /system:serviceaccount:default:robot/);
    await lab.ok(['delete', 'serviceaccount', 'robot']);
    await lab.ok(['wait', '--for=delete', 'secret/robot-token', '--timeout=30s']);
    await lab.ok(['delete', 'rolebinding', 'robots']);
  });
}
