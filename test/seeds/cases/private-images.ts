/** An image of a registry that wants a name and a password: Debian's docker-registry on peer-2. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';
import { busyboxImage, writeImageArchive } from '../../../scripts/image-archive.ts';
import { LabNetwork } from '../../../src/cli/lab/network.ts';
import { execute, type Lab } from '../../support/lab.ts';
import { type SeedCase, shows } from '../bench.ts';

/** On loopback in the network namespace of peer-2. */
const host = '127.0.0.1:5000';
/** bcrypt of "bdp". */
const accounts = 'bdp:$2b$05$abcdefghijklmnopqrstuuibc8WuFN/UNE.2pywr/Vrf2SR58COm.\n';

/** Lets peer-2 speak HTTP with the registry: its daemon starts anew. */
export async function trustRegistry(lab: Lab): Promise<void> {
  const { configFile } = lab.state.peers[1]!;
  const config = parse(readFileSync(configFile, 'utf8'));
  config.agent.insecureRegistries = [host];
  writeFileSync(configFile, stringify(config));
  await lab.kontiki('dev', 'stop', '2');
  await lab.kontiki('dev', 'start', '2');
}

/** Filled with one image, `team/service:1`. */
async function startRegistry(lab: Lab): Promise<ChildProcess> {
  const inside = [`--net=${new LabNetwork(lab.state.id).peer(2).netnsFile}`];
  const folder = `${lab.dir}/registry`;
  mkdirSync(folder);
  writeFileSync(`${folder}/accounts`, accounts);
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: folder } },
    http: { addr: host },
    auth: { htpasswd: { realm: 'seeds', path: `${folder}/accounts` } },
  };
  writeFileSync(`${folder}/config.yml`, stringify(config));
  const registry = spawn('nsenter', [...inside, 'docker-registry', 'serve', `${folder}/config.yml`], { stdio: 'ignore' });
  const archive = `${folder}/service.tar`;
  writeImageArchive(archive, busyboxImage('service:1'));
  const push = ['copy', '--quiet', '--dest-tls-verify=false', '--dest-creds', 'bdp:bdp'];
  await lab.eventually('the registry', async () => {
    const to = [`docker-archive:${archive}`, `docker://${host}/team/service:1`];
    const { code, stderr } = await execute('nsenter', [...inside, 'skopeo', ...push, ...to]);
    if (code !== 0) throw new Error(stderr);
    return true;
  });
  return registry;
}

export const privateImages: SeedCase = {
  title: 'imagePullSecrets open a registry that wants a password, and without them the pull is refused',
  of: ['001 Deployment deployment_service'],
  because: 'a name may not hold an underscore, and the secrets belong to the template: both are refused as they stand',
  async run(bench) {
    const registry = await startRegistry(bench.lab);
    try {
      const manifest = (name: string, more = '') => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec:
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      ${more}
      nodeSelector: {kubernetes.io/hostname: peer-2}
      terminationGracePeriodSeconds: 1
      containers: [{name: a, image: "${host}/team/service:1", command: [sleep, "1000"], imagePullPolicy: Always}]
`;
      shows(await bench.refused(manifest('deployment_service')), 'metadata.name: Invalid value: "deployment_service"');
      const misplaced = `${manifest('misplaced')}  imagePullSecrets: [{name: hubsecret-go}]\n`;
      shows(await bench.refused(misplaced), 'unknown field "spec.imagePullSecrets"');
      const auths = { [host]: { username: 'bdp', password: 'bdp', auth: Buffer.from('bdp:bdp').toString('base64') } };
      const data = Buffer.from(JSON.stringify({ auths })).toString('base64');
      await bench.apply(
        `{apiVersion: v1, kind: Secret, type: kubernetes.io/dockerconfigjson, metadata: {name: hubsecret-go}, data: {.dockerconfigjson: ${data}}}`,
      );
      await bench.apply(manifest('stranger'));
      await bench.apply(manifest('deployment-service', 'imagePullSecrets: [{name: hubsecret-go}]'));
      await bench.ok('rollout status deployment/deployment-service --timeout=60s');
      const stranger = (await bench.ok('get pods -l app=stranger -o name')).trim().replace('pod/', '');
      await bench.event(stranger, /^Failed: Failed to pull image "127\.0\.0\.1:5000\/team\/service:1": .*access denied/);
      await bench.ok('delete deployment stranger deployment-service');
    } finally {
      registry.kill('SIGKILL');
      await once(registry, 'close');
    }
  },
};
