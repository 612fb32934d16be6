/** One run: a cluster, clients and watchers on it, the plan's faults, a quiet end, and the checks. */
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { labId } from '../../src/cli/lab/state.ts';
import { delay, systemClock } from '../../src/lib/clock.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { Lab, remains } from '../support/lab.ts';
import { checkHistory } from './checks.ts';
import { Caller, keysPerGroup, namespaceOf, runClient } from './clients.ts';
import { checkLogs, statesDiffer, unexpectedlyDead } from './cluster-checks.ts';
import { carryOut } from './faults.ts';
import { Recorder } from './history.ts';
import { ApiClient, identityOf } from './http.ts';
import { type PlannedFault, planFaults } from './plan.ts';
import { Watcher } from './watchers.ts';

export interface RunOptions {
  seed: number;
  minutes: number;
  peers: number;
  say: (line: string) => void;
}

export interface Summary {
  /** invalid: too little was done for the rest to mean anything. */
  verdict: 'passed' | 'failed' | 'invalid';
  problems: string[];
  counts: Record<string, number>;
  faults: string[];
  /** Where history and logs of a run that did not pass are. */
  folder: string | undefined;
}

export const clientsPerPeer = 8;
const diskMiB = 256;
/** Until everything works again. Much longer than it takes: a machine under load must not decide about a cluster. */
const restPatienceMs = 180_000;
/** What a run has to do at least, for each of its minutes. A machine under heavy load does several times as much. */
export const floorPerMinute = { writes: 100, reads: 100, events: 300, faults: 1 };

/** A leftover cluster is taken down whatever happens. */
export async function runChaos(options: RunOptions): Promise<Summary> {
  const lab = new Lab();
  const run = new Run(lab, options);
  try {
    await lab.kontiki('dev', 'up', '--peers', String(options.peers), '--disk', String(diskMiB));
    await run.work();
  } catch (error) {
    run.problems.push(String((error as Error).stack ?? error));
  }
  const summary = run.summary();
  if (summary.verdict !== 'passed') summary.folder = run.keep();
  await lab.down();
  await lab.eventually('nothing left of the cluster', async () => {
    const left = remains({ id: labId(lab.dir), dir: lab.dir });
    if (left.length > 0) throw new Error(left.join('; '));
    return true;
  });
  return summary;
}

class Run {
  readonly problems: string[] = [];
  readonly #lab: Lab;
  readonly #options: RunOptions;
  readonly #random: Random;
  readonly #recorder = new Recorder();
  readonly #faults: string[] = [];
  readonly #full = new Set<number>();
  readonly #apis: ApiClient[] = [];
  #terms = 0;

  constructor(lab: Lab, options: RunOptions) {
    this.#lab = lab;
    this.#options = options;
    this.#random = seededRandom(options.seed);
  }

  async work(): Promise<void> {
    const { minutes, peers, seed } = this.#options;
    const lab = this.#lab;
    const identity = identityOf(lab.state);
    for (let group = 0; group < clientsPerPeer; group++) await lab.ok(['create', 'namespace', namespaceOf(group)]);

    const stopClients = new AbortController();
    const stopWatchers = new AbortController();
    const clients: Promise<void>[] = [];
    const watchers: { group: number; watcher: Watcher; done: Promise<void> }[] = [];
    const api = (peer: number) => {
      const client = new ApiClient(lab.state.peers[peer - 1]!.localPort, identity);
      this.#apis.push(client);
      return client;
    };
    for (let group = 0; group < clientsPerPeer; group++) {
      const shared = lab.state.peers.map(({ number }) => ({ number, api: api(number) }));
      for (const { number } of lab.state.peers) {
        const random = this.#fork();
        const caller = new Caller(this.#recorder, api(number), { group, peer: number });
        clients.push(this.#guard(runClient({ caller, random, stop: stopClients.signal })));
        const own = shared.map((one) => ({
          api: one.api,
          caller: new Caller(this.#recorder, one.api, { group, peer: one.number }),
        }));
        const name = `client ${group}/${number}`;
        const options = { name, group, recorder: this.#recorder, random: this.#fork(), peers: own, stop: stopWatchers.signal };
        const watcher = new Watcher(options);
        watchers.push({ group, watcher, done: this.#guard(watcher.run()) });
      }
    }
    try {
      await this.#breakThings(planFaults(seed, peers, minutes * 60_000), minutes * 60_000);
      stopClients.abort();
      await Promise.all(clients);
      await this.#comeToRest(watchers);
    } finally {
      stopClients.abort();
      stopWatchers.abort();
      await Promise.all([...clients, ...watchers.map(({ done }) => done)]);
      for (const one of this.#apis) one.close();
    }
    this.problems.push(...checkHistory(this.#recorder));
  }

  async #breakThings(plan: PlannedFault[], durationMs: number): Promise<void> {
    const beganMs = performance.now();
    const sinceMs = () => performance.now() - beganMs;
    for (const fault of plan) {
      await delay(systemClock, Math.max(0, fault.atMs - sinceMs()));
      if (sinceMs() + fault.holdMs > durationMs || this.problems.length > 0) break;
      this.problems.push(...unexpectedlyDead(this.#lab));
      const victim = await carryOut(this.#lab, fault, (line) => {
        const text = `${(sinceMs() / 1000).toFixed(1).padStart(6)} s  ${line}`;
        this.#faults.push(text);
        this.#options.say(text);
      });
      if (fault.kind === 'disk full') this.#full.add(victim);
    }
    if (this.problems.length === 0) await delay(systemClock, Math.max(0, durationMs - sinceMs()));
    this.problems.push(...unexpectedlyDead(this.#lab));
  }

  /** Everything works again: a last write of each group reaches every watcher, every peer reads the same, and has the same state. */
  async #comeToRest(watchers: { group: number; watcher: Watcher }[]): Promise<void> {
    const lab = this.#lab;
    const { peers } = lab.state;
    const groups = Array.from({ length: clientsPerPeer }, (_, group) => group);
    const callers = new Map<string, Caller>();
    for (const group of groups) {
      for (const { number, localPort } of peers) {
        const client = new ApiClient(localPort, identityOf(lab.state));
        this.#apis.push(client);
        callers.set(`${group} ${number}`, new Caller(this.#recorder, client, { group, peer: number }));
      }
    }
    await Promise.all(
      groups.map(async (group) => {
        const caller = callers.get(`${group} ${1 + (group % peers.length)}`)!;
        const end = await lab.eventually(`a last write of group ${group}`, () => lastWrite(caller), restPatienceMs);
        const behind = () => watchers.filter((one) => one.group === group && one.watcher.position < end);
        const caughtUp = async () => (behind().length === 0 ? true : undefined);
        await lab.eventually(`revision ${end} on every watch of group ${group}`, caughtUp, restPatienceMs);
        for (const { number } of peers) {
          const reader = callers.get(`${group} ${number}`)!;
          for (const key of [...Array.from({ length: keysPerGroup }, (_, at) => `key-${at}`), 'end']) {
            await answered(lab, reader, { kind: 'get', key });
          }
          await answered(lab, reader, { kind: 'list', key: '' });
        }
      }),
    );
    this.problems.push(...(await statesDiffer(lab, restPatienceMs)));
    const { problems, terms } = checkLogs(lab, this.#full);
    this.problems.push(...problems);
    this.#terms = terms;
  }

  summary(): Summary {
    const { calls, sessions } = this.#recorder;
    const writes = calls.filter((call) => call.kind !== 'get' && call.kind !== 'list');
    const count = (of: typeof calls, outcome: string) => of.filter((call) => call.outcome === outcome).length;
    const reads = calls.filter((call) => call.kind === 'get' || call.kind === 'list');
    const counts = {
      writes: count(writes, 'done'),
      'writes refused': count(writes, 'refused'),
      'writes unknown': count(writes, 'unknown'),
      reads: count(reads, 'done'),
      'reads unanswered': count(reads, 'unknown'),
      watches: sessions.length,
      'lists again': sessions.filter(({ end }) => end === 'refused: 410').length,
      events: sessions.reduce((sum, { notices }) => sum + notices.length, 0),
      terms: this.#terms,
      faults: this.#faults.length,
    };
    const { minutes } = this.#options;
    const short = (Object.keys(floorPerMinute) as (keyof typeof floorPerMinute)[]).filter(
      (what) => counts[what] < floorPerMinute[what] * minutes,
    );
    const verdict = this.problems.length > 0 ? 'failed' : short.length > 0 ? 'invalid' : 'passed';
    const problems = this.problems.length > 0 ? this.problems : short.map((what) => `too few ${what}: ${counts[what]}`);
    return { verdict, problems, counts, faults: this.#faults, folder: undefined };
  }

  /** Copies what is needed to understand the run; gives the folder. */
  keep(): string {
    const folder = mkdtempSync(join(tmpdir(), `kontiki-chaos-${this.#options.seed}-`));
    const lines = (items: readonly unknown[]) => `${items.map((item) => JSON.stringify(item, mapsAsObjects)).join('\n')}\n`;
    writeFileSync(join(folder, 'calls.jsonl'), lines(this.#recorder.calls));
    writeFileSync(join(folder, 'watches.jsonl'), lines(this.#recorder.sessions));
    writeFileSync(join(folder, 'faults.txt'), `${[...this.#faults, ...this.problems].join('\n')}\n`);
    for (const { name, logFile } of this.#lab.state.peers) {
      mkdirSync(join(folder, name));
      cpSync(logFile, join(folder, name, 'log'));
    }
    return folder;
  }

  #fork(): Random {
    return seededRandom(this.#random.int(2 ** 32));
  }

  /** What a client throws is a finding, and ends nothing else. */
  async #guard(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.problems.push(`a client failed: ${(error as Error).stack ?? error}`);
    }
  }
}

/** The revision of an object that this group makes last; undefined: not yet. */
async function lastWrite(caller: Caller): Promise<number | undefined> {
  const { found } = await caller.call({ kind: 'create', key: 'end', value: caller.newValue() });
  if (found) return found.get('end')?.revision;
  // Of an attempt before, which was not answered.
  const read = await caller.call({ kind: 'get', key: 'end' });
  return read.found?.get('end')?.revision;
}

async function answered(lab: Lab, caller: Caller, asked: { kind: 'get' | 'list'; key: string }): Promise<void> {
  const ask = async () => ((await caller.call(asked)).outcome === 'done' ? true : undefined);
  await lab.eventually(`an answer to ${asked.kind} ${asked.key}`, ask, restPatienceMs);
}

function mapsAsObjects(_: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value;
}
