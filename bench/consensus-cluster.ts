/** Three peers of ours on loopback, each a process of its own, on the disk of the temporary folder. */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MembershipChange } from '../src/consensus/types.ts';
import { generateIdentity } from '../src/transport/index.ts';
import type { PeerOptions } from './consensus-peer.ts';
import type { Contestant } from './contestant.ts';

/** As the launcher starts the daemon. */
const daemonFlags = [
  ...(process.env.FLAGS?.split(' ') ?? []),
  '--max-semi-space-size=2',
  '--disable-warning=ExperimentalWarning',
];
const peerPort = (index: number) => 23_901 + index;
const clientPort = (index: number) => 23_911 + index;

export class ConsensusCluster implements Contestant {
  readonly name = 'kontiki';
  readonly ports = [0, 1, 2].map(clientPort);
  readonly #dir: string;
  readonly #options: PeerOptions[];
  #peers: ChildProcess[] = [];

  private constructor(dir: string, options: PeerOptions[]) {
    this.#dir = dir;
    this.#options = options;
  }

  static async start(): Promise<ConsensusCluster> {
    const dir = mkdtempSync(join(tmpdir(), 'ktk-bench-'));
    const identities = await Promise.all([0, 1, 2].map(() => generateIdentity()));
    const members = identities.map(({ id }, index) => ({
      id,
      addresses: [`/ip4/127.0.0.1/tcp/${peerPort(index)}`],
      nodeName: `p${index}`,
    }));
    const options = identities.map(({ id, privateKey }, index) => ({
      ...{ id, privateKey: Buffer.from(privateKey).toString('base64'), name: `p${index}`, dir: join(dir, `p${index}`) },
      ...{ peerPort: peerPort(index), clientPort: clientPort(index), members, bootstrap: index === 0 },
    }));
    const cluster = new ConsensusCluster(dir, options);
    try {
      for (const { dir: own } of options) mkdirSync(own);
      for (const index of [0, 1, 2]) await cluster.restart(index);
      for (const { id } of members.slice(1)) {
        await cluster.#change({ type: 'addLearner', peer: id });
        await cluster.#change({ type: 'promote', peer: id });
      }
    } catch (error) {
      cluster.close();
      throw error;
    }
    return cluster;
  }

  pid(index: number): number {
    return this.#peers[index]?.pid as number;
  }

  kill(index: number): void {
    this.#peers[index]?.kill('SIGKILL');
  }

  async restart(index: number): Promise<void> {
    const file = fileURLToPath(new URL('./consensus-peer.ts', import.meta.url));
    const peer = fork(file, [JSON.stringify(this.#options[index])], {
      execArgv: daemonFlags,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#peers[index] = peer;
    await answerOf(peer);
  }

  close(): void {
    for (const peer of this.#peers) peer.kill('SIGKILL');
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 5 });
  }

  /** By the first peer, which is the founder; again while the newcomer is not ready. */
  async #change(change: MembershipChange): Promise<void> {
    const founder = this.#peers[0] as ChildProcess;
    for (;;) {
      const answer = answerOf(founder);
      founder.send(change);
      const { error } = await answer;
      if (error === undefined) return;
      if (!/behind|NotReady|not ready|contact/.test(error)) throw new Error(`the membership could not be changed: ${error}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function answerOf(peer: ChildProcess): Promise<{ error?: string }> {
  return new Promise((resolve, reject) => {
    const onExit = () => reject(new Error('a peer ended'));
    peer.once('exit', onExit);
    peer.once('message', (answer) => {
      peer.off('exit', onExit);
      resolve(answer as { error?: string });
    });
  });
}
