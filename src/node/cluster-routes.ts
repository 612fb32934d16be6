/**
 * What a machine that holds the state does for those that do not: calls of its control socket that come over the transport, from
 * members only. They are about the cluster, not about this machine.
 */
import { type Clock, delay } from '../lib/clock.ts';
import { deferred } from '../lib/deferred.ts';
import type { ClusterStore, StoreReader } from '../store/types.ts';
import { announceAway, announceBack } from './away.ts';
import {
  type AuthorityRecord,
  authorityKey,
  decodeRecord,
  type LogPlace,
  type MemberRecord,
  memberPrefix,
  type SettingsRecord,
  settingsKey,
} from './cluster-records.ts';
import type { ControlRoutes } from './control-server.ts';
import { NodeError } from './errors.ts';
import type { MemberAsks } from './member-asks.ts';
import { putOwnFacts, setLogPlace } from './member-record.ts';
import type { Member } from './peer-protocol.ts';

/** A storm of changes is told as one. */
const newsEveryMs = 250;

export interface ClusterFacts {
  settings: SettingsRecord;
  authority: AuthorityRecord;
}

/** The members as they are now; `index` is an entry of the log that is committed, and in which nothing newer is said. */
export interface MemberNews {
  index: number;
  members: Member[];
}

export interface ClusterRoutesOptions {
  store: ClusterStore;
  /** The last entry that the store holds. */
  applied: () => number;
  asks: MemberAsks;
  clock: Clock;
}

export function clusterRoutes({ store, applied, asks, clock }: ClusterRoutesOptions): ControlRoutes {
  return {
    'GET /cluster': async (): Promise<ClusterFacts> => {
      const [settings, authority] = [store.get(settingsKey), store.get(authorityKey)];
      if (!settings || !authority) throw new NodeError('NotAMember', 'this machine has not joined its cluster yet');
      return { settings: decodeRecord(settings.value), authority: decodeRecord(authority.value) };
    },
    'GET /cluster/members': async (_body, signal) => {
      // Without it, a machine could be told to begin a log that it was told to drop.
      await store.barrier(signal);
      return memberNews(store, applied, clock, signal);
    },
    'POST /cluster/record': async (body, signal) => {
      await store.barrier(signal);
      return { known: await putOwnFacts(store, (body as { record: MemberRecord }).record, signal) };
    },
    'POST /cluster/log': async (body, signal) => {
      const { id, from, to } = body as { id: string; from: LogPlace; to: LogPlace };
      await store.barrier(signal);
      return { done: await setLogPlace(store, id, [from], to, signal) };
    },
    'POST /cluster/away': async (body, signal) => {
      const { nodeName, away } = body as { nodeName: string; away: boolean };
      await (away ? announceAway(store, nodeName, clock, signal) : announceBack(store, nodeName, signal));
      return {};
    },
    'POST /cluster/ask': async (body) => {
      const { asked, from, request } = body as { asked: string; from: string; request: string };
      const answer = await asks.answerFor(asked, from, Buffer.from(request, 'base64'));
      return { answer: Buffer.from(answer).toString('base64') };
    },
  };
}

export function membersOf(store: StoreReader): Member[] {
  return store.list(memberPrefix).records.map((record) => {
    const { id, addresses, nodeName, log } = decodeRecord<MemberRecord>(record.value);
    return { id, addresses, nodeName, log };
  });
}

/** A line of JSON now, and one after each change, as long as the asker stays. */
async function* memberNews(
  store: ClusterStore,
  applied: () => number,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let changed = deferred<void>();
  let over = false;
  const watch = store.watch(memberPrefix, store.revision, {
    onEvents: () => changed.resolve(),
    onEnd: () => {
      over = true;
      changed.resolve();
    },
  });
  const stop = () => changed.resolve();
  signal.addEventListener('abort', stop, { once: true });
  try {
    while (!signal.aborted && !over) {
      const news: MemberNews = { index: applied(), members: membersOf(store) };
      yield Buffer.from(`${JSON.stringify(news)}\n`);
      await changed.promise;
      changed = deferred();
      if (over || signal.aborted) return;
      await delay(clock, newsEveryMs, signal).catch(() => undefined);
    }
  } finally {
    watch.cancel();
    signal.removeEventListener('abort', stop);
  }
}
