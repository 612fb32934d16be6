/**
 * iproute2 through the executor. `ip -batch` does many changes for the price of one process. Everything happens in the network namespace
 * of the agent, unless a namespace file is given; those are entered by nsenter, because `ip -netns` also changes mounts.
 */
import { AgentError } from '../errors.ts';
import type { Executor } from '../types.ts';

export interface Link {
  ifname: string;
  address?: string;
  mtu?: number;
  master?: string;
  operstate?: string;
  addr_info?: { local: string; prefixlen: number }[];
  linkinfo?: { info_kind?: string; info_data?: Record<string, unknown> };
}

export class IpTool {
  readonly #executor: Executor;

  constructor(executor: Executor) {
    this.#executor = executor;
  }

  /** All lines or an error; what came before a failing line has happened. AgentError 'Network'. */
  async batch(lines: readonly string[], netnsFile?: string): Promise<void> {
    if (lines.length > 0) await this.#run('ip', ['-batch', '-'], `${lines.join('\n')}\n`, netnsFile);
  }

  /** First here, then in the namespace; for the price of one process from the agent's side. */
  async batches(lines: readonly string[], insideLines: readonly string[], netnsFile: string): Promise<void> {
    const script = 'printf %s "$0" | ip -batch - || exit; printf %s "$1" | nsenter --net="$2" ip -batch -';
    const texts = [lines, insideLines].map((list) => `${list.join('\n')}\n`);
    await this.#run('sh', ['-c', script, ...texts, netnsFile], undefined);
  }

  /** The same for forwarding entries. */
  async bridgeBatch(lines: readonly string[]): Promise<void> {
    if (lines.length > 0) await this.#run('bridge', ['-batch', '-'], `${lines.join('\n')}\n`, undefined);
  }

  /** The device with its addresses; undefined when there is none of that name. */
  async link(name: string, netnsFile?: string): Promise<Link | undefined> {
    const links = await this.links(netnsFile);
    return links.find(({ ifname }) => ifname === name);
  }

  async links(netnsFile?: string): Promise<Link[]> {
    return parse<Link>(await this.#run('ip', ['-j', '-d', 'address', 'show'], undefined, netnsFile));
  }

  async routes(args: readonly string[], netnsFile?: string): Promise<{ dst: string; gateway?: string }[]> {
    return parse(await this.#run('ip', ['-j', '-4', 'route', 'show', ...args], undefined, netnsFile));
  }

  async neighbours(device: string): Promise<{ dst: string; lladdr?: string }[]> {
    return parse(await this.#run('ip', ['-j', '-4', 'neighbour', 'show', 'dev', device], undefined));
  }

  async forwardingEntries(device: string): Promise<{ mac: string; dst?: string }[]> {
    return parse(await this.#run('bridge', ['-j', 'fdb', 'show', 'dev', device], undefined));
  }

  /** Deletes devices; those that are gone already are fine. */
  async deleteLinks(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const stdin = `${names.map((name) => `link delete dev ${name}`).join('\n')}\n`;
    // A pod's device goes by itself with its namespace, perhaps right now: -force goes on after such a line.
    const { exitCode, stderr } = await this.#executor.run('ip', ['-force', '-batch', '-'], { stdin });
    if (exitCode === 0) return;
    const left = (await this.links()).map(({ ifname }) => ifname).filter((name) => names.includes(name));
    if (left.length > 0) throw new AgentError('Network', `cannot delete ${left.join(', ')}: ${stderr.trim()}`, { names: left });
  }

  async #run(command: string, args: readonly string[], stdin: string | undefined, netnsFile?: string): Promise<string> {
    const full = netnsFile === undefined ? [command, ...args] : ['nsenter', `--net=${netnsFile}`, command, ...args];
    const { exitCode, stdout, stderr } = await this.#executor.run(full[0]!, full.slice(1), { stdin });
    if (exitCode === 0) return stdout;
    throw new AgentError('Network', `${command}: ${stderr.trim() || `exit code ${exitCode}`}`, {
      command,
      args,
      stdin,
      exitCode,
    });
  }
}

/** iproute2 prints nothing, or empty objects, where there is nothing to say. */
function parse<T extends object>(text: string): T[] {
  const items = text.trim() === '' ? [] : (JSON.parse(text) as T[]);
  return items.filter((item) => Object.keys(item).length > 0);
}
