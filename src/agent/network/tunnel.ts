/**
 * The way to pods on other nodes: one VXLAN device without learning (RFC 7348; UDP 8472 as flannel and the kernel's own default).
 * For each peer there are exactly three entries, all known beforehand, so nothing is ever flooded: its MAC behind its node's address
 * (forwarding), its tunnel address at that MAC (neighbour), its pod range by that address (route). A peer's tunnel address is the
 * first of its pod range, its MAC follows from that.
 */
import type { Logger } from '../../lib/logger.ts';
import { formatAddress, macOf, type PodRange, parseAddress, parseRange } from './address.ts';
import type { IpTool } from './ip-tool.ts';

export const tunnelName = 'kontiki.vx';
const vni = 4242;
const port = 8472;

export interface TunnelOptions {
  ip: IpTool;
  logger: Logger;
  mtu: number;
}

export interface Peer {
  nodeName: string;
  nodeIp: string;
  podCidr: string;
}

export class Tunnel {
  readonly #ip: IpTool;
  readonly #logger: Logger;
  readonly #mtu: number;
  /** Pod range → node address, as the kernel has it; undefined when that is not known. */
  #applied: Map<string, string> | undefined;

  constructor({ ip, logger, mtu }: TunnelOptions) {
    this.#ip = ip;
    this.#logger = logger;
    this.#mtu = mtu;
  }

  /** Makes the device, or takes over one that is right. */
  async start(range: PodRange, nodeIp: string): Promise<void> {
    this.#applied = undefined;
    const link = await this.#ip.link(tunnelName);
    const data = link?.linkinfo?.info_data;
    const isRight = link?.address === macOf(range.first) && data?.id === vni && data?.local === nodeIp && data?.port === port;
    if (link && !isRight) await this.#ip.deleteLinks([tunnelName]);
    const address = `${formatAddress(range.first)}/32`;
    await this.#ip.batch([
      ...(isRight
        ? []
        : [
            `link add ${tunnelName} address ${macOf(range.first)} type vxlan id ${vni} local ${nodeIp} dstport ${port} nolearning`,
          ]),
      `link set ${tunnelName} mtu ${this.#mtu} up`,
      `address replace ${address} dev ${tunnelName}`,
    ]);
  }

  /** Brings the kernel from what it has to these peers, in as few commands as that takes. */
  async setPeers(peers: readonly Peer[]): Promise<void> {
    const wanted = new Map<string, string>();
    for (const { nodeName, nodeIp, podCidr } of peers) {
      if (parseAddress(nodeIp) === undefined)
        this.#logger.warn({ nodeName, nodeIp }, 'a node without usable address is left out');
      else wanted.set(parseRange(podCidr).cidr, nodeIp);
    }
    const applied = this.#applied ?? (await this.#readApplied());
    // Unknown again should the commands fail half-way.
    this.#applied = undefined;
    const gone = [...applied].filter(([cidr]) => !wanted.has(cidr));
    const changed = [...wanted].filter(([cidr, nodeIp]) => applied.get(cidr) !== nodeIp);
    const moved = changed.filter(([cidr]) => applied.has(cidr));
    await this.#ip.batch(
      gone.flatMap(([cidr]) => {
        const { tunnelIp } = tunnelOf(cidr);
        return [`route delete ${cidr} dev ${tunnelName}`, `neighbour delete ${tunnelIp} dev ${tunnelName}`];
      }),
    );
    await this.#ip.bridgeBatch([
      ...[...gone, ...moved]
        .filter(([, nodeIp]) => nodeIp !== '')
        .map(([cidr]) => `fdb delete ${tunnelOf(cidr).mac} dev ${tunnelName}`),
      ...changed.map(([cidr, nodeIp]) => `fdb append ${tunnelOf(cidr).mac} dev ${tunnelName} dst ${nodeIp} self permanent`),
    ]);
    await this.#ip.batch(
      changed.flatMap(([cidr]) => {
        const { mac, tunnelIp } = tunnelOf(cidr);
        return [
          `neighbour replace ${tunnelIp} lladdr ${mac} dev ${tunnelName} nud permanent`,
          `route replace ${cidr} via ${tunnelIp} dev ${tunnelName} onlink`,
        ];
      }),
    );
    this.#applied = wanted;
  }

  async stop(): Promise<void> {
    this.#applied = undefined;
    await this.#ip.deleteLinks([tunnelName]);
  }

  /**
   * What an earlier agent left. Only peers whose three entries are all there count; of others the remains are taken away
   * here, so that every later step meets a known state.
   */
  async #readApplied(): Promise<Map<string, string>> {
    const [routes, neighbours, entries] = await Promise.all([
      this.#ip.routes(['dev', tunnelName]),
      this.#ip.neighbours(tunnelName),
      this.#ip.forwardingEntries(tunnelName),
    ]);
    const applied = new Map<string, string>();
    const good = { routes: new Set<string>(), neighbours: new Set<string>(), entries: new Set<string>() };
    for (const { dst: cidr, gateway } of routes) {
      if (!cidr.includes('/')) continue;
      const { mac, tunnelIp } = tunnelOf(cidr);
      const destinations = entries.filter((entry) => entry.mac === mac);
      const nodeIp = destinations.length === 1 ? destinations[0]?.dst : undefined;
      const hasNeighbour = neighbours.some(({ dst, lladdr }) => dst === tunnelIp && lladdr === mac);
      if (gateway !== tunnelIp || !hasNeighbour || !nodeIp) continue;
      applied.set(cidr, nodeIp);
      good.routes.add(cidr);
      good.neighbours.add(tunnelIp);
      good.entries.add(mac);
    }
    await this.#ip.batch([
      ...routes.filter(({ dst }) => !good.routes.has(dst)).map(({ dst }) => `route delete ${dst} dev ${tunnelName}`),
      ...neighbours.filter(({ dst }) => !good.neighbours.has(dst)).map(({ dst }) => `neighbour delete ${dst} dev ${tunnelName}`),
    ]);
    const stray = entries.filter(({ mac, dst }) => dst !== undefined && !good.entries.has(mac));
    await this.#ip.bridgeBatch(stray.map(({ mac, dst }) => `fdb delete ${mac} dev ${tunnelName} dst ${dst}`));
    return applied;
  }
}

function tunnelOf(cidr: string): { mac: string; tunnelIp: string } {
  const { first } = parseRange(cidr);
  return { mac: macOf(first), tunnelIp: formatAddress(first) };
}
