/** The first version's promise, on a real cluster of three peers with real containers and the stock kubectl. */
import { spawnSync } from 'node:child_process';
import { request } from 'node:https';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxImage, nginxImage, writeImageArchive } from '../../scripts/image-archive.ts';
import { Lab, remains } from '../support/lab.ts';
import { addAccessTests } from './access.ts';
import { addConfigurationTests } from './configuration.ts';
import { addKubectlTests } from './kubectl.ts';
import { addPodTests } from './pods.ts';
import { addRegistryTests } from './registry.ts';
import { addWorkloadTests } from './workloads.ts';

const test = suite('cluster');
const lab = new Lab();
let identity = { id: '', dir: lab.dir };

test.before(async () => {
  await lab.up();
  identity = { id: lab.state.id, dir: lab.dir };
  for (const image of [
    busyboxImage('busybox:1'),
    nginxImage('nginx:1.7.9', 'one'),
    nginxImage('nginx:1.9.1', 'two'),
    nginxImage('nginx:1.91', 'three'),
  ]) {
    const file = `${lab.dir}/image.tar`;
    writeImageArchive(file, image);
    await lab.kontiki('dev', 'image', 'import', file);
  }
});

test('dev up gives three ready nodes and one leader', async () => {
  const nodes = JSON.parse(await lab.ok(['get', 'nodes', '-o', 'json']));
  assert.equal(nodes.items.map((node: { metadata: { name: string } }) => node.metadata.name).sort(), [
    'peer-1',
    'peer-2',
    'peer-3',
  ]);
  const peers = await lab.status();
  assert.is(peers.filter((peer) => peer.role === 'leader').length, 1);
  assert.ok(peers.every((peer) => peer.alive && (peer.pid ?? 0) > 0));
});

test('every peer serves the API, and a write through one is read through another at once', async () => {
  for (const [writer, reader] of [
    [1, 2],
    [2, 3],
    [3, 1],
  ] as const) {
    await lab.ok(['create', 'configmap', `through-${writer}`, '--from-literal=a=b'], { peer: writer });
    assert.match(await lab.ok(['get', 'configmap', `through-${writer}`, '-o', 'jsonpath={.data.a}'], { peer: reader }), 'b');
  }
});

test('nothing of the cluster can be reached from the root namespace but its ports on 127.0.0.1', async () => {
  assert.not.match(spawnSync('ip', ['route'], { encoding: 'utf8' }).stdout, /10\.77\.0/);
  assert.not.match(spawnSync('ss', ['-ltn'], { encoding: 'utf8' }).stdout, /0\.0\.0\.0:6443/);
});

test('a client without a certificate sees health and version and nothing else', async () => {
  assert.equal(await anonymous('/healthz'), { code: 200, body: 'ok' });
  assert.is((await anonymous('/version')).code, 200);
  for (const path of ['/api/v1/secrets', '/api/v1/namespaces/default/pods', '/metrics']) {
    const { code, body } = await anonymous(path);
    assert.is(code, 403);
    assert.match(body, '"reason":"Forbidden"');
  }
});

function anonymous(path: string): Promise<{ code: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request(
      { host: '127.0.0.1', port: lab.state.port, path, rejectUnauthorized: false, agent: false },
      (response) => {
        let body = '';
        response.on('data', (chunk) => {
          body += chunk;
        });
        response.on('end', () => resolve({ code: response.statusCode ?? 0, body }));
      },
    );
    call.on('error', reject);
    call.end();
  });
}

addWorkloadTests(test, lab);
addPodTests(test, lab);
addAccessTests(test, lab);
addConfigurationTests(test, lab);
addRegistryTests(test, lab);
addKubectlTests(test, lab);

test('dev down leaves nothing behind', async () => {
  await lab.down();
  assert.equal(remains(identity), []);
});

test.run();
