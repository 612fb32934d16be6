/**
 * The main job on one machine: a local cluster of three peers runs examples/hello.yaml. Safe to repeat: what is there already
 * is used. Uses only our own client, so that it works without kubectl.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { labClient } from '../src/cli/dev-commands.ts';
import { readLab } from '../src/cli/lab/state.ts';
import { delay, systemClock } from '../src/lib/clock.ts';
import type { Client } from '../src/machinery/client.ts';
import { deployments, nodes, pods, type Resource, services } from '../src/machinery/resources.ts';
import { isReason } from '../src/machinery/status.ts';
import type { KubeObject, Pod } from '../src/machinery/types.ts';
import { busyboxImage, writeImageArchive } from './image-archive.ts';

const dir = '.kontiki';
const patienceMs = 60_000;

function step(title: string): void {
  console.log(`\n== ${title}`);
}

function fail(what: string, advice: string): never {
  console.error(`\nkontiki: ${what}\n         ${advice}`);
  process.exit(1);
}

function kontiki(...args: string[]): void {
  const { status } = spawnSync('./kontiki', args, { stdio: 'inherit' });
  if (status !== 0)
    fail(
      `./kontiki ${args.join(' ')} failed`,
      `see above, and ${dir}/peer-*/log; to begin afresh: ./kontiki dev down && npm start`,
    );
}

/** Creates what is not there; leaves what is. */
async function apply(client: Client, file: string): Promise<void> {
  const resources: Record<string, Resource> = { Deployment: deployments as Resource, Service: services as Resource };
  for (const document of parseAllDocuments(readFileSync(file, 'utf8'))) {
    const object = document.toJS() as KubeObject;
    const resource = resources[object.kind];
    if (!resource) fail(`${file} holds a ${object.kind}`, 'this script applies Deployments and Services');
    const name = `${object.kind.toLowerCase()}/${object.metadata.name}`;
    try {
      await client.create(resource, object, { namespace: 'default' });
      console.log(`${name} created`);
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
      console.log(`${name} is there`);
    }
  }
}

const isReady = (pod: Pod) =>
  !pod.metadata.deletionTimestamp && pod.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True');

async function readyPods(client: Client): Promise<Pod[]> {
  const patience = AbortSignal.timeout(patienceMs);
  for (;;) {
    const { items } = await client.list(pods, { namespace: 'default', labelSelector: 'app=hello' });
    const ready = items.filter(isReady);
    if (ready.length >= 3) return ready;
    if (patience.aborted) {
      const states = items.map(
        (pod) => `${pod.metadata.name} ${pod.status?.phase} ${pod.status?.containerStatuses?.[0]?.state?.waiting?.message ?? ''}`,
      );
      fail(`only ${ready.length} of 3 pods became ready: ${states.join('; ')}`, `see ${dir}/peer-*/log`);
    }
    await delay(systemClock, 50);
  }
}

function table(rows: string[][]): void {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length))) ?? [];
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('   ')
        .trimEnd(),
    );
}

if (existsSync(`${dir}/lab.json`)) {
  step('the local cluster is there');
  kontiki('dev', 'status');
} else {
  step('starting a local cluster of three peers');
  kontiki('dev', 'up');
}

step('building an image from busybox-static and importing it into every peer');
const archive = `${dir}/hello.tar`;
mkdirSync(dir, { recursive: true });
const script = `#!/bin/sh
mkdir -p /tmp/www
echo "hello from $HOSTNAME on $NODE" > /tmp/www/index.html
exec httpd -f -v -p 8080 -h /tmp/www
`;
writeImageArchive(
  archive,
  busyboxImage('kontiki/hello:1', { files: { 'bin/hello': { text: script } }, cmd: ['sh', '/bin/hello'] }),
);
kontiki('dev', 'image', 'import', archive);
rmSync(archive);

const state = readLab(dir);
const client = labClient(state);
try {
  step('applying examples/hello.yaml: a Deployment of three, and a Service');
  await apply(client, 'examples/hello.yaml');
  const ready = await readyPods(client);

  step('nodes');
  const { items } = await client.list(nodes);
  const nodeReady = (conditions: { type: string; status: string }[] = []) =>
    conditions.some((one) => one.type === 'Ready' && one.status === 'True') ? 'Ready' : 'NotReady';
  table([
    ['NAME', 'STATUS', 'PODS FROM', 'KERNEL'],
    ...items.map((node) => [
      node.metadata.name,
      nodeReady(node.status?.conditions),
      node.spec?.podCIDR ?? '',
      node.status?.nodeInfo?.kernelVersion ?? '',
    ]),
  ]);
  step('pods');
  table([['NAME', 'IP', 'NODE'], ...ready.map((pod) => [pod.metadata.name, pod.status?.podIP ?? '', pod.spec?.nodeName ?? ''])]);

  const pod = ready[0] as Pod;
  const asker = state.peers.find((peer) => peer.name !== pod.spec?.nodeName);
  step(`the answer of ${pod.metadata.name}, asked from ${asker?.name}`);
  kontiki('dev', 'shell', String(asker?.number), '--', 'busybox', 'wget', '-q', '-O', '-', `http://${pod.status?.podIP}:8080/`);
} finally {
  client.close();
}

console.log(`
Go on with:
  export KUBECONFIG=$PWD/${dir}/kubeconfig     for kubectl 1.27 to 1.33
  kubectl get pods -o wide
  ./kontiki dev status                         who leads
  ./kontiki dev kill 1                         and see the others carry on
  ./kontiki dev down                           remove everything
`);
