/** Command line of the simulation: `node test/simulation/main.ts --seed S [--seeds COUNT] [--ticks N] [--peers N]`. */
import { parseArgs } from 'node:util';
import { simulate } from './simulation.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    ticks: { type: 'string', default: '1500' },
    peers: { type: 'string' },
  },
});
const first = Number(values.seed);
const ticks = Number(values.ticks);
const peers = values.peers === undefined ? undefined : Number(values.peers);
for (let seed = first; seed < first + Number(values.seeds); seed++) {
  const { hash, failure, tick, counts } = simulate({ seed, ticks, ...(peers !== undefined && { peers }) });
  const verdict = failure ? `FAIL at tick ${tick}: ${failure.message}` : 'PASS';
  console.log(`seed ${seed} hash ${hash} ${JSON.stringify(counts)} ${verdict}`);
  if (failure) {
    if (values.seeds === '1') console.log(failure.stack);
    process.exitCode = 1;
  }
}
