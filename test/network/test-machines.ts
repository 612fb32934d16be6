/** Machines for network tests: namespaces joined by a bridge, nothing of it in the root namespace. For tests only. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createExecutor } from '../../src/agent/host/executor.ts';
import { createPodNetwork } from '../../src/agent/network/pod-network.ts';
import type { CommandOptions, Executor, PodNetwork } from '../../src/agent/types.ts';
import { silentLogger } from '../../src/lib/logger.ts';

export const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Runs every command inside a machine, as the agent's executor does when the agent itself was started there. */
class InsideExecutor implements Executor {
  readonly #netnsFile: string;
  readonly #inner: Executor;

  constructor(netnsFile: string, inner: Executor) {
    this.#netnsFile = netnsFile;
    this.#inner = inner;
  }

  run(command: string, args: readonly string[], options?: CommandOptions) {
    return this.#inner.run('nsenter', [`--net=${this.#netnsFile}`, command, ...args], options);
  }

  check(command: string, args: readonly string[], options?: CommandOptions) {
    return this.#inner.check('nsenter', [`--net=${this.#netnsFile}`, command, ...args], options);
  }

  detach(): never {
    throw new Error('not used here');
  }

  async close() {}
}

export interface TestMachine {
  name: string;
  netnsFile: string;
  nodeIp: string;
  podCidr: string;
  network: PodNetwork;
  /** As after a restart of the agent: only the disk and the kernel remember. */
  restart(): void;
  run(...command: string[]): string;
}

export class TestMachines {
  readonly folder = mkdtempSync(join(tmpdir(), 'kontiki-network-'));
  readonly #prefix = `ktktest${process.pid}`;
  readonly #namespaces: string[] = [];
  #executor: Executor | undefined;

  async make(count: number): Promise<TestMachine[]> {
    const executor = await createExecutor({ logger: silentLogger });
    this.#executor = executor;
    const bridge = this.#namespace('br');
    this.#inside(bridge, 'ip', 'link', 'add', 'br0', 'type', 'bridge');
    this.#inside(bridge, 'ip', 'link', 'set', 'br0', 'up');
    return Array.from({ length: count }, (_, index) => this.#machine(index + 1, bridge, executor));
  }

  /** A pod's namespace, as the sandbox makes it: a file somewhere in the data folder. */
  pod(name: string): string {
    const file = join(this.folder, `pod-${name}`);
    writeFileSync(file, '');
    run('unshare', `--net=${file}`, 'true');
    this.#namespaces.push(file);
    return file;
  }

  async remove(): Promise<void> {
    for (const file of this.#namespaces) run('umount', file);
    await this.#executor?.close();
    run('rm', '-rf', '--one-file-system', this.folder);
  }

  #namespace(name: string): string {
    return this.pod(`${this.#prefix}-${name}`);
  }

  #inside(netnsFile: string, ...command: string[]): string {
    return run('nsenter', `--net=${netnsFile}`, ...command);
  }

  #machine(number: number, bridge: string, executor: Executor): TestMachine {
    const netnsFile = this.#namespace(`m${number}`);
    const nodeIp = `10.99.0.${number}`;
    const dataDir = join(this.folder, `data-${number}`);
    mkdirSync(dataDir);
    this.#inside(
      bridge,
      'ip',
      'link',
      'add',
      `p${number}`,
      'master',
      'br0',
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      netnsFile,
    );
    this.#inside(bridge, 'ip', 'link', 'set', `p${number}`, 'up');
    this.#inside(netnsFile, 'ip', 'address', 'add', `${nodeIp}/24`, 'dev', 'eth0');
    this.#inside(netnsFile, 'ip', 'link', 'set', 'eth0', 'up');
    this.#inside(netnsFile, 'ip', 'link', 'set', 'lo', 'up');
    const inside = new InsideExecutor(netnsFile, executor);
    const open = () => createPodNetwork({ dataDir, executor: inside, logger: silentLogger });
    const machine: TestMachine = {
      name: `m${number}`,
      netnsFile,
      nodeIp,
      podCidr: `10.98.${number}.0/24`,
      network: open(),
      restart: () => {
        machine.network = open();
      },
      run: (...command) => this.#inside(netnsFile, ...command),
    };
    return machine;
  }
}
