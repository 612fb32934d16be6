/** The network between simulated peers: it loses, doubles, delays and reorders, and is cut whole, in part or in one direction. */
import { decodeMembership } from '../../src/consensus/membership.ts';
import type { Message } from '../../src/consensus/messages.ts';
import type { Membership, PeerId } from '../../src/consensus/types.ts';
import type { Random } from '../../src/lib/random.ts';
import type { Faults } from './faults.ts';
import type { Image } from './machine.ts';

export interface Packet {
  dueTick: number;
  message: Message;
  image: Image | undefined;
}

export class Network {
  readonly #faults: Faults;
  readonly #order: Random;
  readonly #cut = new Set<string>();
  #packets: Packet[] = [];
  calm = false;
  /** How often a link was cut in one direction only. */
  oneWayCuts = 0;

  constructor(faults: Faults) {
    this.#faults = faults;
    this.#order = faults.stream('order');
  }

  /** Memberships on their way: a follower may take one up though the leader that sent it has lost it. */
  get memberships(): Membership[] {
    return this.#packets.flatMap(({ message }) => {
      if (message.type === 'snapshot') return [message.meta.membership];
      if (message.type !== 'append') return [];
      return message.entries.flatMap(({ kind, data }) => (kind === 'membership' ? [decodeMembership(data)] : []));
    });
  }

  get isCut(): boolean {
    return this.#cut.size > 0;
  }

  heal(): void {
    this.#cut.clear();
  }

  /** Returns what was cut, for people. */
  cutSome(ids: readonly PeerId[], leader: PeerId | undefined): string {
    const random = this.#faults.stream('partitions');
    const any = () => ids[random.int(ids.length)]!;
    const what = random.int(5);
    if (what <= 1) {
      const side = new Set(ids.filter(() => random.int(2) === 0));
      for (const from of ids) for (const to of ids) if (side.has(from) !== side.has(to)) this.#cut.add(`${from} ${to}`);
      return `halves: ${[...side]} from the others`;
    }
    if (what === 2) {
      const [a, b] = [leader ?? any(), any()];
      this.#cut.add(`${a} ${b}`).add(`${b} ${a}`);
      return `bridge: ${a} and ${b} see each other only through others`;
    }
    if (what === 3) {
      const peer = random.int(2) === 0 ? (leader ?? any()) : any();
      this.oneWayCuts++;
      const deaf = random.int(2) === 0;
      for (const other of ids) this.#cut.add(deaf ? `${other} ${peer}` : `${peer} ${other}`);
      return deaf ? `${peer} hears nothing` : `${peer} is not heard`;
    }
    this.oneWayCuts++;
    const pairs = Array.from({ length: 1 + random.int(4) }, () => `${any()} ${any()}`);
    for (const pair of pairs) this.#cut.add(pair);
    return `one way: ${pairs}`;
  }

  post(message: Message, image: Image | undefined, tick: number): void {
    const { lossPercent, duplicatesPercent, delayTicksMax } = this.#faults;
    if (this.calm) {
      this.#packets.push({ dueTick: tick + 1, message, image });
      return;
    }
    if (this.#cut.has(`${message.from} ${message.to}`) || this.#faults.percent('loss', lossPercent)) return;
    const copies = this.#faults.percent('duplicates', duplicatesPercent) ? 2 : 1;
    const random = this.#faults.stream('delays');
    for (let n = 0; n < copies; n++) {
      const late = this.#faults.oneIn('delays', 50) ? 40 : delayTicksMax;
      this.#packets.push({ dueTick: tick + random.int(late + 1), message, image });
    }
  }

  again(packet: Packet): void {
    this.#packets.push(packet);
  }

  /** What arrives now, in any order. */
  *due(tick: number): Generator<Packet> {
    const due = this.#packets.filter(({ dueTick }) => dueTick <= tick);
    if (due.length === 0) return;
    this.#packets = this.#packets.filter(({ dueTick }) => dueTick > tick);
    while (due.length > 0) yield due.splice(this.calm ? 0 : this.#order.int(due.length), 1)[0]!;
  }
}
