/**
 * `npm run bench:consensus`: three peers of ours beside three members of etcd, one after the other in the same run, on the same
 * disk, asked by the same client. Prints Markdown rows. Compare the ratios, not the times: everything shares this machine.
 * `--rounds N` (2): figures are medians of so many rounds, contestants in turn; `--failovers N` (20); `--seconds N` (2) of each load.
 */
import { parseArgs } from 'node:util';
import { ConsensusCluster } from './consensus-cluster.ts';
import { type Contestant, failover, loaded, median, ready, syncsPerWrite } from './contestant.ts';
import { EtcdCluster } from './etcd.ts';
import type { Summary } from './measure.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '2' },
    failovers: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '2' },
    only: { type: 'string' },
  },
});
const [rounds, failovers, seconds] = [values.rounds, values.failovers, values.seconds].map(Number) as [number, number, number];

type Loaded = Awaited<ReturnType<typeof loaded>>;
interface Results {
  loads: Loaded[];
  syncs: { one: number | undefined; many: number | undefined };
  failoverMs: number[];
}

const starts: [string, () => Promise<Contestant>][] = [
  ['kontiki', () => ConsensusCluster.start()],
  ...(EtcdCluster.available() ? ([['etcd', () => EtcdCluster.start()]] as [string, () => Promise<Contestant>][]) : []),
];
const results = new Map<string, Results>();

for (let round = 0; round < rounds; round++) {
  for (const [name, start] of starts) {
    if (values.only && values.only !== name) continue;
    const result = results.get(name) ?? { loads: [], syncs: { one: undefined, many: undefined }, failoverMs: [] };
    results.set(name, result);
    const contestant = await start();
    try {
      await ready(contestant);
      result.loads.push(await loaded(contestant, seconds * 1000));
      if (round === 0) {
        result.syncs = { one: await syncsPerWrite(contestant, 1, 300), many: await syncsPerWrite(contestant, 256, 5_000) };
      }
      const share = Math.ceil(failovers / rounds);
      for (let count = 0; count < share; count++) result.failoverMs.push(await failover(contestant));
    } finally {
      contestant.close();
    }
  }
}

const figure = (value: number | undefined, digits = 2) =>
  value === undefined || Number.isNaN(value) ? 'not counted' : value >= 100 ? value.toFixed(0) : value.toFixed(digits);

/** One row: each contestant's median over the rounds, and the ratio of ours to etcd's. */
function row(what: string, pick: (result: Results) => number | undefined): void {
  const ours = results.get('kontiki');
  const etcds = results.get('etcd');
  const own = ours && pick(ours);
  const other = etcds && pick(etcds);
  const ratio = own !== undefined && other !== undefined ? (own / other).toFixed(2) : '–';
  console.log(`| ${what} | ${ours ? figure(own) : '–'} | ${etcds ? figure(other) : '–'} | ${ratio} |`);
}

const over = (pick: (load: Loaded) => number) => (result: Results) => median(result.loads.map(pick));
function latencies(what: string, pick: (load: Loaded) => Summary): void {
  row(
    `${what}, p50 ms`,
    over((load) => pick(load).p50),
  );
  row(
    `${what}, p99 ms`,
    over((load) => pick(load).p99),
  );
}

if (!EtcdCluster.available()) console.log('etcd is not measured: the package etcd-server is not installed\n');
console.log('| what | kontiki | etcd | ratio |\n|---|---|---|---|');
latencies('put of 1 KiB, one client at the leader', (load) => load.sequential);
latencies('the same at a follower', (load) => load.sequentialFollower);
for (const count of [64, 256]) {
  row(
    `puts per second, ${count} clients`,
    over((load) => load.writers[count]?.ratePerSecond ?? Number.NaN),
  );
  latencies(`put, ${count} clients`, (load) => load.writers[count] as Summary);
}
latencies('linearizable get, one client at a follower', (load) => load.sequentialRead);
row(
  'linearizable gets per second, 64 clients',
  over((load) => load.readers.ratePerSecond),
);
latencies('put at the leader to its event at a follower', (load) => load.watch);
row('fsyncs of all three per put, one client', (result) => result.syncs.one);
row('fsyncs of all three per put, 256 clients', (result) => result.syncs.many);
row(`kill -9 of the leader to the next put, p50 of ${failovers}, ms`, (result) => median(result.failoverMs));
row('the same, most ms', (result) => Math.max(...result.failoverMs));
