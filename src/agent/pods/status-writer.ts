/**
 * Writes one pod's status to the API: only when it changed, one write at a time, always the newest. While the API is away it
 * keeps trying; what became old in the meantime is never sent. If somebody else changed our part, it is written again.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Clock, delay, type Timer } from '../../lib/clock.ts';
import { type Deferred, deferred } from '../../lib/deferred.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Client } from '../../machinery/client.ts';
import { pods } from '../../machinery/resources.ts';
import { isReason, StatusError } from '../../machinery/status.ts';
import type { Pod, PodStatus } from '../../machinery/types.ts';
import { resizeConditions } from './resize.ts';
import { terminationByAgent } from './status.ts';

export interface StatusWriterOptions {
  client: Client;
  clock: Clock;
  logger: Logger;
  pod: Pod;
  /** Also only ours. */
  conditions?: readonly string[];
  /** Ends the writing. */
  signal: AbortSignal;
}

const retryMsMin = 100;
const retryMsMax = 5_000;
/** How long a status that says only that containers are being made waits for the next, which is mostly the one that matters. */
const passingMs = 500;
const passingReasons: readonly (string | undefined)[] = ['ContainerCreating', 'PodInitializing'];
/** Conditions that only the agent writes. */
const agentConditions = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', ...resizeConditions];

/** DisruptionTarget belongs to whoever makes the pod go. */
function ownConditions({ conditions }: PodStatus, always: readonly string[]): readonly string[] {
  const evicted = conditions?.some(({ type, reason }) => type === 'DisruptionTarget' && reason === terminationByAgent);
  return evicted ? [...always, 'DisruptionTarget'] : always;
}

function isPassing({ phase, containerStatuses = [], initContainerStatuses = [] }: PodStatus): boolean {
  const all = [...initContainerStatuses, ...containerStatuses];
  return phase === 'Pending' && all.length > 0 && all.every(({ state }) => passingReasons.includes(state?.waiting?.reason));
}

export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #own: readonly string[];
  #wanted: PodStatus | undefined;
  /** What the API holds, as far as we know. */
  #stored: PodStatus | undefined;
  #storedVersion = 0n;
  #gone = false;
  /** While it runs, a passing status waits. */
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #idle: Deferred<void>[] = [];

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#own = [...agentConditions, ...(options.conditions ?? [])];
    this.observe(options.pod);
  }

  set(status: PodStatus): void {
    this.#wanted = status;
    if (isPassing(status)) this.#timer ??= this.#options.clock.setTimer(passingMs, () => this.#kickNow());
    else this.#kickNow();
  }

  #kickNow(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#kick();
  }

  /** The pod as a watch delivered it: shows whether somebody else changed the status. */
  observe(pod: Pod): void {
    const version = versionOf(pod);
    if (version <= this.#storedVersion) return;
    this.#storedVersion = version;
    this.#stored = pod.status ?? {};
    this.#kick();
  }

  /** The pod is no longer in the API: nothing is written any more. */
  forget(): void {
    this.#gone = true;
    this.#settle();
  }

  /** Resolves when the newest status is stored, or the pod is gone. */
  async flushed(signal: AbortSignal): Promise<void> {
    if (this.#settled()) return;
    const idle = deferred<void>();
    this.#idle.push(idle);
    const onAbort = () => idle.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await idle.promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #settled(): boolean {
    return this.#gone || !this.#wanted || !differs(this.#wanted, this.#stored, this.#own);
  }

  #settle(): void {
    if (!this.#settled()) return;
    for (const idle of this.#idle.splice(0)) idle.resolve();
  }

  #kick(): void {
    if (this.#writing || this.#timer || this.#options.signal.aborted) return;
    this.#settle();
    if (this.#settled()) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
      this.#settle();
      if (!this.#settled()) this.#kick();
    });
  }

  async #write(): Promise<void> {
    const { client, clock, logger, pod, signal } = this.#options;
    const { name, namespace, uid } = pod.metadata;
    let waitMs = retryMsMin;
    while (!signal.aborted && !this.#settled()) {
      const status = this.#wanted!;
      try {
        const body = { metadata: { uid }, status: patchOf(status, this.#stored, this.#own) };
        const stored = await client.patch(pods, name, 'strategic', body, { namespace, subresource: 'status', signal });
        const version = versionOf(stored);
        if (version >= this.#storedVersion) {
          this.#storedVersion = version;
          // Remembered as sent: a server that shapes values its own way must not make us send them forever.
          this.#stored = { ...stored.status, ...status, conditions: stored.status?.conditions ?? status.conditions };
        }
        waitMs = retryMsMin;
      } catch (error) {
        if (signal.aborted) return;
        // Another pod has the name by now, or none.
        if (isReason(error, 'NotFound') || isReason(error, 'Conflict')) {
          this.#gone = true;
          return;
        }
        const refused = error instanceof StatusError && error.code < 500 && error.code !== 429;
        logger[refused ? 'warn' : 'debug']({ pod: `${namespace}/${name}`, error }, 'pod status not written, trying again');
        if (refused) waitMs = Math.max(waitMs, retryMsMax / 5);
        await delay(clock, waitMs, signal).catch(() => undefined);
        waitMs = Math.min(waitMs * 2, retryMsMax);
      }
    }
  }
}

function versionOf(pod: Pod): bigint {
  return /^\d+$/.test(pod.metadata.resourceVersion ?? '') ? BigInt(pod.metadata.resourceVersion!) : 0n;
}

const ownFields = [
  'phase',
  'reason',
  'message',
  'podIP',
  'podIPs',
  'hostIP',
  'hostIPs',
  'startTime',
  'containerStatuses',
  'initContainerStatuses',
  'ephemeralContainerStatuses',
] as const; // prettier-ignore

/** JSON knows no `undefined`: absent and undefined are the same. */
const plain = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));

function differs(wanted: PodStatus, stored: PodStatus | undefined, always: readonly string[]): boolean {
  if (!stored) return true;
  for (const field of ownFields) if (!isDeepStrictEqual(plain(wanted[field]), plain(stored[field]))) return true;
  return ownConditions(wanted, always).some((type) => {
    const mine = wanted.conditions?.find((condition) => condition.type === type);
    const theirs = stored.conditions?.find((condition) => condition.type === type);
    return mine?.status !== theirs?.status || mine?.reason !== theirs?.reason || mine?.message !== theirs?.message;
  });
}

/** The fields that are ours; those that went are nulls, and lists merged by key are replaced when an entry went. */
function patchOf(status: PodStatus, stored: PodStatus | undefined, always: readonly string[]): Record<string, unknown> {
  const own = ownConditions(status, always);
  const gone = (stored?.conditions ?? []).filter(
    ({ type }) => own.includes(type) && !status.conditions?.some((condition) => condition.type === type),
  );
  const patch: Record<string, unknown> = {
    ...status,
    conditions: [
      ...(status.conditions ?? [])
        .filter(({ type }) => own.includes(type))
        .map((condition) => ({ reason: null, message: null, ...condition })),
      ...gone.map(({ type }) => ({ type, $patch: 'delete' })),
    ],
  };
  for (const field of ownFields) if (status[field] === undefined && stored?.[field] !== undefined) patch[field] = null;
  for (const field of ['podIPs', 'hostIPs'] as const) {
    const kept = new Set((status[field] ?? []).map(({ ip }) => ip));
    if (status[field] && stored?.[field]?.some(({ ip }) => !kept.has(ip))) {
      patch[field] = [{ $patch: 'replace' }, ...status[field]];
    }
  }
  return patch;
}
