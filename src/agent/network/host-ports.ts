/**
 * Ports of the machine that lead into pods: two maps in the table of the pod network, written whole in one transaction
 * whenever they change, so that the kernel never has half of them. Connections that stand are not cut.
 */
import { AgentError } from '../errors.ts';
import type { Executor, HostPortForward } from '../types.ts';
import { tableName } from './masquerade.ts';

const target = 'meta l4proto . th dport';

export class HostPortRules {
  readonly #executor: Executor;

  constructor(executor: Executor) {
    this.#executor = executor;
  }

  /** Exactly these, and no others. The table must be there. */
  async set(forwards: readonly HostPortForward[]): Promise<void> {
    const { exitCode, stderr } = await this.#executor.run('nft', ['-f', '-'], {
      stdin: `${hostPortRules(forwards).join('\n')}\n`,
    });
    if (exitCode !== 0) throw new AgentError('Network', `nft: ${stderr.trim() || `exit code ${exitCode}`}`, { forwards });
  }
}

/** Pure. */
export function hostPortRules(forwards: readonly HostPortForward[]): string[] {
  const of = `ip ${tableName}`;
  const everywhere = forwards.filter(({ hostIp }) => hostIp === undefined);
  const bound = forwards.filter(({ hostIp }) => hostIp !== undefined);
  const key = ({ protocol, hostPort }: HostPortForward) => `${protocol} . ${hostPort}`;
  const value = ({ podIp, port }: HostPortForward) => `${podIp} . ${port}`;
  const elements = (map: string, list: string[]) => (list.length ? [`add element ${of} ${map} { ${list.join(', ')} }`] : []);
  const rules = [
    `dnat ip to ip daddr . ${target} map @host_ports_of`,
    `fib daddr type local dnat ip to ${target} map @host_ports`,
  ];
  return [
    `add table ${of}`,
    `add map ${of} host_ports { type inet_proto . inet_service : ipv4_addr . inet_service; }`,
    `add map ${of} host_ports_of { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }`,
    `add set ${of} host_ports_self { type ipv4_addr . ipv4_addr; }`,
    // Before the chain of services would: a port of the machine belongs to the pod that holds it.
    `add chain ${of} host_ports_in { type nat hook prerouting priority -105; }`,
    `add chain ${of} host_ports_out { type nat hook output priority -105; }`,
    // A pod that comes to itself through the machine would drop its own address as a source.
    `add chain ${of} host_ports_back { type nat hook postrouting priority 95; }`,
    ...['host_ports_in', 'host_ports_out', 'host_ports_back'].map((chain) => `flush chain ${of} ${chain}`),
    ...rules.map((rule) => `add rule ${of} host_ports_in ${rule}`),
    // The loopback's addresses cannot leave the machine, so they cannot reach a pod.
    `add rule ${of} host_ports_out ip daddr 127.0.0.0/8 return`,
    ...rules.map((rule) => `add rule ${of} host_ports_out ${rule}`),
    `add rule ${of} host_ports_back ip saddr . ip daddr @host_ports_self masquerade`,
    `flush map ${of} host_ports`,
    `flush map ${of} host_ports_of`,
    `flush set ${of} host_ports_self`,
    ...elements(
      'host_ports',
      everywhere.map((forward) => `${key(forward)} : ${value(forward)}`),
    ),
    ...elements(
      'host_ports_of',
      bound.map((forward) => `${forward.hostIp} . ${key(forward)} : ${value(forward)}`),
    ),
    ...elements('host_ports_self', [...new Set(forwards.map(({ podIp }) => `${podIp} . ${podIp}`))]),
  ];
}
