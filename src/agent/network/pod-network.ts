/**
 * The pod network of one node: a bridge that holds the gateway address of the node's range, a veth pair for each pod, a tunnel to the
 * other nodes, masquerading to the outside. All devices are in the network namespace of the agent; what an earlier agent
 * left is taken over as it is, so pods never notice a restart.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Logger } from '../../lib/logger.ts';
import { AgentError } from '../errors.ts';
import type { Executor, HostPortForward, PodNetwork, PodNetworkSetup } from '../types.ts';
import { formatAddress, gatewayOf, macOf, type PodRange, parseAddress, parseRange } from './address.ts';
import { AddressBook } from './address-book.ts';
import { HostPortRules } from './host-ports.ts';
import { IpTool } from './ip-tool.ts';
import { Masquerade } from './masquerade.ts';
import { Tunnel } from './tunnel.ts';

export interface PodNetworkOptions {
  dataDir: string;
  executor: Executor;
  logger: Logger;
  /** Of pods' devices. Default 1,450: an Ethernet frame less the 50 bytes of the tunnel. */
  mtu?: number;
}

export const bridgeName = 'kontiki0';
const devicePrefix = 'ktk';
const mtuDefault = 1_450;

export function createPodNetwork(options: PodNetworkOptions): PodNetwork {
  return new NodePodNetwork(options);
}

/** The node's end of a pod's veth pair: at most 15 characters, the same for every agent. */
export function deviceOf(podUid: string): string {
  return `${devicePrefix}${createHash('sha256').update(podUid).digest('hex').slice(0, 12)}`;
}

class NodePodNetwork implements PodNetwork {
  readonly #logger: Logger;
  readonly #executor: Executor;
  readonly #mtu: number;
  readonly #ip: IpTool;
  readonly #book: AddressBook;
  readonly #tunnel: Tunnel;
  readonly #masquerade: Masquerade;
  readonly #hostPorts: HostPortRules;
  #range: PodRange | undefined;
  #nodeIp = '';
  /** start, setPeers, sweep and stop one after the other; and the changes of each pod likewise. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor({ dataDir, executor, logger, mtu = mtuDefault }: PodNetworkOptions) {
    this.#logger = logger;
    this.#executor = executor;
    this.#mtu = mtu;
    this.#ip = new IpTool(executor);
    this.#book = new AddressBook(join(dataDir, 'network', 'addresses.json'), logger);
    this.#tunnel = new Tunnel({ ip: this.#ip, logger, mtu });
    this.#masquerade = new Masquerade(executor);
    this.#hostPorts = new HostPortRules(executor);
  }

  async start(podCidr: string, nodeIp: string): Promise<void> {
    await this.#turn('node', async () => {
      const range = parseRange(podCidr);
      if (parseAddress(nodeIp) === undefined) throw new AgentError('Network', `not an IPv4 address: ${nodeIp}`, { nodeIp });
      await this.#book.open(range, nodeIp);
      await this.#startBridge(range);
      await this.#tunnel.start(range, nodeIp);
      await this.#setSysctl('/proc/sys/net/ipv4/ip_forward', '1');
      await this.#filterBridgedTraffic();
      await this.#masquerade.start(podCidr);
      this.#range = range;
      this.#nodeIp = nodeIp;
    });
  }

  async setPeers(peers: { nodeName: string; nodeIp: string; podCidr: string }[]): Promise<void> {
    await this.#turn('node', async () => {
      const own = this.#started();
      const others = peers.filter(({ nodeIp, podCidr }) => nodeIp !== this.#nodeIp && podCidr !== own.cidr && podCidr !== '');
      await this.#tunnel.setPeers(others);
      await this.#masquerade.setRanges([own.cidr, ...new Set(others.map(({ podCidr }) => podCidr))]);
    });
  }

  async attach(podUid: string, netnsFile: string): Promise<PodNetworkSetup> {
    return this.#turn(podUid, async () => {
      const range = this.#started();
      const known = this.#book.find(podUid) !== undefined;
      const ip = await this.#book.claim(podUid);
      if (known && (await this.#isAttached(podUid, netnsFile, ip))) return { ip };
      try {
        if (known) await this.#disconnect(podUid, netnsFile);
        await this.#connect(podUid, netnsFile, ip, range);
      } catch (error) {
        // An attempt that was broken off before the address was written down may have left its devices.
        this.#logger.debug({ podUid, error }, 'connecting a pod failed; trying once more from the start');
        await this.#disconnect(podUid, netnsFile);
        await this.#connect(podUid, netnsFile, ip, range);
      }
      return { ip };
    });
  }

  async detach(podUid: string): Promise<void> {
    await this.#turn(podUid, async () => {
      await this.#ip.deleteLinks([deviceOf(podUid)]);
      await this.#book.release(podUid);
    });
  }

  async setHostPorts(forwards: readonly HostPortForward[]): Promise<void> {
    await this.#turn('node', async () => {
      this.#started();
      await this.#hostPorts.set(forwards);
    });
  }

  async sweep(podUids: ReadonlySet<string>): Promise<void> {
    await this.#turn('node', async () => {
      const gone = this.#book.pods().filter((podUid) => !podUids.has(podUid));
      for (const podUid of gone) await this.detach(podUid);
      const wanted = new Set([...podUids].map(deviceOf));
      const stray = (await this.#podDevices()).filter((name) => !wanted.has(name));
      await this.#ip.deleteLinks(stray);
      if (gone.length + stray.length > 0) this.#logger.info({ pods: gone, devices: stray }, 'swept what no pod owns');
    });
  }

  async stop(): Promise<void> {
    await this.#turn('node', async () => {
      this.#range = undefined;
      await this.#book.load();
      await this.#ip.deleteLinks([...(await this.#podDevices()), bridgeName]);
      await this.#tunnel.stop();
      await this.#masquerade.stop();
      for (const [path, value] of Object.entries(this.#book.sysctls)) await this.#executor.check('tee', [path], { stdin: value });
      await this.#book.remove();
    });
  }

  async #startBridge(range: PodRange): Promise<void> {
    const gateway = gatewayOf(range);
    const present = await this.#ip.link(bridgeName);
    const stale = (present?.addr_info ?? []).filter(
      ({ local }) => parseAddress(local) !== undefined && local !== formatAddress(gateway),
    );
    await this.#ip.batch([
      ...(present ? [] : [`link add ${bridgeName} address ${macOf(gateway)} type bridge`]),
      ...stale.map(({ local, prefixlen }) => `address delete ${local}/${prefixlen} dev ${bridgeName}`),
      `link set ${bridgeName} address ${macOf(gateway)} mtu ${this.#mtu} up`,
      `address replace ${formatAddress(gateway)}/${range.prefixBits} dev ${bridgeName}`,
    ]);
  }

  /**
   * Rules for IP must also see frames that only cross the bridge, or a pod that reaches a neighbour by a service address gets the
   * answer from the wrong one.
   */
  async #filterBridgedTraffic(): Promise<void> {
    const path = '/proc/sys/net/bridge/bridge-nf-call-iptables';
    if (await this.#setSysctl(path, '1')) return;
    await this.#executor.run('modprobe', ['br_netfilter']);
    if (!(await this.#setSysctl(path, '1'))) {
      this.#logger.warn({}, 'the kernel lacks br_netfilter: services between pods of one node may fail');
    }
  }

  /** False when the kernel has no such setting. By commands, as the executor's network namespace is the one that counts. */
  async #setSysctl(path: string, value: string): Promise<boolean> {
    const { exitCode, stdout } = await this.#executor.run('cat', [path]);
    if (exitCode !== 0) return false;
    if (stdout.trim() === value) return true;
    await this.#book.rememberSysctl(path, stdout.trim());
    await this.#executor.check('tee', [path], { stdin: value });
    return true;
  }

  async #connect(podUid: string, netnsFile: string, ip: string, range: PodRange): Promise<void> {
    const device = deviceOf(podUid);
    const mac = macOf(parseAddress(ip) ?? 0);
    const gateway = formatAddress(gatewayOf(range));
    const outside = [
      `link add ${device} mtu ${this.#mtu} type veth peer name eth0 address ${mac} mtu ${this.#mtu} netns ${netnsFile}`,
      `link set ${device} master ${bridgeName} up`,
      `link set ${device} type bridge_slave hairpin on`,
    ];
    const inside = [
      'link set lo up',
      `address replace ${ip}/${range.prefixBits} dev eth0`,
      'link set eth0 up',
      `route replace default via ${gateway} dev eth0`,
    ];
    await this.#ip.batches(outside, inside, netnsFile);
  }

  async #disconnect(podUid: string, netnsFile: string): Promise<void> {
    await this.#ip.deleteLinks([deviceOf(podUid)]);
    if (await this.#ip.link('eth0', netnsFile)) await this.#ip.batch(['link delete dev eth0'], netnsFile);
  }

  async #isAttached(podUid: string, netnsFile: string, ip: string): Promise<boolean> {
    const [outside, inside, routes] = await Promise.all([
      this.#ip.link(deviceOf(podUid)),
      this.#ip.link('eth0', netnsFile),
      this.#ip.routes(['default'], netnsFile),
    ]);
    // Carrier on the node's end means that its other end is up; with two halves of different pairs one would be down.
    const isUp = outside?.master === bridgeName && outside.operstate === 'UP' && inside?.operstate === 'UP';
    return isUp && routes.length > 0 && (inside?.addr_info ?? []).some(({ local }) => local === ip);
  }

  async #podDevices(): Promise<string[]> {
    const links = await this.#ip.links();
    return links
      .filter(({ ifname, master }) => ifname.startsWith(devicePrefix) && master === bridgeName)
      .map(({ ifname }) => ifname);
  }

  #started(): PodRange {
    if (!this.#range) throw new AgentError('Network', 'the pod network is not started');
    return this.#range;
  }

  async #turn<T>(key: string, change: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key);
    const done = (async () => {
      await before?.catch(() => {});
      return change();
    })();
    this.#turns.set(key, done);
    try {
      return await done;
    } finally {
      if (this.#turns.get(key) === done) this.#turns.delete(key);
    }
  }
}
