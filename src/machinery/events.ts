/**
 * Tells people what happened, as Events. Recording never throws and never waits: events go through a bounded queue, and when
 * that is full the newest is dropped with a log line. The same event again is counted up on the stored one (count,
 * lastTimestamp), as `kubectl get events` shows it; repeats that come while one waits are sent as one.
 */
import { type Clock, delay } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Client } from './client.ts';
import { events } from './resources.ts';
import { isReason, StatusError } from './status.ts';
import type { KubeObject } from './types.ts';

export interface EventRecorderOptions {
  readonly client: Client;
  /** For example `replicaset-controller`. */
  readonly component: string;
  /** The machine, for components that run on each. */
  readonly host?: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the sending; what is still queued is dropped. */
  readonly signal?: AbortSignal;
}

interface Occurrence {
  about: KubeObject;
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  fieldPath: string | undefined;
  firstMs: number;
  lastMs: number;
  /** Not yet written. */
  count: number;
}

interface Written {
  name: string;
  count: number;
}

const queuedMax = 1_000;
/** Events remembered for counting up. */
const writtenMax = 4_096;
const attemptsMax = 5;
const retryMs = 200;
const messageLengthMax = 1_024;

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #queued = new Map<string, Occurrence>();
  readonly #written = new Map<string, Written>();
  #sending: Promise<void> | undefined;
  #names = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** `fieldPath` names a part of the object, for example `spec.containers{web}`. */
  record(about: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string, fieldPath?: string): void {
    const { clock, logger, signal } = this.#options;
    if (signal?.aborted) return;
    const nowMs = clock.wallMs();
    const text = message.length > messageLengthMax ? `${message.slice(0, messageLengthMax - 3)}...` : message;
    const { uid, namespace, name } = about.metadata;
    const key = JSON.stringify([about.kind, uid ?? `${namespace}/${name}`, type, reason, text, fieldPath]);
    const queued = this.#queued.get(key);
    if (queued) {
      queued.count += 1;
      queued.lastMs = nowMs;
      return;
    }
    if (this.#queued.size >= queuedMax) {
      logger.warn({ reason, name, namespace }, 'event dropped: too many are waiting');
      return;
    }
    this.#queued.set(key, { about, type, reason, message: text, fieldPath, firstMs: nowMs, lastMs: nowMs, count: 1 });
    this.#sending ??= this.#sendAll();
  }

  /** Resolves when everything recorded so far is written or given up. */
  async flush(): Promise<void> {
    while (this.#sending) await this.#sending;
  }

  async #sendAll(): Promise<void> {
    // Callers record in the middle of their own work: let that go on first.
    await Promise.resolve();
    for (const [key, occurrence] of this.#queued) {
      this.#queued.delete(key);
      if (this.#options.signal?.aborted) continue;
      await this.#send(key, occurrence);
    }
    this.#sending = undefined;
  }

  async #send(key: string, occurrence: Occurrence): Promise<void> {
    const { clock, logger, signal } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#write(key, occurrence);
      } catch (error) {
        if (signal?.aborted) return;
        const again = !(error instanceof StatusError) || error.code >= 500 || error.code === 429;
        if (!again || attempt === attemptsMax) {
          // The object's namespace may be going away: then nobody can read the event either.
          logger.debug({ reason: occurrence.reason, name: occurrence.about.metadata.name, error }, 'event given up');
          return;
        }
        try {
          await delay(clock, retryMs * attempt, signal);
        } catch {
          return;
        }
      }
    }
  }

  async #write(key: string, occurrence: Occurrence): Promise<void> {
    const { client, signal } = this.#options;
    const namespace = occurrence.about.metadata.namespace || 'default';
    const options = { namespace, ...(signal ? { signal } : {}) };
    const known = this.#written.get(key);
    if (known) {
      const count = known.count + occurrence.count;
      try {
        await client.patch(events, known.name, 'merge', { count, lastTimestamp: timestamp(occurrence.lastMs) }, options);
        this.#remember(key, { name: known.name, count });
        return;
      } catch (error) {
        if (!isReason(error, 'NotFound')) throw error;
        this.#written.delete(key);
      }
    }
    const name = this.#name(occurrence);
    await client.create(events, { ...this.#body(occurrence), metadata: { name, namespace } }, options);
    this.#remember(key, { name, count: occurrence.count });
  }

  #body(occurrence: Occurrence) {
    const { component, host } = this.#options;
    const { about, fieldPath } = occurrence;
    const { namespace, name, uid, resourceVersion } = about.metadata;
    return {
      involvedObject: {
        apiVersion: about.apiVersion,
        kind: about.kind,
        name,
        ...(namespace ? { namespace } : {}),
        ...(uid ? { uid } : {}),
        ...(resourceVersion ? { resourceVersion } : {}),
        ...(fieldPath ? { fieldPath } : {}),
      },
      type: occurrence.type,
      reason: occurrence.reason,
      message: occurrence.message,
      source: { component, ...(host ? { host } : {}) },
      reportingComponent: component,
      reportingInstance: host ?? '',
      firstTimestamp: timestamp(occurrence.firstMs),
      lastTimestamp: timestamp(occurrence.lastMs),
      count: occurrence.count,
    };
  }

  /** The object's name and a hexadecimal suffix that this recorder gives once. */
  #name(occurrence: Occurrence): string {
    this.#names = (this.#names + 1) % 0x100000;
    const suffix = `${occurrence.firstMs.toString(16)}${this.#names.toString(16).padStart(5, '0')}`;
    return `${occurrence.about.metadata.name.slice(0, 230)}.${suffix}`;
  }

  #remember(key: string, written: Written): void {
    this.#written.delete(key);
    this.#written.set(key, written);
    if (this.#written.size <= writtenMax) return;
    for (const oldest of this.#written.keys()) {
      this.#written.delete(oldest);
      return;
    }
  }
}

function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
