/** A cluster of three members on this machine that understands the words of kv-wire.ts. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { delay, systemClock } from '../src/lib/clock.ts';
import { KvClient } from './kv-client.ts';
import { closedLoop, percentile, type Summary } from './measure.ts';

export interface Contestant {
  readonly name: string;
  /** Where the members take requests. */
  readonly ports: readonly number[];
  pid(index: number): number;
  kill(index: number): void;
  /** The member that was killed, with its disk. */
  restart(index: number): Promise<void>;
  close(): void;
}

export interface Figures {
  sequential: Summary;
  sequentialFollower: Summary;
  writers: Record<number, Summary>;
  sequentialRead: Summary;
  readers: Summary;
  watch: Summary;
  syncs: { one: number | undefined; many: number | undefined };
  failoverMs: number[];
}

/** As the launcher starts the daemon. */
export const daemonFlags = ['--max-semi-space-size=2', '--disable-warning=ExperimentalWarning'];

const value = Buffer.alloc(1024, 'x');
/** A run fails rather than hangs. */
const failoverMsMax = 30_000;

/** The member that all others call the leader. Waits for one. */
export async function leaderOf({ ports }: Contestant): Promise<number> {
  for (;;) {
    for (const [index, port] of ports.entries()) {
      const client = new KvClient(port);
      const leads = await client.leads().catch(() => false);
      client.close();
      if (leads) return index;
    }
    await delay(systemClock, 20);
  }
}

/** Clients are spread over all members, each member's on two connections. */
function clientsOf({ ports }: Contestant): KvClient[] {
  return [...ports, ...ports].map((port) => new KvClient(port));
}

export async function loaded(contestant: Contestant, durationMs: number): Promise<Omit<Figures, 'failoverMs' | 'syncs'>> {
  const leader = await leaderOf(contestant);
  const clients = clientsOf(contestant);
  const put = (name: string) => (number: number) =>
    (clients[number % clients.length] as KvClient).put(`/${name}/${number % 5_000}`, value);
  const through = (index: number, name: string) => (number: number) =>
    (clients[index] as KvClient).put(`/${name}/${number % 5_000}`, value);
  const follower = leader === 0 ? 1 : 0;
  try {
    // Long enough for the compilers of a peer to have seen all of the way of a write.
    await closedLoop(64, 4_000, put('warm'));
    const get = (index?: number) => async (number: number) => {
      const found = await (clients[index ?? number % clients.length] as KvClient).get(`/warm/${number % 100}`);
      if (found?.length !== value.length) throw new Error('a read did not give what was written');
    };
    return {
      sequential: await closedLoop(1, durationMs, through(leader, 'leader')),
      sequentialFollower: await closedLoop(1, durationMs, through(follower, 'follower')),
      writers: {
        64: await closedLoop(64, durationMs, put('w64')),
        256: await closedLoop(256, durationMs, put('w256')),
      },
      sequentialRead: await closedLoop(1, durationMs, get(follower)),
      readers: await closedLoop(64, durationMs, get()),
      watch: await watched(clients[follower] as KvClient, clients[leader] as KvClient, durationMs),
    };
  } finally {
    for (const client of clients) client.close();
  }
}

/** From a put through one member to its event at another, one after the other. */
async function watched(watcher: KvClient, writer: KvClient, durationMs: number): Promise<Summary> {
  let arrived: () => void = () => undefined;
  await watcher.watch('/watched/', () => arrived());
  return await closedLoop(1, durationMs, async (number) => {
    const event = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    await Promise.all([writer.put(`/watched/${number}`, value), event]);
  });
}

/** fdatasync and fsync calls of all members per write, counted by strace; undefined where it cannot be attached. */
export async function syncsPerWrite(contestant: Contestant, clientCount: number, writes: number): Promise<number | undefined> {
  const pids = contestant.ports.flatMap((_, index) => ['-p', String(contestant.pid(index))]);
  const tracer = spawn('strace', ['-f', '-c', '-e', 'trace=fdatasync,fsync', ...pids], { stdio: ['ignore', 'ignore', 'pipe'] });
  const failed = once(tracer, 'error').then(() => undefined);
  let said = '';
  tracer.stderr.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  const closed = once(tracer, 'close').then(() => said);
  const attached = Promise.race([failed, closed.then(() => undefined), until(() => said.split(' attached').length > 3)]);
  if (!(await attached)) return undefined;
  const clients = clientsOf(contestant);
  let left = writes;
  await Promise.all(
    Array.from({ length: clientCount }, async (_, index) => {
      while (left-- > 0) await (clients[index % clients.length] as KvClient).put(`/traced/${left}`, value);
    }),
  );
  for (const client of clients) client.close();
  tracer.kill('SIGINT');
  const calls = [...(await closed).matchAll(/^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(?:fdatasync|fsync)$/gm)];
  return calls.length === 0 ? undefined : calls.reduce((sum, [, count]) => sum + Number(count), 0) / writes;
}

async function until(condition: () => boolean): Promise<true | undefined> {
  for (let tries = 0; tries < 250; tries++) {
    if (condition()) return true;
    await delay(systemClock, 20);
  }
  return undefined;
}

/** From kill -9 of the leader to the first put that one of the others confirms; a new put starts every 10 ms until one does. */
export async function failover(contestant: Contestant): Promise<number> {
  const leader = await leaderOf(contestant);
  const others = contestant.ports.filter((_, index) => index !== leader).map((port) => new KvClient(port));
  for (const other of others) await other.put('/failover/before', value);
  const over = new AbortController();
  const startedMs = performance.now();
  contestant.kill(leader);
  const tookMs = await new Promise<number>((resolve, reject) => {
    let count = 0;
    const timer = setInterval(() => {
      if (performance.now() - startedMs > failoverMsMax) reject(new Error(`${contestant.name}: no write after the leader died`));
      const signal = AbortSignal.any([over.signal, AbortSignal.timeout(3_000)]);
      const attempt = (others[count % others.length] as KvClient).put(`/failover/${count++}`, value, signal);
      attempt.then(
        () => resolve(performance.now() - startedMs),
        () => undefined, // Expected until there is a leader.
      );
    }, 10);
    over.signal.addEventListener('abort', () => clearInterval(timer));
  }).finally(() => over.abort());
  for (const other of others) other.close();
  await contestant.restart(leader);
  await caughtUp(contestant);
  return tookMs;
}

/** Every member confirms a write, and then the rest has a moment to follow. */
async function caughtUp(contestant: Contestant): Promise<void> {
  for (const port of contestant.ports) {
    for (let done = false; !done; ) {
      // A connection that was refused is of no further use.
      const client = new KvClient(port);
      done = await client.put('/ready', value, AbortSignal.timeout(1_000)).then(
        () => true,
        () => false, // Not yet.
      );
      client.close();
      if (!done) await delay(systemClock, 20);
    }
  }
  await delay(systemClock, 300);
}

export const ready = caughtUp;

export const median = (samples: readonly number[]): number =>
  percentile(
    [...samples].sort((a, b) => a - b),
    0.5,
  );
