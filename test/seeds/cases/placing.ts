/** Where pods go and where they do not: selectors, affinity, tolerations, a node that is named, claims. peer-3 is cordoned. */
import * as assert from 'uvu/assert';
import { type SeedCase, shows } from '../bench.ts';

const sleeper = (name: string, spec: string) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: a, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, "1000"]}]
  ${spec}
`;
const nowhere =
  /^FailedScheduling: 0\/3 nodes are available: 1 node\(s\) were unschedulable, 2 node\(s\) didn't match Pod's node affinity\/selector\./;

/** The tutorial's pod of many fields, put right. */
const everything = (node: string) => `
apiVersion: v1
kind: Pod
metadata: {name: nginx, labels: {env: test}}
spec:
  nodeName: ${node}
  nodeSelector: {disktype: ssd}
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
        - matchExpressions: [{key: kubernetes.io/e2e-az-name, operator: In, values: [e2e-az1, e2e-az2]}]
  hostAliases: [{ip: "10.2.1.2", hostnames: [foo.remote, bar.remote]}]
  shareProcessNamespace: true
  restartPolicy: Always
  terminationGracePeriodSeconds: 1
  tolerations: [{key: node-role.kubernetes.io/master, operator: Exists, effect: NoSchedule}]
  initContainers:
  - image: geektime/sample:v2
    name: war
    command: [cp, /sample.war, /app]
    volumeMounts: [{mountPath: /app, name: app-volume}]
  containers:
  - name: cat-hosts
    image: nginx
    imagePullPolicy: IfNotPresent
    lifecycle:
      postStart: {exec: {command: [/bin/bash, -c, "echo Hello from the postStart handler > /usr/share/message"]}}
      preStop: {exec: {command: [/usr/sbin/nginx, -s, quit]}}
    command: [sh]
    args: [-c, "cat /etc/hosts; touch /tmp/healthy; exec httpd -f -p 8080 -h /usr/share"]
    ports: [{containerPort: 80, name: web, hostPort: 2039}]
    volumeMounts: [{mountPath: /app, name: app-volume}]
    livenessProbe: {exec: {command: [cat, /tmp/healthy]}, initialDelaySeconds: 5, periodSeconds: 5, timeoutSeconds: 30}
    readinessProbe: {httpGet: {path: /message, port: 8080}, timeoutSeconds: 2, periodSeconds: 1}
  volumes: [{name: app-volume, emptyDir: {}}]
`;

const selector: SeedCase = {
  title: 'a pod with a nodeSelector waits for a node with that label; one that names its node is turned away without it',
  of: ['000 Pod -', '003 Pod -', '001 Pod nginx'],
  because:
    'nginx of 001 is refused as it stands: hostAliases has no field host.names, its volume is not declared, and cat /etc/hosts ends at once; ' +
    'node kube-01 is peer-2 here, and httpd listens on 8080, where the readiness probe asks',
  async run(bench) {
    const misspelt = everything('peer-2').replace('hostnames:', 'host.names:');
    shows(
      await bench.refused(misspelt),
      'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.hostAliases[0].host.names"',
    );
    const undeclared = everything('peer-2').replace(/ {2}volumes: .*\n/, '');
    shows(
      await bench.refused(undeclared),
      'The Pod "nginx" is invalid: \n* spec.containers[0].volumeMounts[0].name: Not found: "app-volume"\n* spec.initContainers[0].volumeMounts[0].name: Not found: "app-volume"',
    );
    await bench.apply(sleeper('ssd', 'nodeSelector: {disktype: ssd}'));
    await bench.event('ssd', nowhere);
    shows(await bench.ok('get pod ssd'), /ssd +0\/1 +Pending +0 /);
    const conditions = await bench.ok('get pod ssd -o', ['jsonpath={.status.conditions[*].type}={.status.conditions[*].reason}']);
    assert.is(conditions, 'PodScheduled=Unschedulable');

    await bench.apply(everything('peer-2'));
    const turnedAway = await bench.phase('nginx', 'Failed');
    assert.is(turnedAway.status?.reason, 'NodeAffinity');
    shows(await bench.ok('get pod nginx'), /nginx +0\/1 +NodeAffinity +0 /);
    await bench.ok('delete pod nginx');

    await bench.ok('label node peer-2 disktype=ssd kubernetes.io/e2e-az-name=e2e-az1');
    await bench.ready('ssd');
    assert.is((await bench.phase('ssd', 'Running')).spec?.nodeName, 'peer-2');
    await bench.apply(everything('peer-2'));
    await bench.ready('nginx');
    const { status } = await bench.phase('nginx', 'Running');
    shows(
      await bench.ok('logs nginx'),
      `${status?.podIP}\tnginx\n\n# Entries added by HostAliases.\n10.2.1.2\tfoo.remote\tbar.remote\n`,
    );
    assert.is(await bench.sh('nginx', 'cat /usr/share/message /app/sample.war'), 'Hello from the postStart handler\nwar');
    shows(await bench.sh('nginx', 'ps'), / 1 65535 .*pause\n[\s\S]* httpd -f/);
    await bench.ok('delete pod nginx');
  },
};

const affinity: SeedCase = {
  title: 'a required node affinity keeps a pod to the nodes that match, by label or by name',
  of: ['000 Pod with-node-affinity'],
  because:
    'without containers a pod is refused; as an expression, metadata.name is a label: the name of a node is asked for by matchFields',
  async run(bench) {
    const manifest = (terms: string) =>
      `affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{${terms}}]}}}`;
    const term = '{key: metadata.name, operator: In, values: [node-geektime]}';
    const asWritten = sleeper('with-node-affinity', manifest(`matchExpressions: [${term}]`));
    shows(
      await bench.refused(asWritten.replace(/ {2}containers: .*\n/, '')),
      'The Pod "with-node-affinity" is invalid: spec.containers: Required value',
    );
    await bench.apply(asWritten);
    await bench.event('with-node-affinity', nowhere);
    await bench.apply(sleeper('by-name', manifest(`matchFields: [${term.replace('node-geektime', 'peer-1')}]`)));
    await bench.ready('by-name');
    assert.is((await bench.phase('by-name', 'Running')).spec?.nodeName, 'peer-1');
    await bench.ok('label node peer-2 metadata.name=node-geektime');
    await bench.ready('with-node-affinity');
    assert.is((await bench.phase('with-node-affinity', 'Running')).spec?.nodeName, 'peer-2');
    // Ignored during execution: it stays although the label goes.
    await bench.ok('label node peer-2 metadata.name-');
    assert.is((await bench.phase('with-node-affinity', 'Running')).spec?.nodeName, 'peer-2');
  },
};

const toleration: SeedCase = {
  title: 'a cordoned node takes the pod that tolerates it, and no other',
  of: ['000 Pod with-toleration'],
  because: 'without containers a pod is refused; a node selector shows that only the toleration makes the difference',
  async run(bench) {
    const there = 'nodeSelector: {kubernetes.io/hostname: peer-3}';
    await bench.apply(sleeper('without', there));
    const tolerations = 'tolerations: [{key: node.kubernetes.io/unschedulable, operator: Exists, effect: NoSchedule}]';
    await bench.apply(sleeper('with-toleration', `${there}\n  ${tolerations}`));
    await bench.ready('with-toleration');
    shows(await bench.ok('get pod with-toleration -o wide'), / peer-3 /);
    await bench.event(
      'without',
      /^FailedScheduling: 0\/3 nodes are available: 1 node\(s\) were unschedulable, 2 node\(s\) didn't match/,
    );
    shows(await bench.ok('describe pod with-toleration'), 'node.kubernetes.io/unschedulable:NoSchedule op=Exists');
  },
};

const claim: SeedCase = {
  title: 'a pod waits for its claim, which waits for a volume',
  of: ['000 Pod pv-pod'],
  because: 'its volume is a Ceph RBD: nothing provides it here, so the pod stays Pending as it would anywhere without Ceph',
  async run(bench) {
    await bench.apply(`
apiVersion: v1
kind: Pod
metadata: {name: pv-pod}
spec:
  containers:
  - name: pv-container
    image: nginx
    imagePullPolicy: IfNotPresent
    ports: [{containerPort: 80, name: http-server}]
    volumeMounts: [{mountPath: /usr/share/nginx/html, name: pv-storage}]
  volumes: [{name: pv-storage, persistentVolumeClaim: {claimName: pv-claim}}]
`);
    await bench.event('pv-pod', /^(FailedScheduling|FailedMount): /);
    await bench.apply(`
kind: PersistentVolumeClaim
apiVersion: v1
metadata: {name: pv-claim}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
`);
    shows(await bench.ok('get pvc pv-claim'), /^NAME +STATUS +VOLUME +CAPACITY +ACCESS MODES[^\n]*\npv-claim +Pending /);
    assert.is((await bench.phase('pv-pod', 'Pending')).status?.containerStatuses?.some(({ started }) => started) ?? false, false);
  },
};

export const placingCases = [selector, affinity, toleration, claim];
