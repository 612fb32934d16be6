/** Secrets, ConfigMaps, the downward API and PodPresets, as the tutorials bring them into pods. */
import { mkdirSync, writeFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { type Bench, type SeedCase, shows } from '../bench.ts';

const folder = (bench: Bench) => {
  const path = `${bench.lab.dir}/files-${bench.namespace}`;
  mkdirSync(path, { recursive: true });
  return path;
};

const projected: SeedCase = {
  title: 'two secrets from files are projected into one folder, follow their change, and stand in a list',
  of: ['000 Pod test-projected-volume'],
  because: 'pull policy IfNotPresent: the images are on the machines, and no registry can be reached',
  async run(bench) {
    const dir = folder(bench);
    writeFileSync(`${dir}/username.txt`, 'admin\n');
    writeFileSync(`${dir}/password.txt`, 'c1oudc0w!\n');
    await bench.ok(`create secret generic user --from-file=${dir}/username.txt`);
    await bench.ok(`create secret generic pass --from-file=${dir}/password.txt`);
    await bench.apply(`
apiVersion: v1
kind: Pod
metadata: {name: test-projected-volume}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: test-secret-volume
    image: busybox
    imagePullPolicy: IfNotPresent
    args: [sleep, "86400"]
    volumeMounts: [{name: mysql-cred, mountPath: /projected-volume, readOnly: true}]
  volumes:
  - name: mysql-cred
    projected: {sources: [{secret: {name: user}}, {secret: {name: pass}}]}
`);
    const listed = await bench.ok('get secrets');
    shows(listed, /^NAME +TYPE +DATA +AGE\npass +Opaque +1 +\S+\nuser +Opaque +1 +\S+\n$/);
    await bench.ready('test-projected-volume');
    const read = 'cd /projected-volume; ls; cat username.txt password.txt; echo x > username.txt';
    const seen = await bench.kubectl('exec test-projected-volume -- sh -c', [read]);
    assert.is(seen.stdout, 'password.txt\nusername.txt\nadmin\nc1oudc0w!\n');
    shows(seen.stderr, 'Read-only file system');
    await bench.ok('patch secret user -p', ['{"stringData":{"username.txt":"root"}}']);
    await bench.lab.eventually('the new content', async () =>
      (await bench.sh('test-projected-volume', 'cat /projected-volume/username.txt')) === 'root' ? true : undefined,
    );
  },
};

const secretKeys: SeedCase = {
  title: 'a secret in base64 is plain in the pod; as environment and through subPath it does not follow, as a folder it does',
  of: [],
  async run(bench) {
    await bench.apply(
      '{apiVersion: v1, kind: Secret, metadata: {name: mysecret}, type: Opaque, data: {user: YWRtaW4=, pass: MWYyZDFlMmU2N2Rm}}',
    );
    await bench.apply(`
apiVersion: v1
kind: ConfigMap
metadata: {name: cc-go-config}
data: {application-name: Test}
immutable: true
---
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: reader
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sleep, "1000"]
    env: [{name: PASS, valueFrom: {secretKeyRef: {name: mysecret, key: pass}}}]
    volumeMounts:
    - {name: secret, mountPath: /secret}
    - {name: secret, mountPath: /alone, subPath: user}
    - {name: config, mountPath: /config}
  volumes:
  - {name: secret, secret: {secretName: mysecret}}
  - {name: config, configMap: {name: cc-go-config}}
`);
    await bench.ready('reader');
    assert.is(await bench.sh('reader', 'echo $PASS; cat /secret/user /alone'), '1f2d1e2e67df\nadminadmin');
    const links = await bench.sh('reader', 'readlink /config/application-name; readlink /config/..data');
    shows(links, /^\.\.data\/application-name\n\.\.\d{4}(_\d\d){5}\.\d+\n$/);
    const immutable = await bench.kubectl('patch configmap cc-go-config -p', ['{"data":{"application-name":"Other"}}']);
    shows(immutable.stderr, 'data: Forbidden: field is immutable when `immutable` is set');
    await bench.ok('patch secret mysecret -p', ['{"stringData":{"user":"root","pass":"other"}}']);
    await bench.lab.eventually('the new content', async () =>
      (await bench.sh('reader', 'cat /secret/user')) === 'root' ? true : undefined,
    );
    assert.is(await bench.sh('reader', 'echo $PASS; cat /alone'), '1f2d1e2e67df\nadmin');
    const account = await bench.sh('reader', 'ls /var/run/secrets/kubernetes.io/serviceaccount');
    assert.is(account, 'ca.crt\nnamespace\ntoken\n');
  },
};

const uiConfig: SeedCase = {
  title: 'a ConfigMap from a properties file keeps its text and shows it as one block',
  of: [],
  async run(bench) {
    const text = 'color.good=purple\ncolor.bad=yellow\nallow.textmode=true\nhow.nice.to.look=fairlyNice\n';
    writeFileSync(`${folder(bench)}/ui.properties`, text);
    await bench.ok(`create configmap ui-config --from-file=${folder(bench)}/ui.properties`);
    const shown = await bench.ok('get configmaps ui-config -o yaml');
    shows(shown, `data:\n  ui.properties: |\n${text.replaceAll(/^(?=.)/gm, '    ')}kind: ConfigMap`);
  },
};

const downward: SeedCase = {
  title: 'the labels of a pod are a file in it, and every field of the downward API can be had',
  of: ['000 Pod test-downwardapi-volume'],
  async run(bench) {
    const field = (name: string, fieldPath: string) =>
      `    - {name: ${name}, valueFrom: {fieldRef: {fieldPath: "${fieldPath}"}}}`;
    const resource = (name: string, resource: string) =>
      `    - {name: ${name}, valueFrom: {resourceFieldRef: {resource: ${resource}}}}`;
    await bench.apply(`
apiVersion: v1
kind: Pod
metadata:
  name: test-downwardapi-volume
  labels: {zone: us-est-coast, cluster: test-cluster1, rack: rack-22}
  annotations: {note: here}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: client-container
    image: k8s.gcr.io/busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c]
    args:
    - while true; do
        if [[ -e /etc/podinfo/labels ]]; then
          echo -en '\\n\\n'; cat /etc/podinfo/labels; fi;
        sleep 5;
      done;
    resources: {requests: {cpu: 50m, memory: 16Mi}, limits: {cpu: 1500m, memory: 32Mi}}
    env:
${field('NODE', 'spec.nodeName')}
${field('HOST_IP', 'status.hostIP')}
${field('NAME', 'metadata.name')}
${field('NAMESPACE', 'metadata.namespace')}
${field('POD_IP', 'status.podIP')}
${field('ACCOUNT', 'spec.serviceAccountName')}
${field('POD_UID', 'metadata.uid')}
${field('RACK', "metadata.labels['rack']")}
${field('NOTE', "metadata.annotations['note']")}
${resource('CPU_LIMIT', 'limits.cpu')}
${resource('CPU_REQUEST', 'requests.cpu')}
${resource('MEMORY_LIMIT', 'limits.memory')}
${resource('MEMORY_REQUEST', 'requests.memory')}
    volumeMounts: [{name: podinfo, mountPath: /etc/podinfo, readOnly: false}]
  volumes:
  - name: podinfo
    projected:
      sources:
      - downwardAPI:
          items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: annotations, fieldRef: {fieldPath: metadata.annotations}}]
`);
    await bench.ready('test-downwardapi-volume');
    const labels = 'cluster="test-cluster1"\nrack="rack-22"\nzone="us-est-coast"';
    await bench.lab.eventually('the labels in the log', async () =>
      (await bench.ok('logs test-downwardapi-volume')).startsWith(`\n\n${labels}`) ? true : undefined,
    );
    const { metadata, spec, status } = await bench.phase('test-downwardapi-volume', 'Running');
    const environment = await bench.sh('test-downwardapi-volume', 'env | sort');
    for (const line of [
      `NODE=${spec?.nodeName}`,
      `HOST_IP=${status?.hostIP}`,
      'NAME=test-downwardapi-volume',
      `NAMESPACE=${bench.namespace}`,
      `POD_IP=${status?.podIP}`,
      'ACCOUNT=default',
      `POD_UID=${metadata.uid}`,
      'RACK=rack-22',
      'NOTE=here',
      'CPU_LIMIT=2', // divisor 1: rounded up
      'CPU_REQUEST=1',
      `MEMORY_LIMIT=${32 * 1024 * 1024}`,
      `MEMORY_REQUEST=${16 * 1024 * 1024}`,
    ])
      shows(`\n${environment}`, `\n${line}\n`);
    await bench.ok('label pod test-downwardapi-volume rack=rack-23 --overwrite');
    await bench.lab.eventually('the changed label', async () =>
      (await bench.sh('test-downwardapi-volume', 'cat /etc/podinfo/labels')).includes('rack="rack-23"') ? true : undefined,
    );
  },
};

const websiteTemplate = (more = '') => `
  metadata: {labels: {app: website, role: frontend}}
  spec:
    terminationGracePeriodSeconds: 1
    containers:
    - {name: website, image: nginx, imagePullPolicy: IfNotPresent, ports: [{containerPort: 80}]${more}}
`;

const preset: SeedCase = {
  title: 'a PodPreset is put into the pods that it selects, not into their Deployment, and not where it conflicts',
  of: ['000 Pod website'],
  async run(bench) {
    await bench.ok('create -f -', [], {
      input: `
apiVersion: settings.k8s.io/v1alpha1
kind: PodPreset
metadata: {name: allow-database}
spec:
  selector: {matchLabels: {role: frontend}}
  env: [{name: DB_PORT, value: "6379"}]
  volumeMounts: [{mountPath: /cache, name: cache-volume}]
  volumes: [{name: cache-volume, emptyDir: {}}]
`,
    });
    const pod = (name: string, more = '') =>
      `apiVersion: v1\nkind: Pod${websiteTemplate(more).replaceAll(/^ {2}/gm, '').replace('metadata: {', `metadata: {name: ${name}, `)}`;
    await bench.ok('create -f -', [], { input: pod('website') });
    const clashing = await bench.kubectl('create -f -', [], { input: pod('clashing', ', env: [{name: DB_PORT, value: "1"}]') });
    shows(clashing.stdout, 'pod/clashing created');
    await bench.apply(`apiVersion: apps/v1
kind: Deployment
metadata: {name: nginx-deployment}
spec:
  selector: {matchLabels: {app: website}}
  template:${websiteTemplate().replaceAll(/^/gm, '  ')}`);
    await bench.ready('website');
    const shown = await bench.ok('get pod website -o yaml');
    shows(shown, /\n {4}podpreset\.admission\.kubernetes\.io\/podpreset-allow-database: "\d+"\n/);
    shows(shown, /\n {4}- mountPath: \/cache\n {6}name: cache-volume\n/);
    shows(shown, /\n {2}- emptyDir: \{\}\n {4}name: cache-volume\n/);
    assert.is(await bench.sh('website', 'echo $DB_PORT; touch /cache/a; ls /cache'), '6379\na\n');
    const jsonpath = 'jsonpath={.metadata.annotations}{.spec.volumes[*].name}{.spec.containers[0].env}';
    assert.not.match(await bench.ok('get pod clashing -o', [jsonpath]), /podpreset|cache-volume|6379/);
    assert.not.match(await bench.ok('get deployment nginx-deployment -o yaml'), /6379|cache-volume/);
    await bench.ok('rollout status deployment/nginx-deployment --timeout=60s');
    assert.is(await bench.ok('exec deploy/nginx-deployment -- sh -c', ['echo $DB_PORT']), '6379\n');
  },
};

export const configurationCases = [projected, secretKeys, uiConfig, downward, preset];
