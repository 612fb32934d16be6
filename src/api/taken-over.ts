/**
 * A relayed write that another machine has begun, and that is taken over here. Either it has succeeded: then its outcome is the answer,
 * whatever has happened since. Or it never will: the id of its next transaction is used up by one that fails on purpose, and a machine
 * that meets this failure gives the write up.
 */

import { errorCode } from '../lib/errors.ts';
import { conflict, serviceUnavailable } from '../machinery/status.ts';
import type { StoreEvent, TransactionResult } from '../store/types.ts';
import { groupResource } from './kind-table.ts';
import type { NamedTarget, RegistryContext } from './registry-types.ts';
import type { WriteIds } from './relay/relayed-write.ts';
import { prepareRecords, servedRecord } from './served-records.ts';
import { keyOf, objectOf, parseValue, prefixOf } from './stored-objects.ts';
import type { Written } from './write-loop.ts';

/** No record has such a key; the number of the attempt follows. */
const fencePrefix = '/relay/fence/';
/** A write gives up after fewer attempts (write-loop.ts, shared-writes.ts). */
const attemptsMax = 300;

/** What the write has done; undefined: nothing, and it will do nothing any more but what this machine does now. */
export async function firstOutcome(context: RegistryContext, target: NamedTarget, ids: WriteIds): Promise<Written | undefined> {
  const key = `${fencePrefix}${ids.attempt}`;
  for (let count = 0; count < attemptsMax; count++) {
    const fence = { conditions: [{ key, modRevision: 1 }], operations: [], requestId: ids.next() };
    const result = await context.store.write(fence, target.signal);
    if (result.ok) return await writtenAt(context, target, result.revision);
    // What others have fenced off before leads on to what they did then.
    if (result.failed.key === key) return undefined;
  }
  throw conflict(groupResource(target.resolved.kind), target.name);
}

/** Throws StatusError 503 when another machine has taken the write over. */
export function checkFence(result: TransactionResult): void {
  if (result.ok || !result.failed.key.startsWith(fencePrefix)) return;
  throw serviceUnavailable('another machine has taken this request over');
}

/** What the transaction of that revision did to the target, or to the object whose name was made for it. */
export async function writtenAt(context: RegistryContext, target: NamedTarget, revision: number): Promise<Written> {
  const { kind } = target.resolved;
  const own = keyOf(kind, target.namespace, target.name);
  const events = eventsAt(context, prefixOf(kind, target.namespace), revision);
  const event = events.find(({ record }) => record.key === own) ?? events[0];
  if (!event) throw forgotten();
  const removed = event.type === 'delete';
  await prepareRecords(kind, [event.record], target.signal);
  const record = servedRecord(kind, event.record);
  const object = removed ? parseValue(record.value, revision) : objectOf(record);
  return { object, value: record.value, revision, removed, created: !removed && event.previous === undefined };
}

function eventsAt({ store }: RegistryContext, prefix: string, revision: number): readonly StoreEvent[] {
  let found: readonly StoreEvent[] = [];
  try {
    // Past events are delivered before this returns.
    const watch = store.watch(prefix, revision - 1, {
      onEvents: (events) => {
        if (events[0]?.revision === revision) found = events;
      },
      onEnd: () => undefined,
    });
    watch.cancel();
  } catch (error) {
    if (errorCode(error) !== 'Compacted') throw error;
  }
  return found;
}

const forgotten = () => serviceUnavailable('the request has taken effect, but what it did is remembered no more');
