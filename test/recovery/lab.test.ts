/** Backup and recovery on real peers with the stock kubectl: a snapshot under load restored elsewhere, and a lost quorum. */
import { spawn } from 'node:child_process';
import { closeSync, copyFileSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxImage, writeImageArchive } from '../../scripts/image-archive.ts';
import { LabNetwork } from '../../src/cli/lab/network.ts';
import { isAlive, type LabPeer, peerPort } from '../../src/cli/lab/state.ts';
import { configMaps } from '../../src/machinery/resources.ts';
import { execute, Lab } from '../support/lab.ts';

const test = suite('recovery of real peers');
let lab: Lab;
const backups = mkdtempSync(join(tmpdir(), 'ktk-backups-'));

/** `./kontiki` with exactly these words; must succeed. */
async function kontiki(...words: string[]): Promise<string> {
  const outcome = await execute('./kontiki', words, { timeoutMs: 60_000 });
  if (outcome.code !== 0) throw new Error(`kontiki ${words.join(' ')}: ${outcome.stderr}${outcome.stdout}\n${lab.logs()}`);
  return outcome.stdout;
}

const peerOf = (number: number) => lab.state.peers[number - 1] as LabPeer;

/** Writes ConfigMaps one after the other until it is ended; `acknowledged` grows with each answer. */
function writeLoad(prefix: string) {
  const client = lab.client();
  const acknowledged: string[] = [];
  const stop = new AbortController();
  const writing = (async () => {
    for (let n = 0; !stop.signal.aborted; n++) {
      const name = `${prefix}-${n}`;
      const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data: { n: `${n}` } };
      try {
        await client.create(configMaps, configMap, { signal: AbortSignal.any([stop.signal, AbortSignal.timeout(2_000)]) });
        acknowledged.push(name);
      } catch (error) {
        // Without a quorum there is no answer; the next name is tried.
        if (!stop.signal.aborted) lastRefusal = error;
      }
    }
  })();
  return {
    acknowledged,
    async end() {
      stop.abort(new Error('enough'));
      await writing;
      client.close();
    },
  };
}
let lastRefusal: unknown;

async function configMapNames(peer?: number): Promise<Set<string>> {
  const from = ['get', '--raw', '/api/v1/namespaces/default/configmaps?resourceVersion=0'];
  const list = JSON.parse(await lab.ok(from, peer ? { peer } : {})) as { items: { metadata: { name: string } }[] };
  return new Set(list.items.map(({ metadata }) => metadata.name));
}

const missing = (wanted: readonly string[], there: ReadonlySet<string>) => wanted.filter((name) => !there.has(name));

async function revisionNow(): Promise<number> {
  const list = JSON.parse(await lab.ok(['get', '--raw', '/api/v1/namespaces/default/configmaps?limit=1']));
  return Number(list.metadata.resourceVersion);
}

async function importBusybox(): Promise<void> {
  const file = `${lab.dir}/image.tar`;
  writeImageArchive(file, busyboxImage('busybox:1'));
  await lab.kontiki('dev', 'image', 'import', file);
}

/** A peer's daemon as a newcomer, in its namespace, as `dev up` starts it. */
async function startJoining(peer: LabPeer, through: LabPeer): Promise<void> {
  const network = new LabNetwork(lab.state.id);
  const token = (await kontiki('token', 'create', '--config', through.configFile)).trim();
  const address = `${network.peer(through.number).address}:${peerPort}`;
  const words = ['./kontiki', 'up', '--config', peer.configFile, '--join', address, '--token', token];
  const log = openSync(peer.logFile, 'a', 0o600);
  const child = spawn('nsenter', [`--net=${network.peer(peer.number).netnsFile}`, ...words], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  writeFileSync(peer.pidFile, String(child.pid));
}

/** The names of the members, as a snapshot tells them. */
async function members(peer: LabPeer): Promise<string[]> {
  const file = join(backups, 'members');
  const saved = JSON.parse(await kontiki('snapshot', 'save', file, '--config', peer.configFile, '-o', 'json'));
  return (saved.header.members as { nodeName: string }[]).map(({ nodeName }) => nodeName).sort();
}

const readyNodes = (names: string[]) =>
  lab.eventually(`ready: ${names}`, async () => {
    const { items } = JSON.parse(await lab.ok(['get', 'nodes', '-o', 'json'])) as {
      items: { metadata: { name: string }; status: { conditions: { type: string; status: string }[] } }[];
    };
    const ready = items.filter(({ status }) => status.conditions.some((one) => one.type === 'Ready' && one.status === 'True'));
    return ready
      .map(({ metadata }) => metadata.name)
      .sort()
      .join() === names.join()
      ? true
      : undefined;
  });

const deployment = JSON.stringify({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'sleeper' },
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: 'sleeper' } },
    template: {
      metadata: { labels: { app: 'sleeper' } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'main', image: 'busybox:1', command: ['sleep', '1000'] }],
      },
    },
  },
});

test.after(() => rmSync(backups, { recursive: true }));

test.before.each(() => {
  lab = new Lab();
});

test.after.each(() => lab.down());

test('a snapshot saved under load is restored to another machine with another name, and pods run there', async () => {
  await lab.up(1);
  await importBusybox();
  await lab.ok(['create', '-f', '-'], { input: deployment });
  await lab.ok(['rollout', 'status', 'deployment/sleeper', '--timeout=60s']);
  const peer = peerOf(1);
  const load = writeLoad('load');
  await lab.eventually('some writes', async () => (load.acknowledged.length > 50 ? true : undefined));
  const before = [...load.acknowledged];
  const file = join(backups, 'snapshot');
  const saved = JSON.parse(await kontiki('snapshot', 'save', file, '--config', peer.configFile, '-o', 'json'));
  await load.end();
  const verified = JSON.parse(await kontiki('snapshot', 'verify', file, '-o', 'json'));
  assert.equal(verified, saved);
  assert.ok(verified.objects.configmaps >= before.length);
  assert.equal([verified.objects['deployments.apps'], verified.objects.nodes], [1, 1]);
  const lastRevision = await revisionNow();
  const cut = join(backups, 'cut');
  writeFileSync(cut, readFileSync(file).subarray(0, -100));
  const refused = await execute('./kontiki', ['snapshot', 'verify', cut]);
  assert.is(refused.code, 1);
  assert.match(refused.stderr, /cut off/);

  const kubeconfig = readFileSync(`${lab.dir}/kubeconfig`, 'utf8');
  const clusterKey = join(backups, 'cluster.key');
  copyFileSync(join(dirname(peer.configFile), 'data/cluster.key'), clusterKey);
  await lab.down();
  lab = new Lab();
  await lab.up(2);
  const [other, another] = [peerOf(1), peerOf(2)];
  for (const [machine, nodeName] of [
    [other, 'fresh'],
    [another, 'further'],
  ] as const) {
    await lab.kontiki('dev', 'kill', machine.name);
    await kontiki('reset', '--yes', '--config', machine.configFile);
    const config = readFileSync(machine.configFile, 'utf8');
    writeFileSync(machine.configFile, config.replace(`nodeName: ${machine.name}`, `nodeName: ${nodeName}`));
  }
  const restore = ['snapshot', 'restore', file, '--config', other.configFile, '--yes'];
  const keyless = await execute('./kontiki', restore);
  assert.match(keyless.stderr, /--cluster-key/);
  const told = await kontiki(...restore, '--cluster-key', clusterKey);
  assert.match(told, /nodes removed +peer-1/);
  await lab.kontiki('dev', 'start', '1');
  // The old administrator's file, with the new address: the authority is the same.
  writeFileSync(`${lab.dir}/kubeconfig`, kubeconfig.replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${lab.state.port}`));
  await readyNodes(['fresh']);
  assert.equal(missing(before, await configMapNames()), []);
  assert.ok((await revisionNow()) > lastRevision);
  assert.equal(await members(other), ['fresh']);
  await importBusybox();
  await lab.ok(['create', 'configmap', 'after']);
  await lab.eventually('the pod of the deployment on the new machine', async () => {
    const { items } = JSON.parse(await lab.ok(['get', 'pods', '-l', 'app=sleeper', '-o', 'json']));
    const fine = items.some(
      (pod: { spec: { nodeName?: string }; status: { phase: string } }) =>
        pod.spec.nodeName === 'fresh' && pod.status.phase === 'Running',
    );
    return fine ? true : undefined;
  });
  assert.match(await lab.ok(['exec', 'deploy/sleeper', '--', 'echo', 'alive']), /alive/);
  await startJoining(another, other);
  await readyNodes(['fresh', 'further']);
  assert.equal(missing(before, await configMapNames(2)), []);
});

test('after two of three peers were lost, the third goes on with all that it had, and new ones join', async () => {
  await lab.up(3);
  const [survivor, second, third] = [peerOf(1), peerOf(2), peerOf(3)];
  const load = writeLoad('load');
  await lab.eventually('some writes', async () => (load.acknowledged.length > 100 ? true : undefined));
  await Promise.all([lab.kontiki('dev', 'kill', '2'), lab.kontiki('dev', 'kill', '3')]);
  await load.end();
  const lastRevision = Math.max(...(await configMapRevisions(1)));
  const had = await configMapNames(1);
  assert.ok(had.size > 50, `${had.size} of ${load.acknowledged.length}; ${lastRefusal}`);
  const early = await execute('./kontiki', ['recover', '--yes', '--config', survivor.configFile]);
  assert.match(early.stderr, /already runs/);
  await lab.kontiki('dev', 'stop', '1');
  const asked = await execute('./kontiki', ['recover', '--config', survivor.configFile]);
  assert.match(asked.stderr, /nothing was changed/);
  const told = await kontiki('recover', '--config', survivor.configFile, '--yes');
  assert.match(told, /Logs of 1 of the 3 voters are at hand/);
  assert.match(told, /shut out .*peer-2 .*peer-3|shut out .*peer-3 .*peer-2/);
  await lab.kontiki('dev', 'start', '1');
  await readyNodes(['peer-1']);
  assert.equal(missing([...had], await configMapNames(1)), []);
  assert.ok((await revisionNow()) > lastRevision);

  // The lost ones come back, with their old logs and a quorum of the old cluster: nothing of them gets in.
  await Promise.all([second, third].map((peer) => execute('./kontiki', ['dev', 'start', peer.name, '--dir', lab.dir])));
  await lab.eventually('the old cluster without the survivor, or its end', async () => {
    const [, ...old] = await lab.status();
    return old.some(({ alive, role }) => alive && role === 'leader') || old.every(({ alive }) => !alive) ? true : undefined;
  });
  await lab.kubectl(['create', 'configmap', 'old-cluster'], { peer: 2 });
  await lab.ok(['create', 'configmap', 'new-cluster'], { peer: 1 });
  assert.equal(await members(survivor), ['peer-1']);
  assert.not.ok((await configMapNames(1)).has('old-cluster'));
  for (const peer of [second, third]) {
    if (isAlive(peer)) await lab.kontiki('dev', 'kill', peer.name);
    await kontiki('reset', '--yes', '--config', peer.configFile);
  }

  for (const peer of [second, third]) await startJoining(peer, survivor);
  await readyNodes(['peer-1', 'peer-2', 'peer-3']);
  await lab.eventually('three voters', async () => {
    const status = JSON.parse(await kontiki('status', '--config', survivor.configFile));
    return status.consensus.membership.voters.length === 3 ? true : undefined;
  });
  for (const peer of [2, 3]) assert.equal(missing([...had], await configMapNames(peer)), []);
  await lab.kontiki('dev', 'kill', '1');
  assert.not.ok(isAlive(survivor));
  await lab.eventually('a write without the survivor', async () =>
    (await lab.kubectl(['create', 'configmap', 'last'], { peer: 2 })).code === 0 ? true : undefined,
  );
});

async function configMapRevisions(peer: number): Promise<number[]> {
  const from = ['get', '--raw', '/api/v1/namespaces/default/configmaps?resourceVersion=0'];
  const { items } = JSON.parse(await lab.ok(from, { peer })) as { items: { metadata: { resourceVersion: string } }[] };
  return items.map(({ metadata }) => Number(metadata.resourceVersion));
}

test.run();
