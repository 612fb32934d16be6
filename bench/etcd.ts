/** Three etcd members on loopback, written to over their JSON gateway, for figures of a peer in the same run. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { delay, systemClock } from '../src/lib/clock.ts';

export class EtcdCluster {
  readonly #dir = mkdtempSync(join(tmpdir(), 'etcd-bench-'));
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256 });
  readonly #members: ChildProcess[];

  static available(): boolean {
    return spawnSync('etcd', ['--version']).status === 0;
  }

  constructor() {
    const peers = [1, 2, 3].map((n) => `m${n}=http://127.0.0.1:${23800 + n}`).join(',');
    this.#members = [1, 2, 3].map((n) => {
      const [client, peer] = [`http://127.0.0.1:${23790 + n}`, `http://127.0.0.1:${23800 + n}`];
      const urls = ['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer];
      const cluster = ['--initial-advertise-peer-urls', peer, '--initial-cluster', peers, '--name', `m${n}`];
      return spawn('etcd', [...urls, ...cluster, '--data-dir', `${this.#dir}/m${n}`, '--log-level', 'error'], {
        stdio: 'ignore',
      });
    });
  }

  async ready(): Promise<void> {
    for (;;) {
      try {
        return await this.put('ready', 'yes');
      } catch {
        await delay(systemClock, 100);
      }
    }
  }

  /** Through the first member. */
  put(key: string, value: string): Promise<void> {
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const body = JSON.stringify({ key: base64(key), value: base64(value) });
    return new Promise((resolve, reject) => {
      const call = request({ port: 23791, path: '/v3/kv/put', method: 'POST', agent: this.#agent }, (response) => {
        response.resume();
        response.on('end', () =>
          response.statusCode === 200 ? resolve() : reject(new Error(`etcd answered ${response.statusCode}`)),
        );
      });
      call.on('error', reject);
      call.end(body);
    });
  }

  close(): void {
    for (const member of this.#members) member.kill('SIGKILL');
    this.#agent.destroy();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
