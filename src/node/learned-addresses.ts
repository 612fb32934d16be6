/**
 * Where members were found or say they are, beyond what their records tell: all addresses may change while the cluster is down,
 * and then no record can be written before the peers have found each other. An address is only a place to look for a key. Pure.
 */
import type { Member } from './peer-protocol.ts';

const usable = /^\/(ip4|ip6|dns4|dns6|dns)\/[^/\s]+\/tcp\/\d{1,5}$/;

export class LearnedAddresses {
  readonly #learned = new Map<string, string[]>();
  #hint: string | undefined;

  /** Some member is there. Each is looked for at this address until it has said itself where it is: its key decides. */
  hint(address: string): void {
    this.#hint = address;
  }

  /** True when this is news. */
  learn(peer: string, addresses: readonly string[]): boolean {
    const good = addresses.filter((address) => usable.test(address));
    if (good.length === 0 || good.join() === this.#learned.get(peer)?.join()) return false;
    this.#learned.set(peer, good);
    return true;
  }

  /** The members with what was learned first; forgets who is no member. */
  merge(members: readonly Member[]): Member[] {
    const present = new Set(members.map(({ id }) => id));
    for (const peer of this.#learned.keys()) if (!present.has(peer)) this.#learned.delete(peer);
    const hinted = this.#hint === undefined ? [] : [this.#hint];
    return members.map((member) => ({
      ...member,
      addresses: [...new Set([...(this.#learned.get(member.id) ?? hinted), ...member.addresses])],
    }));
  }
}
