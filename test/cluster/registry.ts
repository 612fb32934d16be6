/** Pulling an image from a real registry (Debian's docker-registry) by a machine's own agent. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { busyboxImage, writeImageArchive } from '../../scripts/image-archive.ts';
import { LabNetwork } from '../../src/cli/lab/network.ts';
import { execute, type Lab } from '../support/lab.ts';
import { getPod, runPod } from './pods.ts';

/** On loopback in the peer's own network namespace. */
const host = '127.0.0.1:5000';

export function addRegistryTests(test: Test, lab: Lab): void {
  test('an image is pulled from a registry, with events, and a missing one says so', async () => {
    const peer = lab.state.peers[2]!;
    const inside = [`--net=${new LabNetwork(lab.state.id).peer(peer.number).netnsFile}`];
    const folder = `${lab.dir}/registry`;
    mkdirSync(folder);
    const storage = { filesystem: { rootdirectory: folder } };
    writeFileSync(`${folder}/config.yml`, stringify({ version: 0.1, log: { level: 'error' }, storage, http: { addr: host } }));
    const registry = spawn('nsenter', [...inside, 'docker-registry', 'serve', `${folder}/config.yml`], { stdio: 'ignore' });
    try {
      const archive = `${lab.dir}/pulled.tar`;
      writeImageArchive(archive, busyboxImage('pulled:1'));
      const push = ['copy', '--quiet', '--dest-tls-verify=false', `docker-archive:${archive}`, `docker://${host}/team/pulled:1`];
      await lab.eventually('the registry', async () =>
        (await execute('nsenter', [...inside, 'skopeo', ...push])).code === 0 ? true : undefined,
      );
      const config = parse(readFileSync(peer.configFile, 'utf8'));
      config.agent.insecureRegistries = [host];
      writeFileSync(peer.configFile, stringify(config));
      await lab.kontiki('dev', 'stop', '3');
      await lab.kontiki('dev', 'start', '3');

      const container = { image: `${host}/team/pulled:1`, imagePullPolicy: 'Always' };
      await runPod(lab, 'pulled', { command: 'sleep 1000', container, spec: { nodeName: peer.name } });
      await lab.ok(['wait', '--for=condition=Ready', 'pod/pulled', '--timeout=60s']);
      assert.match((await getPod(lab, 'pulled')).status?.containerStatuses?.[0]?.imageID ?? '', /sha256:/);
      await lab.eventually('the events', async () =>
        /Pulling image[\s\S]*Successfully pulled image/.test(await lab.ok(['describe', 'pod', 'pulled'])) ? true : undefined,
      );

      const missing = { image: `${host}/team/absent:1` };
      await runPod(lab, 'absent', { command: 'true', container: missing, spec: { nodeName: peer.name } });
      await lab.eventually('ImagePullBackOff', async () => {
        const waiting = (await getPod(lab, 'absent')).status?.containerStatuses?.[0]?.state?.waiting;
        return waiting?.reason === 'ImagePullBackOff' ? true : undefined;
      });
      await lab.ok(['delete', 'pod', 'pulled', 'absent', '--wait=false']);
    } finally {
      registry.kill('SIGKILL');
    }
  });
}
