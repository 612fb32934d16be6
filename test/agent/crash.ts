/**
 * Fifty pods start while others are deleted, and the software of the machine is killed in between: the agent, the process that
 * runs its commands, monitors, and all of it with the daemon. Afterwards the machine holds what the API says, no more and no less.
 * When something is killed is counted in pods that have run; which pods and monitors, a seed says.
 *
 * By hand, as it takes minutes on a busy machine: `CRASH_SEED=1 node_modules/.bin/node test/agent/crash.ts`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxImage, writeImageArchive } from '../../scripts/image-archive.ts';
import { LabNetwork } from '../../src/cli/lab/network.ts';
import { commandOf, pidOf } from '../../src/cli/lab/state.ts';
import { seededRandom } from '../../src/lib/random.ts';
import { configMaps, pods, secrets } from '../../src/machinery/resources.ts';
import type { Container, Pod, PodSpec } from '../../src/machinery/types.ts';
import { Lab } from '../support/lab.ts';
import { difference, foundOnHost, type Host, processes, runningContainers, wantedOnHost } from './support/host-contents.ts';

const seed = Number(process.env.CRASH_SEED ?? 1);
const podCount = 50;
const lab = new Lab();
const random = seededRandom(seed);
const below = (count: number) => random.int(count);
const namespace = 'default';
/** Of each wait: far above what a quiet machine needs. */
const patienceMs = 240_000;

test.before(async () => {
  await lab.up(1);
  const archive = `${lab.dir}/image.tar`;
  writeImageArchive(archive, busyboxImage('busybox:1'));
  await lab.kontiki('dev', 'image', 'import', archive);
});
test.after(() => lab.down());

const patient = 'trap "exit 0" TERM; while true; do sleep 1000 & wait $!; done';
const shell = (name: string, script: string, more: Partial<Container> = {}): Container => ({
  name,
  image: 'busybox:1',
  command: ['sh', '-c', script],
  ...more,
});

function specOf(number: number): PodSpec {
  const main = shell('main', patient);
  const spec: PodSpec = { terminationGracePeriodSeconds: 20, containers: [main] };
  if (number % 3 === 0) {
    spec.volumes = [
      { name: 'disk', emptyDir: {} },
      { name: 'memory', emptyDir: { medium: 'Memory' } },
      { name: 'config', configMap: { name: 'words' } },
      { name: 'secret', secret: { secretName: 'words' } },
      { name: 'labels', downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } },
    ];
    main.volumeMounts = [
      ...spec.volumes.map(({ name }) => ({ name, mountPath: `/mnt/${name}` })),
      { name: 'disk', mountPath: '/mnt/part', subPath: 'part' },
    ];
  }
  if (number % 5 === 0) main.ports = [{ containerPort: 8080, hostPort: 20_000 + number }];
  if (number % 4 === 1) spec.initContainers = [shell('first', 'true')];
  if (number % 6 === 2) spec.initContainers = [shell('beside', patient, { restartPolicy: 'Always' })];
  if (number % 5 === 3) main.lifecycle = { postStart: { exec: { command: ['sh', '-c', 'echo started > /tmp/started'] } } };
  if (number % 10 === 7) {
    spec.shareProcessNamespace = true;
    spec.containers.push(shell('second', patient));
  }
  return spec;
}

const peer = () => lab.state.peers[0]!;

function childOf(pid: number | undefined, word: string): number | undefined {
  if (pid === undefined) return undefined;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return children.find((child) => commandOf(child).some((argument) => argument.endsWith(word)));
}

/** False when there is none right now. */
function kill(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

test('a machine whose software is killed again and again holds what the API says', async () => {
  const host: Host = {
    dataDir: join(peer().dataDir, 'agent'),
    cgroupRoot: `kontiki-${lab.state.id}/${peer().name}`,
    netnsFile: new LabNetwork(lab.state.id).peer(1).netnsFile,
  };
  let client = lab.client();
  await client.create(configMaps, { metadata: { name: 'words' }, data: { a: 'b' } }, { namespace });
  await client.create(secrets, { metadata: { name: 'words' }, data: { a: 'Yg==' } }, { namespace });

  /** Containers as they were first seen running, by pod and name. */
  const ran = new Map<string, string>();
  const hasRun = new Set<string>();
  const unwatched = new Set<string>();
  const disturbed = new Set<string>();
  const deleted = new Set<string>();
  const list = () => client.list(pods, { namespace }).then(({ items }) => items);
  const look = async (): Promise<Pod[]> => {
    const items = await list();
    for (const pod of items) {
      if (pod.status?.phase === 'Running') hasRun.add(pod.metadata.name);
      for (const { id, name } of runningContainers(pod)) {
        const key = `${pod.metadata.name}/${name}`;
        if (!ran.has(key)) ran.set(key, id);
      }
    }
    return items;
  };

  const agent = () => childOf(pidOf(peer()), 'agent.js');
  const killMonitor = () => {
    const all = processes(host.dataDir).filter(({ command }) => command[0] === 'conmon');
    const one = all[below(all.length)];
    if (!one || !kill(one.pid)) return false;
    const at = one.command.indexOf('-c') + 1;
    unwatched.add(one.command[at]!);
    disturbed.add(one.command[one.command.indexOf('-b') + 1]!.split('/').at(-3)!);
    return true;
  };
  const killAll = async () => {
    await lab.kontiki('dev', 'kill', '1');
    await lab.kontiki('dev', 'start', '1');
  };
  const faults = [
    () => kill(agent()),
    killMonitor,
    () => kill(childOf(agent(), 'executor.js')),
    killAll,
    () => kill(agent()),
    killMonitor,
    () => kill(childOf(agent(), 'executor.js')),
  ];
  // Where: between the third and the last but ninth pod that runs, each further than the one before.
  const points = faults.map((_, at) => 3 + at * 5 + below(5));

  const names = Array.from({ length: podCount }, (_, number) => `pod-${number}`);
  await Promise.all(
    names.map((name, number) => client.create(pods, { metadata: { name }, spec: specOf(number) }, { namespace })),
  );

  for (const [at, fault] of faults.entries()) {
    await lab.eventually(
      `${points[at]} pods have run`,
      async () => {
        await look();
        return hasRun.size >= points[at]! || undefined;
      },
      patienceMs,
    );
    const victims = names.filter((name) => !deleted.has(name));
    for (let count = 0; count < 2; count++) {
      const name = victims.splice(below(victims.length), 1)[0]!;
      deleted.add(name);
      await client.delete(pods, name, { namespace });
      // A pod that will never have run must not be waited for.
      hasRun.add(name);
    }
    await lab.eventually('something to kill', async () => (await fault()) !== false || undefined);
    if (fault === killAll) {
      client.close();
      client = lab.client();
    }
  }

  const ready = ({ status }: Pod) =>
    status?.phase === 'Running' && status.containerStatuses?.every((container) => container.ready && container.state?.running);
  const settled = await lab.eventually(
    'every pod runs, the deleted ones are gone',
    async () => {
      const items = await look();
      const late = items.filter((pod) => deleted.has(pod.metadata.name) || !ready(pod));
      if (late.length > 0) throw new Error(JSON.stringify(late.map(({ metadata, status }) => [metadata.name, status])));
      return items.length === podCount - deleted.size && items.every(ready) ? items : undefined;
    },
    patienceMs,
  );
  assert.equal(settled.map(({ metadata }) => metadata.name).sort(), names.filter((name) => !deleted.has(name)).sort());

  let last: string[] = [];
  await lab
    .eventually(
      'the machine holds what the API says',
      async () => {
        last = difference(wantedOnHost(host, await list(), unwatched), foundOnHost(host, unwatched));
        return last.length === 0 || undefined;
      },
      patienceMs,
    )
    .catch((error: Error) => {
      throw new Error(`seed ${seed}: ${last.join('\n')}\n${error.message}`);
    });

  for (const pod of settled) {
    if (disturbed.has(pod.metadata.uid!)) continue;
    for (const { id, name, restarts } of runningContainers(pod)) {
      assert.is(id, ran.get(`${pod.metadata.name}/${name}`), `${pod.metadata.name}/${name} runs on`);
      assert.is(restarts, 0, `${pod.metadata.name}/${name} was not restarted`);
    }
  }
  client.close();

  // And nothing is left when they go.
  client = lab.client();
  await Promise.all(settled.map(({ metadata }) => client.delete(pods, metadata.name, { namespace, gracePeriodSeconds: 0 })));
  await lab.eventually(
    'nothing is left',
    async () => {
      last = difference([], foundOnHost(host));
      return last.length === 0 || undefined;
    },
    patienceMs,
  );
  client.close();
});

test.run();
