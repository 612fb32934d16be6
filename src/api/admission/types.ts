/** What admission is: questions about a write that authorization cannot answer from its URL alone, and changes to it. */
import type { KubeObject } from '../../machinery/types.ts';
import type { Condition, Operation } from '../../store/types.ts';
import type { AdmissionNotes } from '../audit/notes.ts';
import type { DeletionOptions, NamedTarget, RegistryContext, WriteOptions } from '../registry-types.ts';
import type { Charge } from '../shared-writes.ts';

/** One write on its way to the store, or one connection to a pod. */
export interface AdmissionRequest {
  operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  /** The resource, its subresource when one is written, and who writes. */
  target: NamedTarget;
  /**
   * What shall be, in the storage version; `mutate` changes it in place or puts another in its place. For a subresource with
   * a form of its own (Scale, Binding, Eviction, TokenRequest) that form. Undefined for DELETE.
   */
  object: KubeObject | undefined;
  /** What is; shared, never change it. Undefined for CREATE and CONNECT. */
  oldObject: KubeObject | undefined;
  dryRun: boolean;
  /** Of the caller, as far as admission is told of them. */
  options: Partial<WriteOptions> | DeletionOptions;
  /** Texts for Warning headers; plugins add to it. */
  warnings: string[];
  /** For the audit log. */
  notes: AdmissionNotes;
  /** Set by a plugin that has changed the object so that all others should see it once more; the chain does that once. */
  again?: boolean;
  /** Goes to the store with the write, in the same transaction. Plugins add to it in `validate`. */
  with: { conditions: Condition[]; operations: Operation[]; charges: Charge[] };
}

/**
 * One rule or change. Its methods may be called several times for one write, each time on fresher state, and must have no
 * effect but on the request. They throw StatusError to refuse.
 */
export interface AdmissionPlugin {
  /** As Kubernetes names it. */
  name: string;
  handles(request: AdmissionRequest): boolean;
  /**
   * True when a decision about this target costs so much that it is not to be asked for on state that may be old: then the
   * write begins with a barrier, and what the plugin says the first time counts.
   */
  needsRecent?(target: NamedTarget): boolean;
  /** Runs before the object is defaulted for the last time and validated. */
  mutate?(request: AdmissionRequest, context: RegistryContext): void | Promise<void>;
  /** Runs on the object as it would be stored. */
  validate?(request: AdmissionRequest, context: RegistryContext): void | Promise<void>;
}
