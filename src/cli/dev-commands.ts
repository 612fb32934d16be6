/** `kontiki dev`: a local cluster on one machine, and the ways to hurt it. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { delay, systemClock } from '../lib/clock.ts';
import { createHttpClient } from '../machinery/http-client.ts';
import { nodes } from '../machinery/resources.ts';
import { pathsOf } from '../node/config.ts';
import { CliError } from './errors.ts';
import { importImage } from './image-commands.ts';
import { type BalancerOptions, runBalancer } from './lab/balancer.ts';
import { run } from './lab/commands.ts';
import { diskMiBMax, diskMiBMin, fillDisk, freeDisk } from './lab/disk.ts';
import { createLab, destroyLab, kubeconfigOf, movePeer, startPeer, statusOf, statusWhenReady, stopPeer } from './lab/lab.ts';
import { LabNetwork } from './lab/network.ts';
import { healDisk, slowDisk, slowDiskMsMax } from './lab/slow-disk.ts';
import { stallMainThread } from './lab/stall.ts';
import { isAlive, type LabPeer, type LabState, labDirDefault, labExists, peerOf, pidOf, readLab } from './lab/state.ts';

const readyPatienceMs = 120_000;
const pollMs = 50;
const stallMsMax = 600_000;

interface DirOption {
  dir: string;
}

export function addDevCommands(program: Command): void {
  const dev = program.command('dev').description('a local cluster of several peers on this machine');
  const command = (usage: string, description: string) =>
    dev.command(usage).description(description).option('--dir <folder>', 'folder of the cluster', labDirDefault);

  command('up', 'start a local cluster and wait until its nodes are ready')
    .option('--peers <number>', 'how many peers', '3')
    .option('--disk <MiB>', 'a disk of this size for each peer, in memory, that can be filled')
    .action(up);
  command('down', 'end the local cluster and remove everything that it made').action(async ({ dir }: DirOption) => {
    if (!labExists(dir)) return say(`there is no local cluster in ${resolve(dir)}`);
    await destroyLab(readLab(dir));
    say('removed');
  });
  command('status', 'show the peers').option('-o, --output <format>', 'json').action(status);
  command('kill <peer>', 'kill the daemon and agent of a peer with SIGKILL').action((peer: string, { dir }: DirOption) =>
    kill(dir, peer),
  );
  command('stop <peer>', 'stop a peer cleanly; its containers go on').action(async (peer: string, { dir }: DirOption) => {
    await stopPeer(peerOf(readLab(dir), peer), 'SIGTERM');
  });
  command('start <peer>', 'start a peer that was stopped or killed')
    .option('--join <address>', 'as for kontiki up')
    .option('--token <token>', 'as for kontiki up')
    .action(async (name: string, { dir, join, token }: DirOption & { join?: string; token?: string }) => {
      const state = readLab(dir);
      const peer = peerOf(state, name);
      if (isAlive(peer)) throw new CliError('Usage', `${peer.name} already runs (process ${pidOf(peer)})`);
      startPeer(state, peer, [...(join ? ['--join', join] : []), ...(token ? ['--token', token] : [])]);
      await statusWhenReady(peer);
    });
  command(
    'move <peer> <address>',
    'give a stopped peer another address in 10.77.0.0/24; the load balancer keeps the old one',
  ).action(async (name: string, address: string, { dir }: DirOption) => {
    const state = readLab(dir);
    await movePeer(state, peerOf(state, name), address);
  });
  command('pause <peer>', 'freeze the daemon and agent of a peer').action((peer: string, { dir }: DirOption) =>
    signalTree(dir, peer, 'SIGSTOP'),
  );
  command('resume <peer>', 'let a paused peer go on').action((peer: string, { dir }: DirOption) =>
    signalTree(dir, peer, 'SIGCONT'),
  );
  command('stall <peer> <ms>', "stall the main thread of a peer's daemon, but not its peer thread").action(stall);
  command('fill <peer>', 'fill the disk of a peer, of a cluster that was started with --disk').action(
    (peer: string, { dir }: DirOption) => fillDisk(peerOf(readLab(dir), peer)),
  );
  command('free <peer>', 'undo fill').action((peer: string, { dir }: DirOption) => freeDisk(peerOf(readLab(dir), peer)));
  command('cut <peers>', 'cut peers off: 1,2 from all others, or 1:2 only from each other')
    .option('--one-way', 'the others no longer hear them (2 no longer hears 1), but are heard')
    .action(cut);
  command('slow-disk <peer>', "hold back every sync of a peer's daemon (needs strace)")
    .requiredOption('--ms <number>', 'by how much')
    .action(async (name: string, { dir, ms }: DirOption & { ms: string }) => {
      if (!(Number(ms) > 0 && Number(ms) <= slowDiskMsMax))
        throw new CliError('Usage', `--ms must be a number from 1 to ${slowDiskMsMax}`);
      await slowDisk(peerOf(readLab(dir), name), Number(ms));
    });
  command('heal', 'undo every cut and every slow disk').action(heal);
  command('shell <peer> [command...]', 'a shell, or one command, on the machine of a peer').action(shell);
  const image = dev.command('image').description('container images of every peer');
  image
    .command('import <file>')
    .description('import an OCI or Docker archive into every peer')
    .option('--dir <folder>', 'folder of the cluster', labDirDefault)
    .action(async (file: string, { dir }: DirOption) => {
      const alive = readLab(dir).peers.filter(isAlive);
      await Promise.all(alive.map((peer) => importImage(pathsOf(peer.dataDir).agentSocket, file)));
      say(`imported into ${alive.map((peer) => peer.name).join(', ')}`);
    });
  dev
    .command('balancer <options>', { hidden: true })
    .action((options: string) => runBalancer(JSON.parse(options) as BalancerOptions));
  dev
    .command('stall-here <pid> <ms>', { hidden: true })
    .action((pid: string, ms: string) => stallMainThread(Number(pid), Number(ms)));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function up({ dir, peers, disk }: DirOption & { peers: string; disk?: string }): Promise<void> {
  const count = Number(peers);
  if (!Number.isInteger(count) || count < 1 || count > 15) throw new CliError('Usage', '--peers must be a number from 1 to 15');
  const diskMiB = disk === undefined ? undefined : Number(disk);
  if (diskMiB !== undefined && !(Number.isInteger(diskMiB) && diskMiB >= diskMiBMin && diskMiB <= diskMiBMax))
    throw new CliError('Usage', `--disk must be a number from ${diskMiBMin} to ${diskMiBMax}`);
  if (process.getuid?.() !== 0) throw new CliError('NotRoot', 'a local cluster makes namespaces and cgroups: run it as root');
  const startedMs = systemClock.monotonicMs();
  const report = (line: string) => say(`${((systemClock.monotonicMs() - startedMs) / 1000).toFixed(1).padStart(5)} s  ${line}`);
  const state = await createLab(dir, count, report, diskMiB);
  report('waiting for the nodes to be ready');
  await waitForNodes(state);
  report(`${count} ${count === 1 ? 'node is' : 'nodes are'} ready`);
  say(`\nkubectl --kubeconfig ${kubeconfigOf(state)} get nodes`);
}

/** Through the API, as any client would see it. */
async function waitForNodes(state: LabState): Promise<void> {
  const client = labClient(state);
  const patience = AbortSignal.timeout(readyPatienceMs);
  try {
    for (;;) {
      const { items } = await client.list(nodes, { signal: patience }).catch((error: unknown) => {
        if (patience.aborted)
          throw new CliError('NotReady', `the API did not answer within ${readyPatienceMs / 1000} s`, {}, error);
        return { items: [] };
      });
      const ready = items.filter((node) => node.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True'));
      if (ready.length === state.peers.length) return;
      if (patience.aborted)
        throw new CliError(
          'NotReady',
          `only ${ready.length} of ${state.peers.length} nodes are ready; see ${state.dir}/peer-*/log`,
        );
      await delay(systemClock, pollMs);
    }
  } finally {
    client.close();
  }
}

/** An administrator's client, from the kubeconfig that `dev up` wrote. */
export function labClient(state: LabState): ReturnType<typeof createHttpClient> {
  const text = readFileSync(kubeconfigOf(state), 'utf8');
  const field = (name: string) => Buffer.from(new RegExp(`${name}: (\\S+)`).exec(text)?.[1] ?? '', 'base64').toString();
  return createHttpClient({
    url: `https://127.0.0.1:${state.port}`,
    ca: field('certificate-authority-data'),
    cert: field('client-certificate-data'),
    key: field('client-key-data'),
  });
}

async function status({ dir, output }: DirOption & { output?: string }): Promise<void> {
  const state = readLab(dir);
  const rows = await Promise.all(
    state.peers.map(async (peer) => {
      const answer = isAlive(peer) ? await statusOf(peer) : undefined;
      return {
        name: peer.name,
        pid: pidOf(peer),
        role: answer ? roleOf(answer.consensus.role) : undefined,
        alive: isAlive(peer),
        apiPort: peer.localPort,
      };
    }),
  );
  if (output === 'json') return say(JSON.stringify(rows, null, 2));
  if (output !== undefined) throw new CliError('Usage', '-o takes only json');
  say('NAME      PID       ROLE       ALIVE   API');
  for (const row of rows) {
    const cells = [
      row.name.padEnd(10),
      String(row.pid ?? '-').padEnd(10),
      (row.role ?? '-').padEnd(11),
      String(row.alive).padEnd(8),
    ];
    say(`${cells.join('')}127.0.0.1:${row.apiPort}`);
  }
}

function roleOf(role: string): 'leader' | 'follower' | 'learner' | 'client' {
  return role === 'leader' || role === 'learner' || role === 'client' ? role : 'follower';
}

/** The agent is killed too: kill -9 of a machine's software, its containers go on. */
async function kill(dir: string, name: string): Promise<void> {
  const peer = peerOf(readLab(dir), name);
  const [, ...children] = daemonTree(peer);
  await stopPeer(peer, 'SIGKILL');
  for (const pid of children) trySignal(pid, 'SIGKILL');
}

function signalTree(dir: string, name: string, signal: 'SIGSTOP' | 'SIGCONT'): void {
  const peer = peerOf(readLab(dir), name);
  for (const pid of daemonTree(peer)) trySignal(pid, signal);
}

function trySignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The daemon, and everything that descends from it; monitors and containers do not: they were detached. */
function daemonTree(peer: LabPeer): number[] {
  const daemon = pidOf(peer);
  if (daemon === undefined) throw new CliError('Usage', `${peer.name} does not run`);
  const childrenOf = (pid: number): number[] => {
    try {
      return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  };
  const tree: number[] = [];
  const pending = [daemon];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    tree.push(pid);
    pending.push(...childrenOf(pid));
  }
  return tree;
}

/** Resolves when it is over. */
async function stall(name: string, ms: string, { dir }: DirOption): Promise<void> {
  const state = readLab(dir);
  const peer = peerOf(state, name);
  const pid = pidOf(peer);
  if (pid === undefined) throw new CliError('Usage', `${peer.name} does not run`);
  if (!(Number(ms) > 0 && Number(ms) <= stallMsMax)) throw new CliError('Usage', `<ms> must be a number from 1 to ${stallMsMax}`);
  const { netnsFile } = new LabNetwork(state.id).peer(peer.number);
  const command = [process.execPath, ...process.execArgv, process.argv[1] as string, 'dev', 'stall-here', String(pid), ms];
  await run('nsenter', [`--net=${netnsFile}`, ...command]);
}

async function cut(peers: string, { dir, oneWay }: DirOption & { oneWay?: boolean }): Promise<void> {
  const state = readLab(dir);
  const network = new LabNetwork(state.id);
  const pair = peers.split(':');
  if (pair.length === 2) {
    const [left, right] = pair.map((name) => peerOf(state, name).number) as [number, number];
    if (left === right) throw new CliError('Usage', 'a pair needs two different peers');
    return network.cutPair(left, right, oneWay);
  }
  await network.cut(
    peers.split(',').map((name) => peerOf(state, name).number),
    state.peers.map((peer) => peer.number),
    oneWay,
  );
}

async function heal({ dir }: DirOption): Promise<void> {
  const state = readLab(dir);
  await Promise.all([new LabNetwork(state.id).heal(), ...state.peers.map(healDisk)]);
}

function shell(name: string, command: string[], { dir }: DirOption): Promise<void> {
  const state = readLab(dir);
  const peer = peerOf(state, name);
  const { netnsFile } = new LabNetwork(state.id).peer(peer.number);
  const words = command.length > 0 ? command : [process.env.SHELL ?? '/bin/sh'];
  const env = { ...process.env, KUBECONFIG: kubeconfigOf(state), PS1: `${peer.name}# ` };
  return new Promise((done, reject) => {
    const child = spawn('nsenter', [`--net=${netnsFile}`, ...words], { stdio: 'inherit', env });
    child.on('error', reject);
    child.on('exit', (code) => {
      process.exitCode = code ?? 1;
      done();
    });
  });
}
