/**
 * Command line of the chaos run: `node test/chaos/main.ts --minutes M --seed S [--peers 3|5] [--runs COUNT]`, as root. Exit code 1 for
 * a run that failed, 2 for one that did too little.
 */
import { parseArgs } from 'node:util';
import { runChaos } from './run.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    peers: { type: 'string', default: '3' },
    /** With the seeds that follow. */
    runs: { type: 'string', default: '1' },
  },
});
const [minutes, first, peers, runs] = [values.minutes, values.seed, values.peers, values.runs].map(Number) as [
  number,
  number,
  number,
  number,
];
const usable = minutes > 0 && minutes <= 1_440 && Number.isInteger(first) && (peers === 3 || peers === 5) && runs >= 1;
if (!usable) {
  console.error('usage: npm run chaos -- [--minutes M] [--seed S] [--peers 3|5] [--runs COUNT]');
  process.exit(2);
}
const codes = { passed: 0, failed: 1, invalid: 2 };
for (let seed = first; seed < first + runs; seed++) {
  console.log(`seed ${seed}, ${peers} peers, ${minutes} minutes`);
  const { verdict, problems, counts, folder } = await runChaos({ seed, minutes, peers, say: (line) => console.log(line) });
  for (const problem of problems) console.log(`  ${problem}`);
  if (folder) console.log(`history and logs: ${folder}`);
  const figures = Object.entries(counts).map(([what, number]) => `${number} ${what}`);
  console.log(`seed ${seed} ${verdict.toUpperCase()}: ${figures.join(', ')}`);
  process.exitCode = Math.max(Number(process.exitCode ?? 0), codes[verdict]);
}
