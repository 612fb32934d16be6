/** What the files of the registry share: its surroundings, requests and outcomes. */
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Turns } from '../lib/turns.ts';
import type { DeleteOptions } from '../machinery/client.ts';
import type { NodeHealth } from '../machinery/node-health.ts';
import type { Status } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import type { ClusterStore } from '../store/types.ts';
import type { AdmissionChain } from './admission/chain.ts';
import type { RequestNotes } from './audit/notes.ts';
import type { KindTable, ResolvedKind } from './kind-table.ts';
import type { Access } from './rbac/escalation.ts';
import type { WriteIds } from './relay/relayed-write.ts';
import type { ServiceClaims } from './service-claims.ts';
import type { SharedWrites } from './shared-writes.ts';
import type { ServiceAccountTokens } from './tokens/service-account-tokens.ts';
import type { User } from './types.ts';

export interface RegistryContext {
  store: ClusterStore;
  table: KindTable;
  clock: Clock;
  random: Random;
  nodeHealth: NodeHealth;
  /** Why nothing new may be stored now; left out or undefined: it may. */
  growthRefusal?: (() => string | undefined) | undefined;
  claims: ServiceClaims;
  access: Access;
  tokens: ServiceAccountTokens;
  admission: AdmissionChain;
  shared: SharedWrites;
  /** Work over many objects gives way through it. */
  turns: Turns;
}

/** One resource, or a collection of them, as a URL names it. */
export interface Target {
  resolved: ResolvedKind;
  /** Undefined for cluster-wide kinds, and for collections over all namespaces. */
  namespace: string | undefined;
  user: User;
  signal?: AbortSignal;
  /** Where admission puts what the audit log is to say. Left out: nobody listens. */
  notes?: RequestNotes | undefined;
  /** Of a write that another member relays. Such a request has one write that counts. */
  ids?: WriteIds | undefined;
}

export interface NamedTarget extends Target {
  name: string;
  subresource?: string;
}

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface WriteOptions {
  dryRun: boolean;
  fieldValidation: FieldValidation;
  /** Who owns what this write says, as the caller names it. */
  fieldManager?: string;
  /** Who owns it when the caller names nobody. */
  defaultManager?: string;
  /** Only for apply: take over what others own. */
  force?: boolean;
  /** Texts for Warning headers; the registry adds to it. */
  warnings: string[];
  /** What a strict decoder has found in the text of the body: keys that occur twice. Left out: nothing. */
  complaints?: readonly string[] | undefined;
}

export type DeletionOptions = Omit<DeleteOptions, 'namespace' | 'signal'> & { dryRun?: boolean };

/** The answer to a request for one object, in the version that was asked for. */
export interface Outcome {
  code: 200 | 201;
  object: KubeObject | Status;
  /** The stored bytes of `object` when it is in the storage version, so that it needs no encoding. */
  stored?: { value: Uint8Array; revision: number };
}
