/** How pods begin, live and end: hooks, probes, restarts, phases, init containers, deletion. */
import * as assert from 'uvu/assert';
import { type SeedCase, shows } from '../bench.ts';

/** A busybox that runs a script; `more` are further lines of its container, indented by 4. */
const script = (name: string, restartPolicy: string, command: string, more = '') => `
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {test: liveness}}
spec:
  restartPolicy: ${restartPolicy}
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox
    imagePullPolicy: IfNotPresent
    args: [/bin/sh, -c, "${command}"]
${more}`;

const hooks: SeedCase = {
  title:
    'postStart runs beside the entrypoint, preStop ends nginx in order before anything is killed; a postStart that fails is told',
  of: ['000 Pod lifecycle-demo', '003 Pod lifecycle-demo'],
  async run(bench) {
    const manifest = (name: string, message: string) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  containers:
  - name: lifecycle-demo-container
    image: nginx
    imagePullPolicy: IfNotPresent
    lifecycle:
      postStart: {exec: {command: [/bin/sh, -c, "echo Hello from the postStart handler > ${message}"]}}
      preStop: {exec: {command: [/usr/sbin/nginx, -s, quit]}}
`;
    await bench.apply(manifest('lifecycle-demo', '/usr/share/message'));
    await bench.apply(manifest('failing', '/no/such/folder'));
    await bench.ready('lifecycle-demo');
    assert.is(await bench.sh('lifecycle-demo', 'cat /usr/share/message'), 'Hello from the postStart handler\n');
    const follow = bench.lab.start(['-n', bench.namespace, 'logs', '-f', 'lifecycle-demo']);
    try {
      await follow.until('start worker process');
      await bench.ok('delete pod lifecycle-demo --wait=false');
      await follow.until('gracefully shutting down');
    } finally {
      await follow.end();
    }
    await bench.gone('lifecycle-demo');
    await bench.event('failing', /^FailedPostStartHook: .*exited with 1/);
    await bench.restarts('failing', 1);
    await bench.ok('delete pod failing --force --grace-period=0');
  },
};

const exec = `    livenessProbe: {exec: {command: [cat, /tmp/healthy]}, initialDelaySeconds: 1, periodSeconds: 1, timeoutSeconds: 30}`;

const liveness: SeedCase = {
  title: 'a container whose liveness probe fails is restarted in its pod, on its machine, while the pod stays Running',
  of: ['003 Pod test-liveness-exec'],
  because: 'it falls ill when told so, not after 30 s, and is asked every second',
  async run(bench) {
    const command = 'touch /tmp/healthy; until test -e /tmp/ill; do sleep 0.1; done; rm -rf /tmp/healthy; sleep 600';
    await bench.apply(script('test-liveness-exec', 'Always', command, exec));
    await bench.ready('test-liveness-exec');
    const before = await bench.phase('test-liveness-exec', 'Running');
    shows(await bench.ok('get pod test-liveness-exec'), /test-liveness-exec +1\/1 +Running +0 /);
    await bench.sh('test-liveness-exec', 'touch /tmp/ill');
    const cannot = "cat: can't open '/tmp/healthy': No such file or directory";
    await bench.event('test-liveness-exec', new RegExp(`^Unhealthy: Liveness probe failed: ${cannot}`));
    await bench.event('test-liveness-exec', /^Killing: Container main failed liveness probe, will be restarted$/);
    const after = await bench.restarts('test-liveness-exec', 1);
    assert.is(after.status?.phase, 'Running');
    assert.is(after.spec?.nodeName, before.spec?.nodeName);
    assert.is(after.metadata.uid, before.metadata.uid);
    const shown = await bench.ok('get pod test-liveness-exec');
    shows(shown, /test-liveness-exec +[01]\/1 +(Running|CrashLoopBackOff) +[1-9]\d* \(\d+s ago\) /);
    const described = await bench.ok('describe pod test-liveness-exec');
    shows(described, /Liveness: +exec \[cat \/tmp\/healthy\] delay=1s timeout=30s period=1s #success=1 #failure=3/);
    shows(described, /Last State: +Terminated\n +Reason: +Error\n +Exit Code: +137\n/);
  },
};

const probes: SeedCase = {
  title: 'HTTP probes send their headers, TCP probes only connect, and a startup probe keeps the others waiting',
  of: [],
  because: 'fragments of 000 and 001, put into a pod; delays belong beside httpGet, not into it, and are shortened',
  async run(bench) {
    // One write: httpd looks for headers in the first bytes that it gets.
    await bench.apply(`
apiVersion: v1
kind: ConfigMap
metadata: {name: healthz}
data:
  healthz: |
    #!/bin/sh
    echo "$HTTP_X_CUSTOM_HEADER" >> /tmp/seen
    printf 'Content-Type: text/plain\\r\\n\\r\\nwell\\n'
`);
    const headers = `    livenessProbe:
      httpGet: {path: /cgi-bin/healthz, port: 8080, httpHeaders: [{name: X-Custom-Header, value: Awesome}]}
      periodSeconds: 1
      timeoutSeconds: 30
    ports: [{name: liveness-port, containerPort: 8080}]
    startupProbe: {httpGet: {path: /started, port: liveness-port}, failureThreshold: 600, periodSeconds: 1, timeoutSeconds: 30}
    volumeMounts: [{name: cgi, mountPath: /www/cgi-bin}]
  volumes: [{name: cgi, configMap: {name: healthz, defaultMode: 0755}}]
`;
    await bench.apply(script('http', 'Always', 'exec httpd -f -p 8080 -h /www', headers));
    const tcp = (probe: string, port: number) =>
      `    ${probe}: {tcpSocket: {port: ${port}}, periodSeconds: 1, timeoutSeconds: 30}\n`;
    await bench.apply(script('tcp', 'Always', 'exec httpd -f -p 8080', tcp('livenessProbe', 8080)));
    await bench.apply(script('not-ready', 'Always', 'exec httpd -f -p 8080', tcp('readinessProbe', 8081)));
    await bench.event('http', /^Unhealthy: Startup probe failed: HTTP probe failed with statuscode: 404$/);
    const starting = await bench.phase('http', 'Running');
    assert.is(starting.status?.containerStatuses?.[0]?.started, false);
    assert.is(await bench.sh('http', 'cat /tmp/seen || true'), '');
    await bench.sh('http', 'echo yes > /www/started');
    await bench.ready('http', 'tcp');
    await bench.lab.eventually('the header', async () =>
      (await bench.sh('http', 'cat /tmp/seen || true')).startsWith('Awesome\n') ? true : undefined,
    );
    await bench.event(
      'not-ready',
      /^Unhealthy: Readiness probe failed: dial tcp 10\.42\.\d+\.\d+:8081: connect: connection refused$/,
    );
    shows(await bench.ok('get pods http tcp not-ready'), /http +1\/1 .*\ntcp +1\/1 +Running +0 .*\nnot-ready +0\/1 +Running +0 /);
  },
};

const phases: SeedCase = {
  title: 'Always restarts whatever ends, OnFailure what fails, Never nothing; the phases follow',
  of: [],
  async run(bench) {
    await bench.apply(
      [
        script('always-0', 'Always', 'exit 0'),
        script('onfailure-0', 'OnFailure', 'exit 0'),
        script('onfailure-1', 'OnFailure', 'echo tried; exit 1'),
        script('never-0', 'Never', 'exit 0'),
        script('never-1', 'Never', 'exit 1'),
        script(
          'never-two',
          'Never',
          'exit 1',
          '  - {name: other, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, "1000"]}\n',
        ),
      ].join(''),
    );
    for (const name of ['always-0', 'onfailure-1']) assert.is((await bench.restarts(name, 1)).status?.phase, 'Running');
    for (const name of ['onfailure-0', 'never-0'])
      assert.is((await bench.phase(name, 'Succeeded')).status?.containerStatuses?.[0]?.restartCount, 0);
    assert.is((await bench.phase('never-1', 'Failed')).status?.containerStatuses?.[0]?.restartCount, 0);
    // One of two has failed: the pod goes on, and READY counts the other.
    const two = await bench.podUntil('never-two', 'has one that ended', ({ status }) =>
      status?.containerStatuses?.some(({ state }) => state?.terminated),
    );
    assert.is(two.status?.phase, 'Running');
    await bench.lab.eventually('the columns', async () => {
      const shown = await bench.ok('get pods');
      const rows = [/always-0 +0\/1 +(CrashLoopBackOff|Completed) +[1-9]/, /onfailure-1 +0\/1 +(CrashLoopBackOff|Error) +[1-9]/];
      const still = [/never-0 +0\/1 +Completed +0 /, /never-1 +0\/1 +Error +0 /, /onfailure-0 +0\/1 +Completed +0 /];
      return [...rows, ...still, /never-two +1\/2 +Error +0 /].every((row) => row.test(shown)) ? true : undefined;
    });
    await bench.event('always-0', /^BackOff: Back-off restarting failed container main in pod always-0_seed-\d+\(.*\)$/);
    assert.is(await bench.ok('logs onfailure-1 --previous'), 'tried\n');
    await bench.ok('delete pod --all --force --grace-period=0');
  },
};

const commands: SeedCase = {
  title: "command and args against the image's entrypoint and cmd, in all four combinations",
  of: [],
  async run(bench) {
    const pod = (name: string, more: string) => `
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec: {restartPolicy: Never, containers: [{name: a, image: "seeds/entry:1"${more}}]}`;
    const rows: [name: string, more: string, printed: string][] = [
      ['neither', '', 'entrypoint cmd\n'],
      ['command', ', command: [echo, mine]', 'mine\n'],
      ['args', ', args: [given]', 'entrypoint given\n'],
      ['both', ', command: [echo, mine], args: [given]', 'mine given\n'],
    ];
    await bench.apply(rows.map(([name, more]) => pod(name, more)).join(''));
    for (const [name, , printed] of rows) {
      await bench.phase(name, 'Succeeded');
      assert.is(await bench.ok(`logs ${name}`), printed);
    }
  },
};

const pulling: SeedCase = {
  title: 'the pull policy follows the tag; Never does not pull, and what cannot be pulled is told',
  of: [],
  because: 'with a tag other than latest the default is IfNotPresent, whatever 003 says',
  async run(bench) {
    const pod = (name: string, image: string, more = '') => `
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec: {containers: [{name: a, image: "${image}"${more}}]}`;
    // Nothing listens on that port of any machine.
    const absent = '127.0.0.1:1/absent';
    await bench.apply(
      pod('untagged', absent) +
        pod('latest', `${absent}:latest`) +
        pod('tagged', 'nginx:1.7.9') +
        pod('never', `${absent}:1`, ', imagePullPolicy: Never'),
    );
    const policy = (name: string) => bench.ok(`get pod ${name} -o`, ['jsonpath={.spec.containers[0].imagePullPolicy}']);
    assert.is(await policy('untagged'), 'Always');
    assert.is(await policy('latest'), 'Always');
    assert.is(await policy('tagged'), 'IfNotPresent');
    await bench.ready('tagged');
    await bench.event('tagged', /^Pulled: Container image "nginx:1\.7\.9" already present on machine$/);
    await bench.event(
      'never',
      /^ErrImageNeverPull: Container image "127\.0\.0\.1:1\/absent:1" is not present with pull policy of Never$/,
    );
    await bench.event('latest', /^Failed: Failed to pull image "127\.0\.0\.1:1\/absent:latest": /);
    await bench.event('latest', /^Failed: Error: ErrImagePull$/);
    await bench.event('latest', /^BackOff: Back-off pulling image "127\.0\.0\.1:1\/absent:latest"/);
    shows(await bench.ok('get pods'), /never +0\/1 +ErrImageNeverPull +0 /);
    await bench.ok('delete pod --all --force --grace-period=0');
  },
};

const init: SeedCase = {
  title:
    'init containers run one after the other to their end before the others; one that fails is tried again, or fails the pod',
  of: [],
  async run(bench) {
    const step = (name: string, command: string) =>
      `{name: ${name}, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "${command}"], volumeMounts: [{name: d, mountPath: /d}]}`;
    const pod = (name: string, restartPolicy: string, ...steps: string[]) => `
---
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  restartPolicy: ${restartPolicy}
  terminationGracePeriodSeconds: 1
  volumes: [{name: d, emptyDir: {}}]
  initContainers: [${steps.join(', ')}]
  containers: [${step('app', 'cat /d/log; sleep 1000')}]`;
    const wait = 'until test -e /d/go; do sleep 0.1; done';
    await bench.apply(
      pod('ordered', 'Always', step('first', `echo one >> /d/log; ${wait}`), step('second', 'echo two >> /d/log')) +
        pod('again', 'Always', step('first', 'test -e /d/log || { echo once > /d/log; exit 1; }')) +
        pod('failed', 'Never', step('first', 'exit 1')),
    );
    const waiting = await bench.podUntil(
      'ordered',
      'runs its first',
      ({ status }) => status?.initContainerStatuses?.[0]?.state?.running,
    );
    assert.is(waiting.status?.phase, 'Pending');
    shows(JSON.stringify(waiting.status?.conditions), '"message":"containers with incomplete status: [first second]"');
    shows(await bench.ok('get pod ordered'), /ordered +0\/1 +Init:0\/2 +0 /);
    await bench.sh('ordered', 'touch /d/go', 'first');
    await bench.ready('ordered', 'again');
    assert.is(await bench.ok('logs ordered -c app'), 'one\ntwo\n');
    assert.is((await bench.phase('again', 'Running')).status?.initContainerStatuses?.[0]?.restartCount, 1);
    await bench.phase('failed', 'Failed');
    shows(await bench.ok('get pod failed'), /failed +0\/1 +Init:Error +0 /);
  },
};

const deletion: SeedCase = {
  title: 'a pod has its grace period to end, less when asked so, and none by force',
  of: [],
  async run(bench) {
    const deaf = 'trap : TERM; echo up; while true; do sleep 0.1; done';
    const polite = "trap 'echo bye; exit 0' TERM; echo up; while true; do sleep 0.1; done";
    const manifest = script('polite', 'Always', polite) + script('deaf', 'Always', deaf) + script('forced', 'Always', deaf);
    await bench.apply(manifest.replaceAll('terminationGracePeriodSeconds: 1', 'terminationGracePeriodSeconds: 600'));
    await bench.ready('polite', 'deaf', 'forced');
    const follow = bench.lab.start(['-n', bench.namespace, 'logs', '-f', 'polite']);
    try {
      await follow.until('up\n');
      await bench.ok('delete pod polite --timeout=60s');
      await follow.until('up\nbye\n');
    } finally {
      await follow.end();
    }
    await bench.ok('delete pod deaf --grace-period=1 --timeout=60s');
    const forced = await bench.kubectl('delete pod forced --grace-period=0 --force --wait=false');
    shows(forced.stderr, 'Immediate deletion does not wait for confirmation that the running resource has been terminated');
    await bench.gone('forced');
  },
};

export const lifeCases = [hooks, liveness, probes, phases, commands, pulling, init, deletion];
