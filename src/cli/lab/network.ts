/**
 * The network of a local cluster: one network namespace for each peer, joined by a bridge in a namespace of its own. Nothing of
 * it touches the root namespace. Peers are cut off by rules on the bridge, so that their own network looks healthy to them.
 */
import { existsSync, readdirSync } from 'node:fs';
import { CliError } from '../errors.ts';
import { run } from './commands.ts';

export interface LabPeerNetwork {
  /** Entered by `nsenter --net=FILE`. */
  netnsFile: string;
  address: string;
}

const prefix = '10.77.0';
const bridgeAddress = `${prefix}.254`;

export class LabNetwork {
  readonly #name: string;

  /** `name` is unique for each cluster on this machine: at most 8 characters of [a-z0-9]. */
  constructor(name: string) {
    this.#name = name;
  }

  /** The namespace in which the bridge lives; the load balancer runs in it. */
  get bridgeFile(): string {
    return `/run/netns/${this.#bridge}`;
  }

  get #bridge(): string {
    return `ktk-${this.#name}-br`;
  }

  #namespace(peer: number): string {
    return `ktk-${this.#name}-${peer}`;
  }

  peer(number: number): LabPeerNetwork {
    return { netnsFile: `/run/netns/${this.#namespace(number)}`, address: `${prefix}.${number}` };
  }

  exists(): boolean {
    return existsSync(this.bridgeFile);
  }

  async up(peers: readonly number[]): Promise<void> {
    await run('ip', ['netns', 'add', this.#bridge]);
    await this.#inBridge([
      'link set lo up',
      'link add br0 type bridge',
      `address add ${bridgeAddress}/24 dev br0`,
      'link set br0 up',
    ]);
    await run('ip', ['netns', 'exec', this.#bridge, 'nft', '-f', '-'], emptyCuts);
    for (const peer of peers) await this.#addPeer(peer);
  }

  async #addPeer(number: number): Promise<void> {
    const namespace = this.#namespace(number);
    await run('ip', ['netns', 'add', namespace]);
    await this.#inBridge([
      `link add p${number} type veth peer name eth0 netns ${namespace}`,
      `link set p${number} master br0`,
      `link set p${number} up`,
    ]);
    await batch(namespace, [
      'link set lo up',
      `address add ${prefix}.${number}/24 dev eth0`,
      'link set eth0 up',
      `route add default via ${bridgeAddress}`,
    ]);
  }

  /** Gives a peer another address. Throws CliError when it is not one of the cluster's network. */
  async readdress(number: number, address: string): Promise<void> {
    if (!address.startsWith(`${prefix}.`)) throw new CliError('Usage', `the address must be in ${prefix}.0/24`);
    await batch(this.#namespace(number), [
      'address flush dev eth0 scope global',
      `address add ${address}/24 dev eth0`,
      `route add default via ${bridgeAddress}`,
    ]);
  }

  /** These peers and the rest no longer hear each other; among themselves they do. One way: the rest no longer hears these. */
  async cut(peers: readonly number[], all: readonly number[], oneWay = false): Promise<void> {
    const others = all.filter((peer) => !peers.includes(peer));
    await this.#drop(
      peers.flatMap((peer) => others.map((other) => [peer, other] as const)),
      oneWay,
    );
  }

  /** One way: `right` no longer hears `left`. */
  async cutPair(left: number, right: number, oneWay = false): Promise<void> {
    await this.#drop([[left, right]], oneWay);
  }

  async heal(): Promise<void> {
    await run('ip', ['netns', 'exec', this.#bridge, 'nft', '-f', '-'], emptyCuts);
  }

  /** Leaves no namespace behind; idempotent. Everything inside goes with its namespace. */
  async down(): Promise<void> {
    const listed = await run('ip', ['netns', 'list']);
    const own = listed
      .split('\n')
      .map((line) => line.split(' ')[0] ?? '')
      .filter((name) => name.startsWith(`ktk-${this.#name}-`));
    for (const name of own) await run('ip', ['netns', 'delete', name]);
    // `ip` mounts the folder on itself when it makes the first namespace; the last one takes that away.
    if (own.length > 0 && readdirSync('/run/netns').length === 0) await run('umount', ['/run/netns']);
  }

  async #drop(pairs: (readonly [number, number])[], oneWay: boolean): Promise<void> {
    const directed = oneWay ? pairs : pairs.flatMap(([left, right]) => [[left, right] as const, [right, left] as const]);
    const rules = directed.map(([from, to]) => `"p${from}" . "p${to}"`);
    if (rules.length === 0) return;
    await run('ip', [
      'netns',
      'exec',
      this.#bridge,
      'nft',
      'add',
      'element',
      'bridge',
      'cuts',
      'pairs',
      `{ ${rules.join(', ')} }`,
    ]);
  }

  #inBridge(commands: string[]): Promise<void> {
    return batch(this.#bridge, commands);
  }
}

const emptyCuts = `table bridge cuts
delete table bridge cuts
table bridge cuts {
  set pairs { typeof iifname . oifname; }
  chain forward {
    type filter hook forward priority 0;
    iifname . oifname @pairs drop
  }
}
`;

async function batch(namespace: string, commands: string[]): Promise<void> {
  await run('ip', ['-n', namespace, '-batch', '-'], `${commands.join('\n')}\n`);
}
