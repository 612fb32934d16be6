/** What the containers of a pod share with one another, and with the machine. */
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import * as assert from 'uvu/assert';
import { LabNetwork } from '../../../src/cli/lab/network.ts';
import { execute } from '../../support/lab.ts';
import { type SeedCase, shows } from '../bench.ts';

const shared: SeedCase = {
  title: 'two containers share a folder of the machine, and the network: what debian writes, nginx serves',
  of: ['003 Pod two-containers'],
  because: 'the folder is not /data of the machine that runs this; it does not exist before, as there',
  async run(bench) {
    const data = `${bench.lab.dir}/data`;
    assert.is(existsSync(data), false);
    await bench.apply(`
apiVersion: v1
kind: Pod
metadata: {name: two-containers}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  volumes: [{name: shared-data, hostPath: {path: ${data}}}]
  containers:
  - name: nginx-container
    image: nginx
    imagePullPolicy: IfNotPresent
    volumeMounts: [{name: shared-data, mountPath: /usr/share/nginx/html}]
  - name: debian-container
    image: debian
    imagePullPolicy: IfNotPresent
    volumeMounts: [{name: shared-data, mountPath: /pod-data}]
    command: [/bin/sh]
    args: [-c, echo Hello from the debian container > /pod-data/index.html]
`);
    const pod = await bench.podUntil(
      'two-containers',
      'has one that ended',
      ({ status }) =>
        status?.containerStatuses?.some(({ state }) => state?.terminated) &&
        status.containerStatuses.some(({ state }) => state?.running),
    );
    assert.is(pod.status?.phase, 'Running');
    const states = pod.status?.containerStatuses?.map(({ name, state }) => [
      name,
      Object.keys(state ?? {})[0],
      state?.terminated?.reason,
    ]);
    assert.equal(states, [
      ['debian-container', 'terminated', 'Completed'],
      ['nginx-container', 'running', undefined],
    ]);
    shows(await bench.ok('get pod two-containers'), /two-containers +1\/2 +(NotReady|Completed) +0 /);
    const hello = 'Hello from the debian container\n';
    const ask = 'wget -q -O - http://localhost/';
    assert.is(await bench.sh('two-containers', ask, 'nginx-container'), hello);
    assert.is(readFileSync(`${data}/index.html`, 'utf8'), hello);
  },
};

const ofTheMachine: SeedCase = {
  title: 'a pod in the namespaces of its machine has its address, its processes and its IPC; one attaches to its shell',
  of: ['003 Pod nginx'],
  async run(bench) {
    await bench.apply(`
apiVersion: v1
kind: Pod
metadata: {name: nginx}
spec:
  hostNetwork: true
  hostIPC: true
  hostPID: true
  terminationGracePeriodSeconds: 1
  containers:
  - {name: nginx, image: nginx, imagePullPolicy: IfNotPresent}
  - {name: shell, image: busybox, imagePullPolicy: IfNotPresent, stdin: true, tty: true}
`);
    await bench.ready('nginx');
    const { spec, status } = await bench.phase('nginx', 'Running');
    assert.is(status?.podIP, status?.hostIP);
    assert.is((await bench.sh('nginx', 'hostname', 'shell')).trim(), hostname());
    const spaces = 'for n in pid ipc net; do readlink /proc/self/ns/$n; done';
    const { netnsFile } = new LabNetwork(bench.lab.state.id).peer(Number(spec?.nodeName?.slice(-1)));
    const machine = await execute('nsenter', [`--net=${netnsFile}`, 'sh', '-c', spaces]);
    assert.is(await bench.sh('nginx', spaces, 'shell'), machine.stdout);
    assert.is(await bench.sh('nginx', `kill -0 ${process.pid} && echo seen`, 'shell'), 'seen\n');
    const page = await execute('nsenter', [`--net=${netnsFile}`, 'busybox', 'wget', '-q', '-O', '-', 'http://127.0.0.1/']);
    assert.is(page.stdout, 'welcome');
    shows(await bench.terminal('attach -it nginx -c shell', 'echo sum $((40+2)); exit\n'), 'sum 42');
    await bench.podUntil('nginx', 'has its shell again', (pod) => pod.status?.containerStatuses?.[1]?.restartCount === 1);
  },
};

const namespaces: SeedCase = {
  title: 'containers of a pod share address, host name and IPC; processes only when asked, under a pause that reaps',
  of: [],
  async run(bench) {
    const pod = (name: string, more: string) => `
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  terminationGracePeriodSeconds: 1
  ${more}
  containers:
  - {name: a, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "exec httpd -f -p 8000 -h /etc"]}
  - {name: b, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, "1000"]}`;
    await bench.apply(pod('apart', 'shareProcessNamespace: false') + pod('together', 'shareProcessNamespace: true'));
    await bench.ready('apart', 'together');
    const kinds = (names: string) => `for n in ${names}; do readlink /proc/self/ns/$n; done`;
    const both = async (name: string, script: string) => [await bench.sh(name, script, 'a'), await bench.sh(name, script, 'b')];
    const [a, b] = await both('apart', `${kinds('net ipc uts')}; hostname; hostname -i`);
    assert.is(a, b);
    const [pidA, pidB] = await both('apart', kinds('pid'));
    assert.is.not(pidA, pidB);
    assert.is(await bench.sh('apart', 'wget -q -O - http://localhost:8000/hostname', 'b'), 'apart\n');
    shows(await bench.sh('apart', 'ps', 'b'), / 1 root .* sleep 1000/);
    const processes = await bench.sh('together', 'ps', 'b');
    shows(processes, / 1 .*pause/);
    shows(processes, / httpd -f/);
    // A process left behind becomes a child of the first, which takes its end: no zombie stays.
    await bench.sh('together', '(sleep 0.05 &) ; true', 'b');
    await bench.lab.eventually('no zombie', async () =>
      /\[sleep\]|sleep 0\.05/.test(await bench.sh('together', 'ps', 'b')) ? undefined : true,
    );
  },
};

const aliases: SeedCase = {
  title: 'hostAliases stand in /etc/hosts below the lines that are managed',
  of: ['000 Pod -'],
  because: 'since 1.9 the names of one address stand on one line',
  async run(bench) {
    await bench.apply(`
apiVersion: v1
kind: Pod
metadata: {name: hostaliases-pod}
spec:
  restartPolicy: Never
  hostAliases: [{ip: "10.1.2.3", hostnames: [foo.remote, bar.remote]}]
  containers: [{name: cat-hosts, image: busybox, imagePullPolicy: IfNotPresent, command: [cat], args: [/etc/hosts]}]
`);
    const { status } = await bench.phase('hostaliases-pod', 'Succeeded');
    const lines = (await bench.ok('logs hostaliases-pod')).split('\n');
    assert.equal(lines.slice(0, 2), ['# Kubernetes-managed hosts file.', '127.0.0.1\tlocalhost']);
    const last = [
      `${status?.podIP}\thostaliases-pod`,
      '',
      '# Entries added by HostAliases.',
      '10.1.2.3\tfoo.remote\tbar.remote',
      '',
    ];
    assert.equal(lines.slice(-5), last);
  },
};

const labels: SeedCase = {
  title: 'labels choose pods by equality and by sets',
  of: ['004 Pod web'],
  because: 'as it stands it is refused: app is not within labels, and it has no spec',
  async run(bench) {
    const refused = await bench.refused('{apiVersion: v1, kind: Pod, metadata: {name: web, labels: null, app: web}}');
    shows(refused, 'strict decoding error: unknown field "metadata.app"');
    const pod = (name: string, ...more: string[]) => `
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {${['app: web', ...more].join(', ')}}}
spec: {terminationGracePeriodSeconds: 1, containers: [{name: web, image: nginx, imagePullPolicy: IfNotPresent}]}`;
    await bench.apply(
      pod('web') +
        pod('slave', 'name: redis-slave', 'env: dev') +
        pod('production', 'name: redis-slave', 'env: production') +
        pod('front', 'name: php-frontend'),
    );
    const chosen = async (selector: string) => (await bench.ok('get pods -o name -l', [selector])).trim().split('\n');
    assert.equal(await chosen('name=redis-slave,env!=production'), ['pod/slave']);
    assert.equal(await chosen('name notin (php-frontend),env!=production'), ['pod/slave', 'pod/web']);
    assert.equal((await chosen('app=web')).length, 4);
    await bench.ready('web');
    shows(await bench.ok('get pods --show-labels -l env=dev'), / app=web,env=dev,name=redis-slave\n/);
  },
};

const shell: SeedCase = {
  title: 'kubectl run with a terminal gives a shell in a pod that goes when it is left',
  of: [],
  because: 'what it then asks, nslookup web-0.nginx, needs StatefulSets and DNS',
  async run(bench) {
    const run = 'run -i --tty --image busybox --image-pull-policy=IfNotPresent dns-test --restart=Never --rm /bin/sh';
    const seen = await bench.terminal(run, 'echo sum $((40+2)); exit\n');
    shows(seen, 'sum 42');
    shows(seen, 'pod "dns-test" deleted');
    await bench.gone('dns-test');
  },
};

export const togetherCases = [shared, ofTheMachine, namespaces, aliases, labels, shell];
