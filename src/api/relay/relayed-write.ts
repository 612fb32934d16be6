/**
 * What makes a write that a member relays take effect once, however often it is asked for: its id, which the ids of its transactions
 * begin with. It counts only on the door for members, as the user's name does.
 */
import type { IncomingMessage } from 'node:http';
import { badRequest, type StatusError, serviceUnavailable } from '../../machinery/status.ts';

export const relayedWriteHeader = 'kontiki-write';

export interface RelayedWrite {
  /** Unique; of 1 to 64 characters. */
  id: string;
  /** From 1. A later one: nobody knows what became of those before. */
  attempt: number;
}

export const encodeRelayedWrite = ({ id, attempt }: RelayedWrite): string => `${id} ${attempt}`;

/** Undefined when it has no id. StatusError 400 when that makes no sense. */
export function relayedWrite({ headers }: IncomingMessage): RelayedWrite | undefined {
  const value = headers[relayedWriteHeader];
  if (value === undefined) return undefined;
  const [, id, attempt] = /^([0-9a-f-]{1,64}) ([1-9][0-9]?)$/.exec(String(value)) ?? [];
  if (id === undefined) throw badRequest(`${relayedWriteHeader} makes no sense`);
  return { id, attempt: Number(attempt) };
}

export const unknownFate = (why: string): StatusError =>
  serviceUnavailable(`the machine that was to answer was lost; the request may still have taken effect: ${why}`);

/**
 * The ids of the transactions of one relayed write, of which at most one succeeds: each is used when the former has failed. Whoever
 * takes the write over goes through the same ids.
 */
export class WriteIds {
  /** Tells those apart that have taken the same write over. */
  readonly attempt: number;
  readonly #id: string;
  #next = 0;
  /** What became of the first attempt is to be found out before anything else. */
  unknownFate: boolean;
  /** Another machine may write under the same ids: what was written is what the store says, not what was sent. */
  readonly shared: boolean;

  constructor({ id, attempt }: RelayedWrite) {
    this.#id = id;
    this.attempt = attempt;
    this.unknownFate = attempt > 1;
    this.shared = attempt > 1;
  }

  next(): string {
    return `relayed ${this.#id} ${this.#next++}`;
  }
}
