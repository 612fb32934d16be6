/** ConfigMaps and Secrets as environment and as files that follow their source. */
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Lab } from '../support/lab.ts';
import { runPod } from './pods.ts';

export function addConfigurationTests(test: Test, lab: Lab): void {
  test('a ConfigMap and a Secret reach a pod as environment and as files', async () => {
    await lab.ok(['create', 'configmap', 'ui-config', '--from-literal=colour=blue', '--from-literal=ui.properties=a=1']);
    await lab.ok(['create', 'secret', 'generic', 'user', '--from-literal=username=admin']);
    await runPod(lab, 'website', {
      command: 'sleep 1000',
      container: {
        env: [
          { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'ui-config', key: 'colour' } } },
          { name: 'WHO', valueFrom: { secretKeyRef: { name: 'user', key: 'username' } } },
          { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
          { name: 'BOTH', value: '$(COLOUR)-$(WHO)-$$(COLOUR)' },
        ],
        volumeMounts: [
          { name: 'config', mountPath: '/config' },
          { name: 'secret', mountPath: '/secret', readOnly: true },
        ],
      },
      spec: {
        volumes: [
          { name: 'config', configMap: { name: 'ui-config' } },
          { name: 'secret', secret: { secretName: 'user', defaultMode: 0o400 } },
        ],
      },
    });
    await lab.ok(['wait', '--for=condition=Ready', 'pod/website', '--timeout=60s']);
    const environment = await lab.ok(['exec', 'website', '--', 'env']);
    assert.match(environment, /^COLOUR=blue$/m);
    assert.match(environment, /^WHO=admin$/m);
    assert.match(environment, /^NODE=peer-\d$/m);
    assert.match(environment, /^BOTH=blue-admin-\$\(COLOUR\)$/m);
    assert.is(await lab.ok(['exec', 'website', '--', 'cat', '/config/ui.properties', '/secret/username']), 'a=1admin');
    assert.match(await lab.ok(['exec', 'website', '--', 'mount']), /tmpfs on \/secret/);
  });

  test('the files follow the ConfigMap', async () => {
    await lab.ok(['patch', 'configmap', 'ui-config', '-p', '{"data":{"colour":"green"}}']);
    await lab.eventually('the new content', async () =>
      (await lab.ok(['exec', 'website', '--', 'cat', '/config/colour'])) === 'green' ? true : undefined,
    );
    await lab.ok(['delete', 'pod', 'website', '--wait=false']);
  });

  test('a pod whose ConfigMap is missing waits and says so, and starts once it is there', async () => {
    await runPod(lab, 'waiting', {
      command: 'sleep 1000',
      container: { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'late', key: 'a' } } }] },
    });
    await lab.eventually('the reason', async () => {
      const text = await lab.ok(['describe', 'pod', 'waiting']);
      return /CreateContainerConfigError/.test(text) && /configmap "late" not found/.test(text) ? true : undefined;
    });
    await lab.ok(['create', 'configmap', 'late', '--from-literal=a=b']);
    await lab.ok(['wait', '--for=condition=Ready', 'pod/waiting', '--timeout=60s']);
    await lab.ok(['delete', 'pod', 'waiting', '--wait=false']);
  });
}
