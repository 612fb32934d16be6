/** A local cluster for tests, driven as a person would: by `kontiki dev` and the stock kubectl. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { labClient } from '../../src/cli/dev-commands.ts';
import { type LabState, readLab } from '../../src/cli/lab/state.ts';
import { delay, systemClock } from '../../src/lib/clock.ts';

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export interface PeerStatus {
  name: string;
  pid?: number;
  role?: 'leader' | 'follower' | 'learner' | 'client';
  alive: boolean;
  apiPort: number;
}

/** Runs to the end, or is killed after `timeoutMs` (its exit code is then -1). */
export function execute(
  command: string,
  args: string[],
  options: { input?: string; env?: NodeJS.ProcessEnv; timeoutMs?: number } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...options.env }, stdio: ['pipe', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, stdout, stderr });
    });
    child.stdin.on('error', () => undefined); // it may end without reading
    child.stdin.end(options.input ?? '');
  });
}

/** The folder that holds kubectl.1.27 to kubectl.1.33. */
function kubectlFolder(): string {
  const found = spawnSync('sh', ['-c', 'command -v kubectl'], { encoding: 'utf8' }).stdout.trim();
  if (!found) throw new Error('these tests need the stock kubectl on PATH');
  return dirname(realpathSync(found));
}

export const kubectlVersions = ['1.27', '1.28', '1.29', '1.30', '1.31', '1.32', '1.33'];

export class Lab {
  readonly dir = mkdtempSync(join(tmpdir(), 'ktk-'));
  readonly #kubectls = kubectlFolder();

  /** Says itself what went wrong: the test runner is silent about hooks that fail. */
  async up(peers = 3): Promise<void> {
    try {
      await this.kontiki('dev', 'up', '--peers', String(peers));
    } catch (error) {
      console.error(error);
      throw error;
    }
  }

  async down(): Promise<void> {
    await this.kontiki('dev', 'down');
    rmSync(this.dir, { recursive: true });
  }

  get state(): LabState {
    return readLab(this.dir);
  }

  client() {
    return labClient(this.state);
  }

  /** `./kontiki … --dir`. Throws on a non-zero exit. */
  async kontiki(...args: string[]): Promise<string> {
    const at = args.indexOf('--');
    const words = at < 0 ? [...args, '--dir', this.dir] : [...args.slice(0, at), '--dir', this.dir, ...args.slice(at)];
    const outcome = await execute('./kontiki', words, { timeoutMs: 200_000 });
    if (outcome.code !== 0) throw new Error(`kontiki ${args.join(' ')}: ${outcome.stderr}${outcome.stdout}\n${this.logs()}`);
    return outcome.stdout;
  }

  /** The stock kubectl, by default the newest. */
  kubectl(
    args: string[],
    options: { version?: string; input?: string; timeoutMs?: number; peer?: number } = {},
  ): Promise<Outcome> {
    const command = join(this.#kubectls, `kubectl.${options.version ?? '1.33'}`);
    const server = options.peer ? [`--server=https://127.0.0.1:${this.state.peers[options.peer - 1]?.localPort}`] : [];
    return execute(command, [...server, ...args], {
      env: { KUBECONFIG: `${this.dir}/kubeconfig`, HOME: this.dir },
      ...(options.input === undefined ? {} : { input: options.input }),
      timeoutMs: options.timeoutMs ?? 90_000,
    });
  }

  /** A kubectl that goes on until it is ended, for what it prints meanwhile. */
  start(args: string[], version = '1.33'): { until(text: string): Promise<string>; end(): Promise<void> } {
    const env = { ...process.env, KUBECONFIG: `${this.dir}/kubeconfig`, HOME: this.dir };
    const child = spawn(join(this.#kubectls, `kubectl.${version}`), args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    let seen = '';
    child.stdout.on('data', (chunk) => {
      seen += chunk;
    });
    return {
      until: (text) =>
        this.eventually(`"${text}" from kubectl ${args.join(' ')}`, async () => (seen.includes(text) ? seen : undefined)),
      end: () => {
        child.kill('SIGTERM');
        return closed;
      },
    };
  }

  /** Standard output of a kubectl that must succeed. */
  async ok(
    args: string[],
    options: { version?: string; input?: string; timeoutMs?: number; peer?: number } = {},
  ): Promise<string> {
    const outcome = await this.kubectl(args, options);
    if (outcome.code !== 0)
      throw new Error(`kubectl ${options.version ?? ''} ${args.join(' ')} → ${outcome.code}: ${outcome.stderr}${outcome.stdout}`);
    return outcome.stdout;
  }

  async status(): Promise<PeerStatus[]> {
    return JSON.parse(await this.kontiki('dev', 'status', '-o', 'json')) as PeerStatus[];
  }

  /** The number of the one leader, as soon as there is exactly one. */
  async leader(): Promise<number> {
    return this.eventually('one leader', async () => {
      const leaders = (await this.status()).filter((peer) => peer.alive && peer.role === 'leader');
      return leaders.length === 1 ? Number(leaders[0]?.name.replace('peer-', '')) : undefined;
    });
  }

  /** The first value of `probe` that is not undefined; fails with the last error after `patienceMs`. */
  async eventually<T>(what: string, probe: () => Promise<T | undefined>, patienceMs = 60_000): Promise<T> {
    const patience = AbortSignal.timeout(patienceMs);
    let last: unknown;
    while (!patience.aborted) {
      try {
        const value = await probe();
        if (value !== undefined) return value;
      } catch (error) {
        last = error;
      }
      await delay(systemClock, 100);
    }
    throw new Error(`${what}: not within ${patienceMs} ms; last: ${last}\n${this.logs()}`);
  }

  /** The end of every peer's log, for failures. */
  logs(lines = 15): string {
    let peers: LabState['peers'] = [];
    try {
      peers = this.state.peers;
    } catch {
      return '(no lab)';
    }
    return peers
      .map((peer) => {
        const text = spawnSync('tail', ['-n', String(lines), peer.logFile], { encoding: 'utf8' }).stdout;
        return `--- ${peer.name}\n${text}`;
      })
      .join('\n');
  }
}

/** What of a lab the machine still shows: namespaces, cgroups, mounts, processes. */
export function remains(lab: { id: string; dir: string }): string[] {
  const found: string[] = [];
  const namespaces = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout;
  found.push(...namespaces.split('\n').filter((line) => line.includes(`ktk-${lab.id}-`)));
  const cgroups = spawnSync('find', ['/sys/fs/cgroup', '-maxdepth', '3', '-name', `kontiki-${lab.id}*`], {
    encoding: 'utf8',
  }).stdout;
  found.push(...cgroups.split('\n').filter(Boolean));
  found.push(
    ...readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(lab.dir)),
  );
  const processes = spawnSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' }).stdout;
  found.push(...processes.split('\n').filter((line) => line.includes(lab.dir)));
  return found;
}
