/**
 * The cluster key: 256 bits that wrap the keys of sealed values. Every machine keeps it in a file of its own (mode 0600), it is
 * never in the log; a machine that has none is told it by another member, over the transport, which has authenticated both.
 * docs/adr/0008-secrets-at-rest.md has the reasons.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import { delay } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { decodeKeys, encodeKeys, firstKeys, namedBySecret, sealingKeysKey } from '../store/index.ts';
import type { ClusterStore } from '../store/types.ts';
import { decodeRecord, type MemberRecord, memberPrefix } from './cluster-records.ts';
import { readIfExists, writeDurably } from './durable-file.ts';
import { NodeError } from './errors.ts';
import type { AskPeer } from './join.ts';
import { type ClusterKeyAnswer, decodeAnswer, encodeQuestion } from './member-asks.ts';

const keyBytes = 32;
const roundMs = 500;
const warnEveryRounds = 20;

/** Undefined when there is no such file, or it holds something else. */
export function readClusterKey(file: string): Buffer | undefined {
  const key = Buffer.from(readIfExists(file)?.trim() ?? '', 'base64');
  return key.length === keyBytes ? key : undefined;
}

export function writeClusterKey(file: string, key: Buffer): void {
  writeDurably(file, `${key.toString('base64')}\n`);
}

export interface ClusterKeyOptions {
  /** Where this machine keeps it. */
  file: string;
  store: ClusterStore;
  ownId: string;
  ask: AskPeer;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

/**
 * Resolves when this machine has the key that the cluster uses; the first machine that asks for one makes it. Waits for a member
 * that can tell it. Throws NodeError 'ClusterKeyMissing' when this machine is alone and has another key or none.
 */
export async function openClusterKey(options: ClusterKeyOptions): Promise<Buffer> {
  const { file, store, clock, logger, signal } = options;
  for (let round = 0; ; round++) {
    const own = readClusterKey(file);
    const record = store.get(sealingKeysKey);
    if (record) {
      const { clusterKey } = decodeKeys(record.value);
      if (own && namedBySecret(own).id === clusterKey) return own;
      const told = await tell(options, clusterKey);
      if (told) {
        writeClusterKey(file, told);
        return told;
      }
      if (round % warnEveryRounds === 0) logger.warn({ clusterKey }, 'waiting for a member that tells the cluster key');
    } else {
      await makeFirst(options, own);
      if (store.get(sealingKeysKey)) continue;
    }
    await delay(clock, roundMs, signal);
  }
}

/** In the file before anything is sealed with it. When another machine was first, the next round asks that one. */
async function makeFirst({ file, store, logger, signal }: ClusterKeyOptions, own: Buffer | undefined): Promise<void> {
  try {
    await store.barrier(signal);
    if (store.get(sealingKeysKey)) return;
    const key = own ?? randomBytes(keyBytes);
    if (!own) writeClusterKey(file, key);
    const value = encodeKeys(firstKeys(key));
    await store.write(
      { conditions: [{ key: sealingKeysKey, modRevision: 0 }], operations: [{ type: 'put', key: sealingKeysKey, value }] },
      signal,
    );
  } catch (error) {
    if (signal.aborted) throw error;
    logger.warn({ error }, 'the first key of secrets could not be stored yet');
  }
}

/** The key of that name, from any other member. */
async function tell({ file, store, ownId, ask, logger }: ClusterKeyOptions, name: string): Promise<Buffer | undefined> {
  const members = store.list(memberPrefix).records.map(({ value }) => decodeRecord<MemberRecord>(value));
  const others = members.filter(({ id }) => id !== ownId);
  if (others.length === 0) {
    throw new NodeError(
      'ClusterKeyMissing',
      `secrets are encrypted with the cluster key ${name}, which is not in ${file}: put a copy there, see docs/RECOVERY.md`,
    );
  }
  for (const { id, addresses } of others) {
    for (const address of addresses) {
      try {
        const { from, answer } = await ask(address, encodeQuestion({ type: 'cluster-key' }));
        if (from !== id) continue;
        const key = Buffer.from(decodeAnswer<ClusterKeyAnswer>('cluster-key', answer)?.key ?? '', 'base64');
        if (key.length === keyBytes && namedBySecret(key).id === name) return key;
      } catch (error) {
        logger.debug({ address, reason: errorMessage(error) }, 'a member could not be asked for the cluster key');
      }
    }
  }
  return undefined;
}
