/** What the cluster keeps about itself in the replicated store, beside the Kubernetes objects. */

/**
 * What an administrator wants of a machine: a place among the voters, none, or that it leaves; 'auto' lets the leader choose.
 */
export type Wanted = 'auto' | 'voter' | 'client' | 'gone';

/**
 * Whether a machine holds the log and the state, or works through those that do (a client). The leader calls a client to hold them
 * and dismisses a machine that is not needed; only the machine itself says 'held' and 'none', when it is so.
 * none → called → held → dismissed → none
 */
export type LogPlace = 'held' | 'dismissed' | 'none' | 'called';

/** A machine that was admitted. Key: memberKey(id). */
export interface MemberRecord {
  id: string;
  nodeName: string;
  /** Multiaddrs of its peer port. */
  addresses: string[];
  apiAddress: string;
  apiPort: number;
  /** Counts the starts of its daemon. */
  incarnation?: number;
  /** Left out: 'auto'. Records of earlier versions say 'learner' for 'client': see `wantedOf`. */
  wanted?: Wanted | 'learner';
  /** Left out: a machine of an earlier version, which always holds the log. */
  log?: LogPlace;
}

export const wantedOf = ({ wanted = 'auto' }: Pick<MemberRecord, 'wanted'>): Wanted => (wanted === 'learner' ? 'client' : wanted);

/** The cluster's own certificate authority. Key: authorityKey. */
export interface AuthorityRecord {
  /** PEM. */
  cert: string;
  key: string;
}

/** A join token. Key: tokenKey(id). */
export interface TokenRecord {
  id: string;
  /** Hex of the SHA-256 of the secret: the key of the join proofs. */
  secretHash: string;
  /** Wall time, milliseconds. */
  expiresMs: number;
}

/** Set once by the founder. Key: settingsKey. */
export interface SettingsRecord {
  clusterId: string;
  podCidr: string;
  serviceCidr: string;
  nodePorts: { from: number; to: number };
}

export const memberPrefix = '/kontiki/members/';
export const memberKey = (id: string) => `${memberPrefix}${id}`;
/** Holds the id of the one member with this name. */
export const nodeNameKey = (nodeName: string) => `/kontiki/node-names/${nodeName}`;
export const authorityKey = '/kontiki/authority';
export const tokenPrefix = '/kontiki/tokens/';
export const tokenKey = (id: string) => `${tokenPrefix}${id}`;
export const settingsKey = '/kontiki/settings';

export function encodeRecord(record: MemberRecord | AuthorityRecord | TokenRecord | SettingsRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

export function decodeRecord<T>(value: Uint8Array): T {
  return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()) as T;
}
