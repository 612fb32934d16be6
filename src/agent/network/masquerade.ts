/**
 * Pods speak to each other with their own addresses and to the outside with the node's: one nftables table, `ip kontiki`, with
 * the set of all pod ranges as the exception. Every change is one transaction of nft, so there is no moment without rules.
 */
import { AgentError } from '../errors.ts';
import type { Executor } from '../types.ts';

export const tableName = 'kontiki';

export class Masquerade {
  readonly #executor: Executor;

  constructor(executor: Executor) {
    this.#executor = executor;
  }

  /** Makes the rules for this node's range. Ranges of peers that an earlier agent knew stay until `setRanges`. */
  async start(podCidr: string): Promise<void> {
    await this.#apply([
      `add table ip ${tableName}`,
      `add set ip ${tableName} pod_ranges { type ipv4_addr; flags interval; auto-merge; }`,
      `add chain ip ${tableName} pod_masquerade { type nat hook postrouting priority srcnat; }`,
      `flush chain ip ${tableName} pod_masquerade`,
      `add rule ip ${tableName} pod_masquerade ip saddr ${podCidr} ip daddr != @pod_ranges ip daddr != 224.0.0.0/4 counter masquerade`,
      `add element ip ${tableName} pod_ranges { ${podCidr} }`,
    ]);
  }

  /** All pod ranges of the cluster, this node's among them. */
  async setRanges(cidrs: readonly string[]): Promise<void> {
    await this.#apply([`flush set ip ${tableName} pod_ranges`, `add element ip ${tableName} pod_ranges { ${cidrs.join(', ')} }`]);
  }

  async stop(): Promise<void> {
    // Adding first makes the deletion work whether it is there or not.
    await this.#apply([`add table ip ${tableName}`, `delete table ip ${tableName}`]);
  }

  async #apply(lines: readonly string[]): Promise<void> {
    const { exitCode, stderr } = await this.#executor.run('nft', ['-f', '-'], { stdin: `${lines.join('\n')}\n` });
    if (exitCode !== 0) throw new AgentError('Network', `nft: ${stderr.trim() || `exit code ${exitCode}`}`, { lines });
  }
}
