/**
 * Command line of the simulation: `node test/simulation/main.ts --seed S [--seeds COUNT] [--ticks N] [--peers N]`. A single seed
 * that fails is made small and its trace printed.
 */
import { parseArgs } from 'node:util';
import { minimized } from './minimize.ts';
import { simulate } from './simulation.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    ticks: { type: 'string', default: '1500' },
    peers: { type: 'string' },
    /** Disks that lose what they confirmed: shows a failure and its trace. */
    'disk-lies': { type: 'boolean', default: false },
  },
});
const first = Number(values.seed);
const ticks = Number(values.ticks);
const peers = values.peers === undefined ? undefined : Number(values.peers);
for (let seed = first; seed < first + Number(values.seeds); seed++) {
  const options = { seed, ticks, diskLies: values['disk-lies'], ...(peers !== undefined && { peers }) };
  const { hash, failure, tick, counts } = await simulate(options);
  const verdict = failure ? `FAIL at tick ${tick}: ${failure.message}` : 'PASS';
  console.log(`seed ${seed} hash ${hash} ${JSON.stringify(counts)} ${verdict}`);
  if (failure) {
    if (values.seeds === '1') console.log(`${failure.stack}\n${await minimized(options)}`);
    process.exitCode = 1;
  }
}
