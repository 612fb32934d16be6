/** What one pod's processes see and how they live: streams, restarts, limits, termination, adoption after a restart. */
import { spawn } from 'node:child_process';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Container, Pod } from '../../src/machinery/types.ts';
import { execute, type Lab } from '../support/lab.ts';

interface PodOptions {
  command: string;
  restartPolicy?: string;
  container?: Partial<Container>;
  spec?: Record<string, unknown>;
}

export function podManifest(name: string, { command, restartPolicy = 'Always', container = {}, spec = {} }: PodOptions): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { test: name } },
    spec: {
      restartPolicy,
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', image: 'busybox:1', command: ['sh', '-c', command], ...container }],
      ...spec,
    },
  });
}

export async function getPod(lab: Lab, name: string): Promise<Pod> {
  return JSON.parse(await lab.ok(['get', 'pod', name, '-o', 'json'])) as Pod;
}

export async function runPod(lab: Lab, name: string, options: PodOptions): Promise<void> {
  await lab.ok(['create', '-f', '-'], { input: podManifest(name, options) });
}

const ready = (lab: Lab, name: string) => lab.ok(['wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s']);
const phase = (lab: Lab, name: string, wanted: string) =>
  lab.ok(['wait', `--for=jsonpath={.status.phase}=${wanted}`, `pod/${name}`, '--timeout=60s']);

export function addPodTests(test: Test, lab: Lab): void {
  test('logs: all, tail, follow, timestamps, and those of the previous container', async () => {
    await runPod(lab, 'talker', { command: 'echo start; for i in 1 2 3; do echo line $i; sleep 0.2; done; exit 3' });
    await lab.eventually(
      'a restart',
      async () => ((await getPod(lab, 'talker')).status?.containerStatuses?.[0]?.restartCount ?? 0) > 0 || undefined,
    );
    assert.match(await lab.ok(['logs', 'talker', '--previous']), /start\nline 1\nline 2\nline 3\n/);
    assert.match(await lab.ok(['logs', 'talker', '--previous', '--tail=1']), /^line 3\n$/);
    assert.match(await lab.ok(['logs', 'talker', '--previous', '--timestamps']), /^\d{4}-\d\d-\d\dT\S+Z start/);
    await lab.ok(['delete', 'pod', 'talker']);
    await runPod(lab, 'counter', { command: 'for i in 1 2 3 4 5; do echo n$i; sleep 0.3; done', restartPolicy: 'Never' });
    await lab.eventually('logs to follow', async () => ((await lab.ok(['logs', 'counter'])).length > 0 ? true : undefined));
    assert.is(await lab.ok(['logs', '-f', 'counter'], { timeoutMs: 30_000 }), 'n1\nn2\nn3\nn4\nn5\n');
    await phase(lab, 'counter', 'Succeeded');
    await lab.ok(['delete', 'pod', 'counter']);
  });

  test('a crashing container restarts with growing pauses and says so', async () => {
    await runPod(lab, 'crasher', { command: 'exit 7' });
    await lab.eventually('CrashLoopBackOff', async () => {
      const status = (await getPod(lab, 'crasher')).status?.containerStatuses?.[0];
      return status?.state?.waiting?.reason === 'CrashLoopBackOff' && status.lastState?.terminated?.exitCode === 7
        ? true
        : undefined;
    });
    assert.match(await lab.ok(['get', 'pod', 'crasher']), /CrashLoopBackOff|Error/);
    await lab.eventually('the event', async () =>
      /Back-off restarting failed container/.test(await lab.ok(['describe', 'pod', 'crasher'])) ? true : undefined,
    );
    await lab.ok(['delete', 'pod', 'crasher', '--force', '--grace-period=0']);
  });

  test('exec gives output, exit code and standard input, on whatever machine the pod is', async () => {
    for (const peer of ['peer-1', 'peer-2', 'peer-3']) {
      const name = `shell-${peer}`;
      await runPod(lab, name, { command: 'sleep 1000', spec: { nodeName: peer } });
      await ready(lab, name);
      assert.is(await lab.ok(['exec', name, '--', 'echo', 'hello']), 'hello\n');
      const failed = await lab.kubectl(['exec', name, '--', 'sh', '-c', 'echo bad >&2; exit 5']);
      assert.is(failed.code, 5);
      assert.match(failed.stderr, 'bad');
      assert.is(await lab.ok(['exec', '-i', name, '--', 'wc', '-c'], { input: 'x'.repeat(300_000) }), '300000\n');
    }
  });

  test('exec works for kubectl that speaks SPDY (1.27 to 1.29) and for those that speak WebSocket', async () => {
    for (const version of ['1.27', '1.28', '1.29', '1.30', '1.31', '1.32', '1.33']) {
      assert.is(
        await lab.ok(['exec', '-i', 'shell-peer-1', '--', 'cat'], { version, input: `from ${version}` }),
        `from ${version}`,
      );
      assert.is((await lab.kubectl(['exec', 'shell-peer-2', '--', 'sh', '-c', 'exit 9'], { version })).code, 9);
    }
  });

  test('exec with a terminal', async () => {
    const { dir } = lab;
    const session = spawn(
      'script',
      ['-qec', 'kubectl exec -it shell-peer-3 -- sh -c "tty; echo size: $(stty size); read x; echo got \\$x"', '/dev/null'],
      {
        env: { ...process.env, KUBECONFIG: `${dir}/kubeconfig` },
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    let seen = '';
    const code = await new Promise<number | null>((resolve, reject) => {
      session.stdout.on('data', (chunk) => {
        seen += chunk;
        if (seen.includes('size:') && !session.stdin.writableEnded) session.stdin.end('input\n');
      });
      session.on('error', reject);
      session.on('close', resolve);
    });
    assert.is(code, 0);
    assert.match(seen, '/dev/pts/');
    assert.match(seen, 'got input');
    for (const peer of ['peer-1', 'peer-2', 'peer-3']) await lab.ok(['delete', 'pod', `shell-${peer}`, '--wait=false']);
  });

  test('kubectl run attaches to a terminal-less container and removes it afterwards', async () => {
    const outcome = await lab.kubectl(
      [
        'run',
        '-i',
        '--image',
        'busybox:1',
        'dns-test',
        '--restart=Never',
        '--rm',
        '--',
        'sh',
        '-c',
        'read line; sleep 1; echo "heard $line"',
      ],
      { input: 'hello\n' },
    );
    assert.match(outcome.stdout, 'heard hello');
    assert.match((await lab.kubectl(['get', 'pod', 'dns-test'])).stderr, 'not found');
  });

  test('port-forward brings a whole answer and its end to every kubectl', async () => {
    await runPod(lab, 'served', { command: 'mkdir /www; echo page > /www/index.html; exec httpd -f -p 8080 -h /www' });
    await ready(lab, 'served');
    for (const version of ['1.27', '1.30', '1.33']) {
      const forward = lab.start(['port-forward', 'pod/served', ':8080'], version);
      const announced = await forward.until('-> 8080');
      const port = /127\.0\.0\.1:(\d+) ->/.exec(announced)?.[1];
      // Ends only when the server's end of the connection has come through.
      const answer = await execute('busybox', ['wget', '-q', '-O', '-', `http://127.0.0.1:${port}/`], { timeoutMs: 20_000 });
      assert.is(answer.stdout, 'page\n', version);
      await forward.end();
    }
    await lab.ok(['delete', 'pod', 'served', '--wait=false']);
  });

  test('kubectl run with a terminal gives a shell and its exit code, and removes the pod', async () => {
    const command = 'kubectl run -i --tty --image busybox:1 tty-test --restart=Never --rm /bin/sh';
    const session = spawn('script', ['-qec', command, '/dev/null'], {
      env: { ...process.env, KUBECONFIG: `${lab.dir}/kubeconfig` },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let seen = '';
    let sent = false;
    const code = await new Promise<number | null>((resolve, reject) => {
      session.stdout.on('data', (chunk) => {
        seen += chunk;
        if (!sent && /# |press enter/.test(seen)) {
          sent = true;
          session.stdin.write('echo sum $((40+2)); exit 3\n');
        }
      });
      session.on('error', reject);
      session.on('close', resolve);
    });
    assert.is(code, 3, seen);
    assert.match(seen, 'sum 42');
    assert.not.match(seen, "couldn't attach");
    assert.match((await lab.kubectl(['get', 'pod', 'tty-test'])).stderr, 'not found');
  });

  test('namespaces and limits are real: own processes, host name, memory', async () => {
    await runPod(lab, 'bounded', {
      command: 'sleep 1000',
      container: { resources: { requests: { cpu: '50m', memory: '16Mi' }, limits: { cpu: '100m', memory: '32Mi' } } },
    });
    await ready(lab, 'bounded');
    const processes = await lab.ok(['exec', 'bounded', '--', 'ps']);
    assert.ok(processes.trim().split('\n').length <= 4, processes);
    assert.is((await lab.ok(['exec', 'bounded', '--', 'hostname'])).trim(), 'bounded');
    const eaten = await lab.kubectl(['exec', 'bounded', '--', 'sh', '-c', 'x=a; while true; do x=$x$x; done']);
    assert.is.not(eaten.code, 0);
    assert.is((await getPod(lab, 'bounded')).status?.qosClass, 'Burstable');
    await lab.ok(['delete', 'pod', 'bounded', '--wait=false']);
  });

  test('a container that eats more memory than its limit is reported as OOMKilled', async () => {
    const container = { resources: { limits: { memory: '16Mi' } } };
    await runPod(lab, 'glutton', { command: 'x=aaaaaaaa; while true; do x=$x$x; done', restartPolicy: 'Never', container });
    await phase(lab, 'glutton', 'Failed');
    const terminated = (await getPod(lab, 'glutton')).status?.containerStatuses?.[0]?.state?.terminated;
    assert.is(terminated?.reason, 'OOMKilled');
    assert.is(terminated?.exitCode, 137);
    await lab.ok(['delete', 'pod', 'glutton']);
  });

  test('termination is graceful: SIGTERM first, SIGKILL after the grace period', async () => {
    const spec = { terminationGracePeriodSeconds: 20 };
    const command = 'trap "echo bye; exit 0" TERM; echo up; while true; do sleep 0.1; done';
    await runPod(lab, 'polite', { command, spec });
    await ready(lab, 'polite');
    const follow = lab.start(['logs', '-f', 'polite']);
    await follow.until('up\n');
    await lab.ok(['delete', 'pod', 'polite']);
    await follow.until('up\nbye\n');
    await runPod(lab, 'stubborn', {
      command: 'trap "" TERM; while true; do sleep 0.1; done',
      spec: { terminationGracePeriodSeconds: 1 },
    });
    await ready(lab, 'stubborn');
    await lab.ok(['delete', 'pod', 'stubborn', '--timeout=30s']);
  });

  test('init containers run in order before the others, which share volumes and the network', async () => {
    const image = 'busybox:1';
    const volumeMounts = [{ name: 'shared', mountPath: '/data' }];
    await runPod(lab, 'ordered', {
      command: 'cat /data/log; sleep 1000',
      container: { volumeMounts },
      spec: {
        volumes: [{ name: 'shared', emptyDir: {} }],
        initContainers: [
          { name: 'first', image, command: ['sh', '-c', 'echo one >> /data/log'], volumeMounts },
          { name: 'second', image, command: ['sh', '-c', 'echo two >> /data/log'], volumeMounts },
        ],
        containers: [
          { name: 'main', image, command: ['sh', '-c', 'cat /data/log; sleep 1000'], volumeMounts },
          { name: 'web', image, command: ['httpd', '-f', '-p', '8080', '-h', '/data'], volumeMounts },
        ],
      },
    });
    await ready(lab, 'ordered');
    assert.is(await lab.ok(['logs', 'ordered', '-c', 'main']), 'one\ntwo\n');
    assert.is(
      await lab.ok(['exec', 'ordered', '-c', 'main', '--', 'wget', '-q', '-O', '-', 'http://127.0.0.1:8080/log']),
      'one\ntwo\n',
    );
    await lab.ok(['delete', 'pod', 'ordered', '--wait=false']);
  });

  test('containers outlive a restart of the daemon and are adopted again', async () => {
    await runPod(lab, 'survivor', { command: 'while true; do date +%s%N; sleep 0.2; done', spec: { nodeName: 'peer-2' } });
    await ready(lab, 'survivor');
    const before = (await getPod(lab, 'survivor')).status?.containerStatuses?.[0];
    await lab.kontiki('dev', 'stop', '2');
    await lab.kontiki('dev', 'start', '2');
    await lab.eventually('the pod served by the new agent', async () => {
      const outcome = await lab.kubectl(['exec', 'survivor', '--', 'echo', 'still']);
      return outcome.stdout === 'still\n' ? true : undefined;
    });
    await ready(lab, 'survivor');
    const after = (await getPod(lab, 'survivor')).status?.containerStatuses?.[0];
    assert.is(after?.containerID, before?.containerID);
    assert.is(after?.restartCount, 0);
    await lab.ok(['delete', 'pod', 'survivor', '--wait=false']);
  });
}
