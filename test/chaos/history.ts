/** What clients did and were told, in the order of one process: that order is the real time which the checks go by. */

/** What a key holds. Every write has a value of its own; the empty text: the key does not exist. */
export type Value = string;

export interface Found {
  value: Value;
  /** resourceVersion of the object. */
  revision: number;
}

export interface Call {
  kind: 'get' | 'list' | 'create' | 'update' | 'delete';
  group: number;
  /** Does one thing at a time; has another number after a call whose outcome it does not know. */
  client: number;
  peer: number;
  /** Empty for a list. */
  key: string;
  /** What an update or delete demands to find. */
  expected?: Found;
  /** What a create or update leaves. */
  value?: Value;
  /** Place in the order of the process; all differ. Infinity: no answer came. */
  calledAt: number;
  answeredAt: number;
  /** Milliseconds since the begin of the run, for people. */
  calledMs: number;
  answeredMs: number;
  /**
   * done: it took effect, or was read. refused: it had no effect, since the object was not as demanded. unknown: a write that may
   * take effect at any time from the call on, or never; a read that told nothing.
   */
  outcome: 'done' | 'refused' | 'unknown';
  /** HTTP status, or what broke. */
  answer: string;
  /** A get's object and a list's objects by key; also what a create or update left. */
  found?: Map<string, Found>;
  /** A list's resourceVersion. */
  revision?: number;
}

/** INITIAL_END: the bookmark behind what was there at the begin. */
export type NoticeType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'INITIAL_END';

export interface Notice {
  type: NoticeType;
  /** Empty for bookmarks. */
  key: string;
  value: Value;
  revision: number;
}

/** One request of a watch and all that came. */
export interface WatchSession {
  group: number;
  watcher: string;
  peer: number;
  /** The resourceVersion asked for; undefined: it began with everything there is. */
  after: number | undefined;
  notices: Notice[];
  openedMs: number;
  endedMs: number;
  /** Why it was over. */
  end: string;
}

/** Keys of a group's namespace that belong to the run; others are the cluster's own. */
export const isOwnKey = (key: string) => /^(key-\d+|end)$/.test(key);

export class Recorder {
  readonly calls: Call[] = [];
  readonly sessions: WatchSession[] = [];
  readonly #beganMs = performance.now();
  #moment = 0;
  #clients = 0;

  /** The next place in the order. */
  tick(): number {
    return ++this.#moment;
  }

  newClient(): number {
    return ++this.#clients;
  }

  get nowMs(): number {
    return Math.round(performance.now() - this.#beganMs);
  }
}
