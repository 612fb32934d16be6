/** Machines beyond the voters on a real cluster: they hold nothing, do all that others do, and take the place of a voter that is lost. */
import { existsSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxImage, writeImageArchive } from '../../scripts/image-archive.ts';
import type { MemberView } from '../../src/node/member-administration.ts';
import { execute, Lab, remains } from '../support/lab.ts';

const test = suite('clients');
const lab = new Lab();
let identity = { id: '', dir: lab.dir };
let client = 0;

const numberOf = (name: string) => Number(name.replace('peer-', ''));
const holds = (peer: number) => ['raft', 'store'].filter((folder) => existsSync(`${lab.dir}/peer-${peer}/data/${folder}`));

/** Standard output of `kontiki …` on the machine of a peer. */
async function ok(peer: number, ...args: string[]): Promise<string> {
  const outcome = await execute('./kontiki', [...args, '--config', `${lab.dir}/peer-${peer}/config.yaml`]);
  if (outcome.code !== 0) throw new Error(`kontiki ${args.join(' ')}: ${outcome.stderr}\n${lab.logs()}`);
  return outcome.stdout;
}

const members = async (peer: number) => JSON.parse(await ok(peer, 'members', '-o', 'json')) as MemberView[];
const votes = ({ role }: MemberView) => role === 'voter' || role === 'leader';
const servedBy = async (peer: number) => (JSON.parse(await ok(peer, 'status')) as { servedBy: string | null }).servedBy;

/** The role of one peer, as another one sees it. */
function roleWhen(peer: number, by: number, wanted: (member: MemberView) => boolean): Promise<MemberView> {
  return lab.eventually(`peer-${peer} as wanted`, async () => {
    const found = (await members(by)).find(({ name }) => name === `peer-${peer}`);
    return found && wanted(found) ? found : undefined;
  });
}

test.before(async () => {
  await lab.up(4);
  identity = { id: lab.state.id, dir: lab.dir };
  const file = `${lab.dir}/image.tar`;
  writeImageArchive(file, busyboxImage('busybox:1'));
  await lab.kontiki('dev', 'image', 'import', file);
});

test('the fourth machine is a client: it holds neither log nor state', async () => {
  client = await lab.eventually('a client beside three that vote', async () => {
    const found = await members(1);
    const clients = found.filter(({ role }) => role === 'client');
    return clients.length === 1 && found.filter(votes).length === 3 ? numberOf(clients[0]?.name ?? '') : undefined;
  });
  assert.equal(holds(client), []);
  assert.is((await lab.status()).find(({ name }) => name === `peer-${client}`)?.role, 'client');
  const same = await members(client);
  assert.equal(
    same.map(({ name, role }) => [name, role]).sort(),
    (await members(1)).map(({ name, role }) => [name, role]).sort(),
  );
});

test('kubectl works through it, and pods run on it', async () => {
  const at = { peer: client };
  assert.match(await lab.ok(['api-resources'], at), /deployments/);
  const watching = lab.start(['get', 'configmaps', '-w', `--server=https://127.0.0.1:${lab.state.peers[client - 1]?.localPort}`]);
  await watching.until('kube-root-ca.crt');
  await lab.ok(['create', 'configmap', 'written', '--from-literal=a=b'], at);
  assert.is(await lab.ok(['get', 'configmap', 'written', '-o', 'jsonpath={.data.a}'], { peer: client === 1 ? 2 : 1 }), 'b');
  await watching.until('written');
  await watching.end();

  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'here' },
    spec: {
      nodeName: `peer-${client}`,
      terminationGracePeriodSeconds: 0,
      // It stays whatever is thought of its machine for a moment: the test is about the machine.
      tolerations: [{ key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' }],
      containers: [{ name: 'main', image: 'busybox:1', command: ['sh', '-c', 'echo it talks; exec sleep 3600'] }],
    },
  };
  await lab.ok(['create', '-f', '-'], { ...at, input: JSON.stringify(pod) });
  await lab.ok(['wait', '--for=condition=Ready', 'pod/here', '--timeout=60s'], at);
  await lab.eventually('its log', async () => ((await lab.ok(['logs', 'here'], at)) === 'it talks\n' ? true : undefined));
  for (const version of ['1.27', '1.33']) {
    const heard = await lab.ok(['exec', '-i', 'here', '--', 'cat'], { ...at, version, input: 'said and heard' });
    assert.is(heard, 'said and heard');
  }
});

test('it passes on who asks, and nobody can say that for themselves', async () => {
  const at = { peer: client };
  assert.match(await lab.ok(['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.groups}'], at), /system:masters/);
  const token = (await lab.ok(['create', 'token', 'default'], at)).trim();
  const forged = Buffer.from(JSON.stringify({ name: 'me', groups: ['system:masters'] })).toString('base64url');
  const asks = (headers: Record<string, string>): Promise<string> =>
    new Promise((resolve, reject) => {
      const port = lab.state.peers[client - 1]?.localPort;
      const options = { host: '127.0.0.1', port, path: '/api/v1/nodes', rejectUnauthorized: false, headers };
      const call = request(options, (answer) => {
        let text = '';
        answer.on('data', (chunk) => {
          text += chunk;
        });
        answer.on('end', () => resolve((JSON.parse(text) as { message?: string }).message ?? 'allowed'));
      });
      call.once('error', reject);
      call.end();
    });
  assert.match(await asks({ 'kontiki-user': forged }), /User "system:anonymous" cannot list/);
  assert.match(await asks({ authorization: `Bearer ${token}` }), /User "system:serviceaccount:default:default" cannot list/);
  assert.is(await asks({ authorization: 'Bearer nonsense' }), 'Unauthorized');
});

/** So many that make one object after the other through the client, with names that the server makes, until they are told to end. */
async function writers(count: number) {
  const server = `https://127.0.0.1:${lab.state.peers[client - 1]?.localPort}`;
  const { users } = JSON.parse(await lab.ok(['config', 'view', '--raw', '-o', 'json'])) as {
    users: { user: Record<'client-certificate-data' | 'client-key-data', string> }[];
  };
  const bytes = (name: 'client-certificate-data' | 'client-key-data') => Buffer.from(users[0]?.user[name] ?? '', 'base64');
  const identity = { cert: bytes('client-certificate-data'), key: bytes('client-key-data'), rejectUnauthorized: false };
  const agent = new Agent({ ...identity, keepAlive: true });
  const answers: { code: number; name: string; uid: string }[] = [];
  const body = JSON.stringify({ metadata: { generateName: 'written-', labels: { writer: 'one' } } });
  let ended = false;
  const write = () =>
    new Promise<void>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': String(body.length) };
      const call = request(`${server}/api/v1/namespaces/default/configmaps`, { agent, method: 'POST', headers }, (answer) => {
        let text = '';
        answer.on('data', (chunk) => {
          text += chunk;
        });
        answer.once('error', reject);
        answer.once('end', () => {
          const { metadata = {} } = JSON.parse(text) as { metadata?: { name?: string; uid?: string } };
          answers.push({ code: answer.statusCode ?? 0, name: metadata.name ?? text, uid: metadata.uid ?? '' });
          resolve();
        });
      });
      call.once('error', reject);
      call.end(body);
    });
  const running = Array.from({ length: count }, async () => {
    while (!ended) await write();
  });
  return {
    answers,
    /** When so many were answered, or one of them was not. */
    reached: (wanted: number) =>
      Promise.race([
        Promise.all(running),
        lab.eventually(`${wanted} writes`, async () => (answers.length >= wanted ? true : undefined)),
      ]),
    async end() {
      ended = true;
      await Promise.all(running);
      agent.destroy();
    },
  };
}

test('the machine that serves it is killed: it goes on, and is called to the place', async () => {
  const at = { peer: client };
  const lost = numberOf((await servedBy(client)) ?? '');
  const other = [1, 2, 3, 4].find((peer) => peer !== client && peer !== lost) ?? 0;
  // Nobody calls it before the writes are done: then it would begin anew, and not listen for a moment.
  await ok(other, 'member', 'demote', `peer-${client}`);
  const writing = await writers(8);
  await writing.reached(40);
  await lab.kontiki('dev', 'kill', String(lost));
  await writing.reached(writing.answers.length + 40);
  await writing.end();
  assert.equal(
    writing.answers.filter(({ code }) => code !== 201),
    [],
    'no write is answered with an error',
  );
  const all = JSON.parse(await lab.ok(['get', 'configmaps', '-l', 'writer', '-o', 'json'], { peer: other })) as {
    items: { metadata: { name: string; uid: string } }[];
  };
  const made = (objects: { name: string; uid: string }[]) => objects.map(({ name, uid }) => `${name} ${uid}`).sort();
  assert.equal(
    made(all.items.map(({ metadata }) => metadata)),
    made(writing.answers),
    'each took effect once, as it was answered',
  );
  const after = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'after' }, data: { a: 'c' } };
  await lab.ok(['apply', '-f', '-'], { ...at, input: JSON.stringify(after) });
  assert.is(await lab.ok(['get', 'configmap', 'after', '-o', 'jsonpath={.data.a}'], { peer: other }), 'c');
  assert.is.not(await servedBy(client), `peer-${lost}`);
  await ok(other, 'member', 'auto', `peer-${client}`);

  await roleWhen(client, other, votes);
  assert.equal(holds(client), ['raft', 'store']);
  assert.is(await lab.ok(['get', 'configmap', 'after', '-o', 'jsonpath={.data.a}'], at), 'c');
  const uptime = await lab.ok(['get', 'pod', 'here', '-o', 'jsonpath={.status.containerStatuses[0].restartCount}'], at);
  assert.is(uptime, '0', 'its containers did not notice');

  await lab.kontiki('dev', 'start', String(lost));
  await roleWhen(lost, client, ({ role, verdict }) => role === 'client' && verdict === 'alive');
  await lab.eventually('that it has dropped its log', async () => (holds(lost).length === 0 ? true : undefined));
  const served = await lab.eventually('an answer through it', async () => lab.ok(['get', 'configmap', 'after'], { peer: lost }));
  assert.match(served, /after/);
});

test('dev down leaves nothing behind', async () => {
  await lab.down();
  assert.equal(remains(identity), []);
});

test.run();
