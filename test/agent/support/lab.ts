/**
 * A machine for tests: data folder, cgroup tree, executor, image store and a real agent on them, with a cluster in memory and a
 * pod network that only brings the loopback up. `close` fails when anything is left.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Agent, type AgentParts, createAgent } from '../../../src/agent/agent.ts';
import { createCgroups } from '../../../src/agent/host/cgroups.ts';
import { createExecutor } from '../../../src/agent/host/executor.ts';
import { readMachine } from '../../../src/agent/host/machine.ts';
import { succeedExecutor } from '../../../src/agent/host/strays.ts';
import type { DiskUsage } from '../../../src/agent/images/garbage.ts';
import { createImageStore } from '../../../src/agent/images/image-store.ts';
import type { AgentOptions, Cgroups, Executor, ImageStore, PodNetwork } from '../../../src/agent/types.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { createLogger, type Logger } from '../../../src/lib/logger.ts';
import { systemRandom } from '../../../src/lib/random.ts';
import { nodes, pods } from '../../../src/machinery/resources.ts';
import type { Pod, PodSpec, PodStatus } from '../../../src/machinery/types.ts';
import { Session } from './agent-client.ts';
import { busyboxArchive } from './busybox-archive.ts';
import { FakeApi } from './fake-api.ts';

export const image = 'docker.io/library/kontiki-test:1';

export interface RecordedEvent {
  pod: string;
  type: string;
  reason: string;
  message: string;
}

export class Lab {
  readonly api = new FakeApi();
  readonly events: RecordedEvent[] = [];
  readonly dataDir: string;
  readonly options: AgentOptions;
  /** What the agent is given instead of the usual; set before it starts. */
  parts: Partial<AgentParts> = {};
  readonly executor: Executor & { readonly pid: number | undefined };
  readonly cgroups: Cgroups;
  readonly images: ImageStore;
  readonly #logger: Logger;
  readonly #attached = new Map<string, string>();
  #agent: Agent | undefined;
  #disk: (() => Promise<DiskUsage>) | undefined;

  private constructor(
    dataDir: string,
    options: AgentOptions,
    executor: Lab['executor'],
    cgroups: Cgroups,
    images: ImageStore,
    logger: Logger,
  ) {
    this.dataDir = dataDir;
    this.options = options;
    this.executor = executor;
    this.cgroups = cgroups;
    this.images = images;
    this.#logger = logger;
  }

  static async open(change: Partial<AgentOptions> = {}, disk?: () => Promise<DiskUsage>): Promise<Lab> {
    const dataDir = mkdtempSync(join(tmpdir(), 'kontiki-agent-'));
    const options: AgentOptions = {
      nodeName: 'test-node',
      nodeIp: '127.0.0.1',
      dataDir,
      apiSocket: join(dataDir, 'api.sock'),
      agentSocket: join(dataDir, 'agent.sock'),
      cgroupRoot: `kontiki-agent-test-${process.pid}`,
      runtime: (process.env.KONTIKI_TEST_RUNTIME as 'crun' | undefined) ?? 'runc',
      insecureRegistries: [],
      systemReserved: { cpuMilli: 0, memoryBytes: 0 },
      capacity: { cpuMilli: 4_000, memoryBytes: 4 * 1024 ** 3 },
      podsMax: 20,
      labels: { zone: 'a' },
      logLevel: 'warn',
      ...change,
    };
    const logger = createLogger('agent', (process.env.TEST_LOG as 'debug') ?? 'error');
    const cgroups = await createCgroups({ root: options.cgroupRoot });
    const executor = await createExecutor({ logger, prepare: (pid) => succeedExecutor(cgroups, pid) });
    const images = await createImageStore({ dataDir, executor, insecureRegistries: [], logger, clock: systemClock });
    const lab = new Lab(dataDir, options, executor, cgroups, images, logger);
    lab.#disk = disk;
    const scratch = mkdtempSync(join(tmpdir(), 'kontiki-image-'));
    try {
      await images.importArchive(busyboxArchive(scratch, image), AbortSignal.timeout(30_000));
    } finally {
      rmSync(scratch, { recursive: true });
    }
    await lab.startAgent();
    await lab.api.patch(nodes, options.nodeName, 'merge', { spec: { podCIDR: '10.99.0.0/24' } });
    return lab;
  }

  async startAgent(): Promise<void> {
    const { options, executor, cgroups, images } = this;
    this.#agent = await createAgent({
      options,
      client: this.api,
      events: {
        record: (about, type, reason, message) => this.events.push({ pod: about.metadata.name, type, reason, message }),
      },
      executor,
      cgroups,
      images,
      network: this.#network(),
      machine: await readMachine({ dataDir: options.dataDir, podsMax: options.podsMax, capacity: options.capacity }),
      ...(this.#disk ? { disk: this.#disk } : {}),
      clock: systemClock,
      random: systemRandom,
      logger: this.#logger,
      ...this.parts,
    });
    await this.#agent.start();
    await until('the node is registered', () => this.api.get(nodes, options.nodeName).then(() => true));
  }

  async stopAgent(): Promise<void> {
    await this.#agent?.stop();
    this.#agent = undefined;
  }

  /** Creates a pod bound to this node. */
  createPod(
    name: string,
    spec: Partial<PodSpec> & Pick<PodSpec, 'containers'>,
    metadata: Partial<Pod['metadata']> = {},
  ): Promise<Pod> {
    const full: PodSpec = {
      nodeName: this.options.nodeName,
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      ...spec,
    };
    const conditions = [{ type: 'PodScheduled', status: 'True' }];
    return this.api.create(pods, {
      metadata: { name, namespace: 'default', ...metadata },
      spec: full,
      status: { phase: 'Pending', conditions },
    });
  }

  /** The pod once `test` holds for it. */
  async podUntil(name: string, what: string, test: (status: PodStatus, pod: Pod) => unknown): Promise<Pod> {
    let last: Pod | undefined;
    try {
      return await until(`${name}: ${what}`, async () => {
        last = await this.api.get(pods, name, { namespace: 'default' });
        return test(last.status ?? {}, last) ? last : undefined;
      });
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${JSON.stringify(last?.status, null, 1)}\n${JSON.stringify(this.events)}`);
    }
  }

  running(name: string): Promise<Pod> {
    return this.podUntil(
      name,
      'is ready',
      ({ phase, containerStatuses }) => phase === 'Running' && containerStatuses?.every(({ ready }) => ready),
    );
  }

  /** What a script says in a container, on either of its outputs. */
  async shell(pod: string, script: string, container = 'main'): Promise<string> {
    const query = ['sh', '-c', script].map((part) => `command=${encodeURIComponent(part)}`).join('&');
    const path = `/exec/default/${pod}/${container}?${query}&stdout=true&stderr=true`;
    const session = await Session.open(this.options.agentSocket, path);
    await session.ended;
    return session.stdout + session.stderr;
  }

  async deletePod(name: string, gracePeriodSeconds = 0): Promise<void> {
    await this.api.delete(pods, name, { namespace: 'default', gracePeriodSeconds });
  }

  /** Deletes every pod, waits until the machine is clean, then gives everything back. */
  async close(): Promise<void> {
    for (const { metadata } of (await this.api.list(pods)).items) {
      await this.api.delete(pods, metadata.name, { namespace: metadata.namespace, gracePeriodSeconds: 0 });
    }
    if (!this.#agent) await this.startAgent();
    try {
      await until('nothing of any pod is left', async () => {
        const left = [
          ...mountsOf(this.dataDir),
          ...(await this.cgroups.list()),
          ...this.#attached.keys(),
          ...podFolders(this.dataDir),
        ];
        return left.length === 0;
      });
    } finally {
      await this.stopAgent();
      await this.executor.close();
      await this.cgroups.removeAll();
    }
    rmSync(this.dataDir, { recursive: true });
  }

  #network(): PodNetwork {
    return {
      start: async () => {},
      setPeers: async () => {},
      attach: async (podUid, netnsFile) => {
        await this.executor.check('nsenter', [`--net=${netnsFile}`, 'ip', 'link', 'set', 'lo', 'up']);
        const ip = this.#attached.get(podUid) ?? `10.99.0.${this.#attached.size + 2}`;
        this.#attached.set(podUid, ip);
        return { ip };
      },
      detach: async (podUid) => {
        this.#attached.delete(podUid);
      },
      setHostPorts: async () => {},
      sweep: async () => {},
      stop: async () => {},
    };
  }
}

export function mountsOf(dir: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(` ${dir}/`));
}

function podFolders(dataDir: string): string[] {
  return execFileSync('find', [join(dataDir, 'pods'), '-mindepth', '1', '-maxdepth', '1'], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean);
}

/** Longer on an emulated machine. */
const untilMs = Number(process.env.KONTIKI_TEST_UNTIL_MS ?? 60_000);

/** Looks again and again until `look` gives something. */
export async function until<T>(what: string, look: () => Promise<T> | T): Promise<NonNullable<T>> {
  const deadline = performance.now() + untilMs;
  for (;;) {
    try {
      const found = await look();
      if (found) return found as NonNullable<T>;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    if (performance.now() > deadline) throw new Error(`timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
