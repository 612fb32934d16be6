/** What the detector's tests share: heartbeats, and a simulated cluster with lossy paths, all from one seed. */

import { FailureDetector, type VerdictChange } from '../../src/gossip/failure-detector.ts';
import type { Heartbeat } from '../../src/gossip/types.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';

const resources = { cpuMilli: 4000, memoryBytes: 8e9, ephemeralStorageBytes: 1e11, pods: 110 };

export function heartbeat(peer: string, sequence: number, change: Partial<Heartbeat> = {}): Heartbeat {
  return {
    peer,
    nodeName: `node-${peer}`,
    incarnation: 1,
    sequence,
    addresses: ['/ip4/10.0.0.1/tcp/7420'],
    capacity: resources,
    allocatable: resources,
    reserved: { cpuMilli: 100, memoryBytes: 1e8, ephemeralStorageBytes: 0, pods: 2 },
    usage: { cpuMilli: 50, memoryBytes: 5e7, load1: 0.25 },
    agentReady: true,
    heardMs: {},
    ...change,
  };
}

export interface SimulatedChange extends VerdictChange {
  observer: string;
  atMs: number;
}

interface Peer {
  name: string;
  detector: FailureDetector;
  incarnation: number;
  sequence: number;
  nextBeatMs: number;
  alive: boolean;
}

const stepMs = 50;
const tickMs = 250;

export class SimulatedCluster {
  readonly changes: SimulatedChange[] = [];
  readonly #random: Random;
  readonly #peers: Peer[];
  readonly #loss: (from: string, to: string) => number;
  readonly #heartbeatMs: number;
  #inFlight: { dueMs: number; to: Peer; heartbeat: Heartbeat }[] = [];
  nowMs = 0;

  constructor(options: { seed: number; size: number; loss: (from: string, to: string) => number; heartbeatMs?: number }) {
    this.#random = seededRandom(options.seed);
    this.#loss = options.loss;
    const heartbeatIntervalMs = options.heartbeatMs ?? 1000;
    this.#heartbeatMs = heartbeatIntervalMs;
    const names = Array.from({ length: options.size }, (_, i) => `p${i}`);
    this.#peers = names.map((name) => {
      const detector = new FailureDetector({ self: name, heartbeatIntervalMs });
      detector.expect(names, 0);
      return { name, detector, incarnation: 1, sequence: 0, nextBeatMs: this.#random.int(heartbeatIntervalMs), alive: true };
    });
  }

  kill(name: string): void {
    this.#peer(name).alive = false;
  }

  /** Its detector knows nothing any more, as after a restart of the daemon. */
  forget(name: string): void {
    const peer = this.#peer(name);
    peer.detector = new FailureDetector({ self: name, heartbeatIntervalMs: this.#heartbeatMs });
    peer.detector.expect(
      this.#peers.map((other) => other.name),
      this.nowMs,
    );
  }

  /** Its daemon starts anew: it knows nothing, and counts from one again. */
  restart(name: string): void {
    const peer = this.#peer(name);
    peer.incarnation++;
    peer.sequence = 0;
    peer.alive = true;
    this.forget(name);
  }

  /** It goes on as it was, like a process that had been stopped. */
  revive(name: string): void {
    this.#peer(name).alive = true;
  }

  verdict(observer: string, peer: string): string {
    return this.#peer(observer).detector.verdict(peer);
  }

  run(durationMs: number): void {
    for (const endMs = this.nowMs + durationMs; this.nowMs < endMs; this.nowMs += stepMs) {
      this.#deliver();
      for (const peer of this.#peers) {
        if (!peer.alive) continue;
        if (this.nowMs >= peer.nextBeatMs) this.#beat(peer);
        if (this.nowMs % tickMs === 0) this.#note(peer, peer.detector.tick(this.nowMs));
      }
    }
  }

  #beat(peer: Peer): void {
    // Timers are never exact.
    peer.nextBeatMs = this.nowMs + this.#heartbeatMs - 20 + this.#random.int(60);
    const beat = heartbeat(peer.name, ++peer.sequence, {
      incarnation: peer.incarnation,
      heardMs: peer.detector.heardMs(this.nowMs),
    });
    for (const to of this.#peers) {
      if (to === peer || this.#random.float() < this.#loss(peer.name, to.name)) continue;
      this.#inFlight.push({ dueMs: this.nowMs + this.#random.int(120), to, heartbeat: beat });
    }
  }

  #deliver(): void {
    const due = this.#inFlight.filter((message) => message.dueMs <= this.nowMs);
    this.#inFlight = this.#inFlight.filter((message) => message.dueMs > this.nowMs);
    for (const { to, heartbeat: beat } of due) {
      if (to.alive) this.#note(to, to.detector.receive(beat, this.nowMs).changes);
    }
  }

  #note(observer: Peer, changes: VerdictChange[]): void {
    for (const change of changes) this.changes.push({ ...change, observer: observer.name, atMs: this.nowMs });
  }

  #peer(name: string): Peer {
    const peer = this.#peers.find((candidate) => candidate.name === name);
    if (!peer) throw new Error(`no peer ${name}`);
    return peer;
  }
}
