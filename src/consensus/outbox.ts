/** Gathers what one turn of the driver says to each peer and sends it in few frames. */
import { encodeFrame, type WireMessage, wireBytes } from './frames.ts';
import type { ConsensusNetwork, PeerId } from './types.ts';

/** A frame is closed before it would grow past this; only a single larger message makes a larger frame. */
const frameBytesMax = 1 << 20;

export class Outbox {
  readonly #network: ConsensusNetwork;
  readonly #onLost: (to: PeerId, message: WireMessage) => void;
  #messages = new Map<PeerId, WireMessage[]>();

  /** `onLost` hears of each message that the network did not take. It must not send. */
  constructor(network: ConsensusNetwork, onLost: (to: PeerId, message: WireMessage) => void) {
    this.#network = network;
    this.#onLost = onLost;
  }

  add(to: PeerId, message: WireMessage): void {
    const list = this.#messages.get(to);
    if (list) list.push(message);
    else this.#messages.set(to, [message]);
  }

  flush(): void {
    if (this.#messages.size === 0) return;
    const all = this.#messages;
    this.#messages = new Map();
    for (const [to, messages] of all) {
      let frame: WireMessage[] = [];
      let bytes = 0;
      for (const message of messages) {
        const size = wireBytes(message);
        if (frame.length > 0 && bytes + size > frameBytesMax) {
          this.#send(to, frame);
          frame = [];
          bytes = 0;
        }
        frame.push(message);
        bytes += size;
      }
      this.#send(to, frame);
    }
  }

  #send(to: PeerId, frame: WireMessage[]): void {
    if (this.#network.send(to, encodeFrame(frame))) return;
    for (const message of frame) this.#onLost(to, message);
  }
}
