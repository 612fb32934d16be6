/** Clients that follow a group's keys: list, watch, resume where they were on any peer, list again when they are told to. */
import { delay, systemClock } from '../../src/lib/clock.ts';
import type { Random } from '../../src/lib/random.ts';
import { type Caller, foundOf, pathOf } from './clients.ts';
import { isOwnKey, type Notice, type Recorder, type WatchSession } from './history.ts';
import { type ApiClient, ConnectionLost } from './http.ts';

/** A session is over after this many seconds at most, as asked of the server; a silent one is given up somewhat later. */
const sessionSeconds = { least: 2, spread: 12 };
const silencePatienceMs = 4_000;
const failurePauseMs = 250;

export interface WatcherOptions {
  name: string;
  group: number;
  recorder: Recorder;
  random: Random;
  /** By peer, beginning with 0; and who lists through it. */
  peers: { api: ApiClient; caller: Caller }[];
  stop: AbortSignal;
}

export class Watcher {
  readonly #options: WatcherOptions;
  /** Everything up to here has been told to this watcher; undefined: it must list. */
  #position: number | undefined;

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  get position(): number {
    return this.#position ?? 0;
  }

  /** Follows until it is stopped. */
  async run(): Promise<void> {
    const { random, peers, stop } = this.#options;
    while (!stop.aborted) {
      const peer = random.int(peers.length);
      const how = this.#position === undefined ? random.int(3) : 1 + random.int(60);
      // A new beginning, by a list or by what a watch sends first; else from where it was.
      const streamed = how === 0;
      if (this.#position === undefined && !streamed) await this.#list(peer);
      else if (how === 60) this.#position = undefined;
      else await this.#follow(peer, streamed);
    }
  }

  async #list(peer: number): Promise<void> {
    const call = await this.#options.peers[peer]!.caller.call({ kind: 'list', key: '' });
    if (call.outcome === 'done') this.#position = call.revision;
    else await this.#pause();
  }

  async #follow(peer: number, streamed: boolean): Promise<void> {
    const { name, group, recorder, random, peers, stop } = this.#options;
    const seconds = sessionSeconds.least + random.int(sessionSeconds.spread);
    const session: WatchSession = {
      group,
      watcher: name,
      peer: peer + 1,
      after: streamed ? undefined : this.#position,
      notices: [],
      openedMs: recorder.nowMs,
      endedMs: 0,
      end: '',
    };
    recorder.sessions.push(session);
    const given = AbortSignal.any([stop, AbortSignal.timeout(seconds * 1000 + silencePatienceMs)]);
    const from = streamed ? 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan' : `resourceVersion=${this.#position}`;
    const path = `${pathOf(group)}?watch=true&allowWatchBookmarks=true&timeoutSeconds=${seconds}&${from}`;
    try {
      session.end = await this.#read(peers[peer]!.api, path, session, given);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      session.end = `lost: ${error.message}`;
    }
    session.endedMs = recorder.nowMs;
    if (session.end !== 'closed') await this.#pause();
  }

  /** Takes what comes; gives why it ended. */
  async #read(api: ApiClient, path: string, session: WatchSession, signal: AbortSignal): Promise<string> {
    const { code, lines } = await api.lines(path, signal);
    const seenOf = (notice: Notice) => {
      session.notices.push(notice);
      // Initial events come in the order of names: until their end they are no position to go on from.
      if (session.after !== undefined || this.#position !== undefined || notice.type === 'INITIAL_END') {
        this.#position = notice.revision;
      }
    };
    if (code !== 200) {
      for await (const _ of lines);
      return this.#refused(code);
    }
    for await (const line of lines) {
      const { type, object } = JSON.parse(line) as { type: string; object: unknown };
      if (type === 'ERROR') return this.#refused((object as { code: number }).code);
      if (type === 'BOOKMARK') {
        const { annotations = {}, resourceVersion } = (object as Bookmark).metadata;
        const initialEnd = annotations['k8s.io/initial-events-end'] === 'true';
        seenOf({ type: initialEnd ? 'INITIAL_END' : 'BOOKMARK', key: '', value: '', revision: Number(resourceVersion) });
        continue;
      }
      const found = foundOf(object);
      if (isOwnKey(found.key)) seenOf({ type: type as Notice['type'], ...found });
    }
    return 'closed';
  }

  /** 410: list again. 5xx: the peer cannot now, perhaps since it is behind. Throws for what no watcher should ever get. */
  #refused(code: number): string {
    if (code === 410) this.#position = undefined;
    else if (code < 500 && code !== 429) throw new Error(`a watch was answered with ${code}`);
    return `refused: ${code}`;
  }

  #pause(): Promise<void> {
    return delay(systemClock, failurePauseMs, this.#options.stop).catch(() => undefined);
  }
}

interface Bookmark {
  metadata: { resourceVersion: string; annotations?: Record<string, string> };
}
