/**
 * Who is alive, suspect or dead, from heartbeats alone. Pure: the caller brings heartbeats and the time.
 *
 * Each peer tells in its heartbeats how long ago it heard each other peer. What another has heard counts as heard here too,
 * so one bad path accuses nobody; and to call a peer dead, a majority of the others that are alive must have found it
 * silent themselves. Timeouts are stretched when heartbeats get lost on the way (at first that is assumed, until some heartbeats
 * have shown otherwise), and when this peer itself was slow.
 */
import { LocalHealth } from './local-health.ts';
import { MembershipTable } from './membership-table.ts';
import { MessageLoss } from './message-loss.ts';
import type { Heartbeat, MemberView, Verdict } from './types.ts';

export interface FailureDetectorOptions {
  /** This peer: its own heartbeats are not judged. */
  self: string;
  /** How often each peer sends a heartbeat. */
  heartbeatIntervalMs?: number;
  /** How often `tick` is called; a late call is a sign that this peer is slow. */
  tickIntervalMs?: number;
  /** Silence after which a peer is suspected, when all is well here and on the way. */
  suspectAfterMs?: number;
  /** Silence after which it may be called dead. */
  deadAfterMs?: number;
}

export interface VerdictChange {
  peer: string;
  from: Verdict;
  to: Verdict;
  /** Silence that led to it, as seen with the evidence of others. 0 for 'alive'. */
  silenceMs: number;
  /** Peers whose evidence agrees, this one not among them. */
  accusers: string[];
}

/** How unlikely a silence must be by mere loss of messages before it is held against a peer. */
const chanceMax = 1e-6;

/** So long after it was deaf itself, gaps in what a peer hears are no sign of loss. */
const excusedMs = 3_000;

interface Judgement {
  verdict: Verdict;
  accusers: string[];
  /** Since when it is expected to send; counts as heard. */
  expectedMs: number;
  /** When the verdict came about. */
  decidedMs: number;
}

interface Evidence {
  silenceMs: number;
  accusers: string[];
  /** Others that are alive and have something to say about the peer. */
  observers: number;
}

export class FailureDetector {
  readonly table = new MembershipTable();
  readonly #self: string;
  readonly #heartbeatIntervalMs: number;
  readonly #suspectAfterMs: number;
  readonly #deadAfterMs: number;
  readonly #judgements = new Map<string, Judgement>();
  readonly #loss = new MessageLoss();
  readonly #health: LocalHealth;
  #deafMs = Number.NEGATIVE_INFINITY;

  constructor(options: FailureDetectorOptions) {
    this.#self = options.self;
    this.#heartbeatIntervalMs = options.heartbeatIntervalMs ?? 1000;
    this.#suspectAfterMs = options.suspectAfterMs ?? 1500;
    this.#deadAfterMs = options.deadAfterMs ?? 2500;
    this.#health = new LocalHealth(options.tickIntervalMs ?? 250);
  }

  /**
   * The peers that should be sending heartbeats. One that was never heard counts as heard at its first mention, so that it
   * too is found dead in time; those no longer mentioned are forgotten.
   */
  expect(peers: readonly string[], nowMs: number): void {
    const expected = new Set(peers);
    for (const peer of [...this.#judgements.keys(), ...this.table.peers()]) {
      if (expected.has(peer)) continue;
      this.#judgements.delete(peer);
      this.table.remove(peer);
    }
    for (const peer of expected) if (peer !== this.#self) this.#judgement(peer, nowMs);
  }

  /** Takes a heartbeat; a fresh one refutes any suspicion at once. Returns whether it was new, and what it changed. */
  receive(heartbeat: Heartbeat, nowMs: number): { taken: boolean; changes: VerdictChange[] } {
    if (heartbeat.peer === this.#self) return { taken: false, changes: [] };
    const receipt = this.table.receive(heartbeat, nowMs);
    if (!receipt.taken) return { taken: false, changes: [] };
    // What the dead did not send was not lost, nor what came to a peer that was deaf itself.
    const excused = this.verdict(heartbeat.peer) === 'dead' || this.#wasDeaf(nowMs);
    if (!receipt.first) this.#loss.received(excused ? 0 : receipt.missed);
    return { taken: true, changes: this.#decide(heartbeat.peer, 'alive', { silenceMs: 0, accusers: [], observers: 0 }, nowMs) };
  }

  /** Judges everyone. To be called every tickIntervalMs. */
  tick(nowMs: number): VerdictChange[] {
    this.#wasDeaf(nowMs);
    const lateMs = this.#health.tick(nowMs);
    // Deaf for long: what has come in meanwhile is still to be read, before the next tick.
    if (lateMs > this.#suspectAfterMs) return [];
    const factor = this.#health.factor;
    const deadAfterMs = this.#stretched(this.#deadAfterMs) * factor;
    const suspectAfterMs = Math.max(
      this.#suspectAfterMs * factor,
      deadAfterMs - (this.#deadAfterMs - this.#suspectAfterMs) * factor,
    );
    return [...this.#judgements.keys()].flatMap((peer) => {
      const evidence = this.#evidence(peer, nowMs);
      return this.#decide(peer, this.#verdictFor(evidence, suspectAfterMs, deadAfterMs), evidence, nowMs);
    });
  }

  /** What this peer itself has heard, for its own heartbeat: milliseconds since each other peer's last heartbeat. */
  heardMs(nowMs: number): Record<string, number> {
    return Object.fromEntries(this.table.peers().map((peer) => [peer, Math.round(nowMs - this.table.get(peer)!.heardMs)]));
  }

  /** 'alive' for a peer that is not known. */
  verdict(peer: string): Verdict {
    return this.#judgements.get(peer)?.verdict ?? 'alive';
  }

  /** When the present verdict on the peer came about; undefined for a peer that is not known. */
  decidedMs(peer: string): number | undefined {
    return this.#judgements.get(peer)?.decidedMs;
  }

  /** Those that have sent a heartbeat. */
  members(): MemberView[] {
    return this.table.peers().map((peer) => {
      const { heartbeat, heardMs } = this.table.get(peer)!;
      const judgement = this.#judgements.get(peer);
      return { heartbeat, verdict: this.verdict(peer), lastHeardMs: heardMs, accusers: judgement?.accusers ?? [] };
    });
  }

  /** Whether this peer did not run a moment ago. After a pause messages come before the tick that shows it. */
  #wasDeaf(nowMs: number): boolean {
    if (this.#health.silentMs(nowMs) > this.#heartbeatIntervalMs * 2) this.#deafMs = nowMs;
    return nowMs - this.#deafMs <= excusedMs;
  }

  #judgement(peer: string, nowMs: number): Judgement {
    let judgement = this.#judgements.get(peer);
    if (!judgement) {
      judgement = { verdict: 'alive', accusers: [], expectedMs: nowMs, decidedMs: nowMs };
      this.#judgements.set(peer, judgement);
    }
    return judgement;
  }

  /** The silence that mere loss of heartbeats does not explain. */
  #stretched(timeoutMs: number): number {
    return Math.max(timeoutMs, this.#loss.provingCount(chanceMax) * this.#heartbeatIntervalMs);
  }

  #evidence(peer: string, nowMs: number): Evidence {
    let heardMs = this.table.get(peer)?.heardMs ?? this.#judgements.get(peer)!.expectedMs;
    const accusers: string[] = [];
    let observers = 0;
    for (const observer of this.table.peers()) {
      if (observer === peer || this.verdict(observer) === 'dead') continue;
      const report = this.table.get(observer)!;
      const reportedMs = report.heartbeat.heardMs[peer];
      // One that is silent itself has no say, but what it had heard before stays heard.
      if (reportedMs === undefined) continue;
      heardMs = Math.max(heardMs, report.heardMs - reportedMs);
      if (this.verdict(observer) !== 'alive') continue;
      observers++;
      if (reportedMs > this.#suspectAfterMs) accusers.push(observer);
    }
    return { silenceMs: nowMs - heardMs, accusers, observers };
  }

  #verdictFor({ silenceMs, accusers, observers }: Evidence, suspectAfterMs: number, deadAfterMs: number): Verdict {
    if (silenceMs <= suspectAfterMs) return 'alive';
    const agreed = observers === 0 || accusers.length * 2 > observers;
    return silenceMs > deadAfterMs && agreed ? 'dead' : 'suspect';
  }

  #decide(peer: string, to: Verdict, { silenceMs, accusers }: Evidence, nowMs: number): VerdictChange[] {
    const judgement = this.#judgement(peer, nowMs);
    const from = judgement.verdict;
    judgement.accusers = to === 'alive' ? [] : accusers;
    if (from === to) return [];
    // The dead rise when somebody has heard them since: timeouts that are stretched later prove nothing.
    if (from === 'dead' && nowMs - silenceMs <= judgement.decidedMs) return [];
    judgement.verdict = to;
    judgement.decidedMs = nowMs;
    return [{ peer, from, to, silenceMs, accusers: judgement.accusers }];
  }
}
