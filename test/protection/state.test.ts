import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { configMaps } from '../../src/machinery/resources.ts';
import { StatusError } from '../../src/machinery/status.ts';
import { pathsOf } from '../../src/node/config.ts';
import { damageRecord } from '../store/damage.ts';
import { Lab } from '../support/lab.ts';
import { addRotTests } from './rot.ts';

export const stateTests = suite('state');
const lab = new Lab();

stateTests.before(() => lab.up());
stateTests.after(() => lab.down());

const logOf = (peer: number) => readFileSync(lab.state.peers[peer - 1]!.logFile, 'utf8');

/** What the peer itself has, whatever the others say. */
async function colourAt(peer: number): Promise<string> {
  const text = await lab.ok(['get', '--raw', '/api/v1/namespaces/default/configmaps/settings?resourceVersion=0'], { peer });
  return (JSON.parse(text) as { data: { colour: string } }).data.colour;
}

async function damage(peer: number, silently: boolean): Promise<void> {
  await lab.kontiki('dev', 'kill', String(peer));
  const { store } = pathsOf(lab.state.peers[peer - 1]!.dataDir);
  // The lock of the folder goes with the last thread of the killed process.
  await lab.eventually('the folder', () => damageRecord(store, 'chartreuse', 'vermillion', silently));
  await lab.kontiki('dev', 'start', String(peer));
}

const follower = async () => ((await lab.leader()) % 3) + 1;

stateTests('a record that changed on disk is noticed at the start, and the state is fetched anew', async () => {
  await lab.ok(['create', 'configmap', 'settings', '--from-literal=colour=chartreuse']);
  const peer = await follower();
  await lab.eventually('the record on the follower', async () => ((await colourAt(peer)) === 'chartreuse' ? true : undefined));
  // Behind it, so that the follower's disk has it: the store writes in order.
  await lab.ok(['create', 'configmap', 'later', '--from-literal=colour=none']);
  await lab.eventually('its colour', async () => ((await colourAt(peer)) === 'chartreuse' ? true : undefined));
  await damage(peer, false);
  assert.is(await colourAt(peer), 'chartreuse');
  assert.match(logOf(peer), 'the state of this peer is not to be trusted');
  assert.match(logOf(peer), 'the state was replaced by a snapshot');
  await lab.ok(['wait', '--for=condition=Ready', `node/peer-${peer}`, '--timeout=60s']);
});

stateTests('a difference that only the others can see is found by comparison, and repaired', async () => {
  const peer = await follower();
  await damage(peer, true);
  assert.is(await colourAt(peer), 'vermillion');
  // Past the next index at which all peers keep their hash.
  const client = lab.client();
  let written = 0;
  const writer = async (name: string) => {
    while (written < 1_100) {
      const data = { colour: String(written++) };
      try {
        await client.patch(configMaps, name, 'merge', { data }, { namespace: 'default' });
      } catch (error) {
        // The odd peer may be found meanwhile: then it refuses, as it should, until it is repaired.
        if (!(error instanceof StatusError) || error.code !== 503) throw error;
      }
    }
  };
  const names = Array.from({ length: 16 }, (_, i) => `writer-${i}`);
  await Promise.all(
    names.map((name) =>
      client.create(configMaps, { metadata: { name, namespace: 'default' } } as never, { namespace: 'default' }),
    ),
  );
  await Promise.all(names.map(writer));
  client.close();
  await lab.eventually('the repair', async () => (logOf(peer).includes('differs from that of the majority') ? true : undefined));
  await lab.eventually('its colour', async () => ((await colourAt(peer)) === 'chartreuse' ? true : undefined));
  assert.is(await colourAt(peer), 'chartreuse');
  const healthy = [1, 2, 3].filter((other) => other !== peer);
  for (const other of healthy) assert.not.match(logOf(other), 'not to be trusted');
  // Equal to the others from then on: what is written now arrives there too.
  await lab.ok(['patch', 'configmap', 'settings', '-p', '{"data":{"colour":"ultramarine"}}']);
  await lab.eventually('the new colour', async () => ((await colourAt(peer)) === 'ultramarine' ? true : undefined));
});

addRotTests(stateTests, lab);

stateTests.run();
