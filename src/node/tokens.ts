/** The join tokens there are: listed, revoked, and cleaned up some time after they have expired. */
import type { ClusterStore, StoreReader } from '../store/types.ts';
import { decodeRecord, type TokenRecord, tokenKey, tokenPrefix } from './cluster-records.ts';
import { NodeError } from './errors.ts';

/** The clock that counts is that of the member that checks; the leader's may be ahead of it by no more than this. */
const expiredKeptMs = 3_600_000;
/** Deleted in one transaction. */
const deletedAtOnceMax = 128;

export interface TokenView {
  id: string;
  expiresMs: number;
  /** By this member's clock. */
  expired: boolean;
}

export function listTokens(store: StoreReader, nowMs: number): TokenView[] {
  return store.list(tokenPrefix).records.map((record) => {
    const { id, expiresMs } = decodeRecord<TokenRecord>(record.value);
    return { id, expiresMs, expired: expiresMs < nowMs };
  });
}

/** Who joins with it from now on is refused. Throws NodeError 'InvalidToken' when there is none with this id. */
export async function revokeToken(store: ClusterStore, id: string, signal?: AbortSignal): Promise<void> {
  await store.barrier(signal);
  const key = tokenKey(id);
  const found = store.get(key);
  if (!found) throw new NodeError('InvalidToken', `there is no join token ${id}; see: kontiki token list`);
  await store.write({ conditions: [], operations: [{ type: 'delete', key }] }, signal);
}

/** Gives how many were deleted. */
export async function deleteExpiredTokens(store: ClusterStore, nowMs: number, signal: AbortSignal): Promise<number> {
  const expired = listTokens(store, nowMs - expiredKeptMs).filter((token) => token.expired);
  const operations = expired.slice(0, deletedAtOnceMax).map(({ id }) => ({ type: 'delete' as const, key: tokenKey(id) }));
  if (operations.length > 0) await store.write({ conditions: [], operations }, signal);
  return operations.length;
}
