/**
 * What the tutorials in ../shared/seeds show of pods and their controllers, done with the stock kubectl on a cluster of three. The
 * cases run side by side, in namespaces of their own; every test then tells of one.
 */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeImageArchive } from '../../scripts/image-archive.ts';
import { type Deferred, deferred } from '../../src/lib/deferred.ts';
import { Lab, remains } from '../support/lab.ts';
import { Bench } from './bench.ts';
import { trustRegistry } from './cases/private-images.ts';
import { cases } from './cases.ts';
import { seedImages } from './images.ts';

const test = suite('seeds');
const lab = new Lab();
const atOnce = 6;
let identity = { id: '', dir: lab.dir };
const outcomes: Deferred<void>[] = cases.map(() => deferred());

test.before(async () => {
  await lab.up();
  identity = { id: lab.state.id, dir: lab.dir };
  await trustRegistry(lab);
  for (const [index, image] of seedImages().entries()) {
    const file = `${lab.dir}/image-${index}.tar`;
    writeImageArchive(file, image);
    await lab.kontiki('dev', 'image', 'import', file);
  }
  await lab.ok(['cordon', 'peer-3']);
  await lab.ok(['wait', '--for=condition=Ready', 'node', '--all', '--timeout=60s']);
  const client = lab.client();
  const queue = [...cases.entries()];
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [index, one] = next;
      const outcome = outcomes[index] as Deferred<void>;
      outcome.promise.catch(() => undefined); // its test tells
      const bench = new Bench(lab, client, one.namespace ?? `seed-${index + 1}`);
      await bench
        .open()
        .then(() => one.run(bench))
        .then(outcome.resolve, outcome.reject);
    }
  };
  void Promise.all(Array.from({ length: atOnce }, work)).then(() => client.close());
});

for (const [index, one] of cases.entries()) test(one.title, () => (outcomes[index] as Deferred<void>).promise);

test('no agent ended over all this, and dev down leaves nothing of it behind', async () => {
  for (const { logFile } of lab.state.peers) assert.not.match(readFileSync(logFile, 'utf8'), 'the agent ended');
  await lab.down();
  assert.equal(remains(identity), []);
});

test.run();
