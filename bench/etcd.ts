/** Three etcd members on loopback, on the disk of the temporary folder, with etcd's own defaults but for TLS between members. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Contestant, ready } from './contestant.ts';

const clientPort = (index: number) => 23_791 + index;
const peerPort = (index: number) => 23_801 + index;

export class EtcdCluster implements Contestant {
  readonly name = 'etcd';
  readonly ports = [0, 1, 2].map(clientPort);
  readonly #dir = mkdtempSync(join(tmpdir(), 'etcd-bench-'));
  readonly #members: ChildProcess[] = [];

  static available(): boolean {
    return spawnSync('etcd', ['--version']).status === 0;
  }

  /** Resolves when every member takes writes. */
  static async start(): Promise<EtcdCluster> {
    const cluster = new EtcdCluster();
    for (const index of [0, 1, 2]) await cluster.restart(index);
    await ready(cluster);
    return cluster;
  }

  pid(index: number): number {
    return this.#members[index]?.pid as number;
  }

  kill(index: number): void {
    this.#members[index]?.kill('SIGKILL');
  }

  async restart(index: number): Promise<void> {
    const [client, peer] = [`http://127.0.0.1:${clientPort(index)}`, `https://127.0.0.1:${peerPort(index)}`];
    const all = [0, 1, 2].map((n) => `m${n}=https://127.0.0.1:${peerPort(n)}`).join(',');
    const urls = ['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer];
    const cluster = ['--peer-auto-tls', '--initial-advertise-peer-urls', peer, '--initial-cluster', all, '--name', `m${index}`];
    const folder = ['--data-dir', join(this.#dir, `m${index}`)];
    this.#members[index] = spawn('etcd', [...urls, ...cluster, ...folder, '--log-level', 'error'], { stdio: 'ignore' });
  }

  close(): void {
    for (const member of this.#members) member.kill('SIGKILL');
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
