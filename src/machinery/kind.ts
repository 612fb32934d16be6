/**
 * What a kind is, as a declaration. One file per kind in api/kinds holds one of these; the generic machinery does the rest:
 * routing, discovery, OpenAPI, storage, watches, patches, tables.
 */
import type { StructShape } from './apply/shapes.ts';
import type { FieldError } from './status.ts';
import type { KubeObject, Scale } from './types.ts';

export type Verb = 'create' | 'get' | 'list' | 'watch' | 'update' | 'patch' | 'delete' | 'deletecollection';

export interface KindVersion {
  /** For example `v1`. */
  name: string;
  /** Left out: the kind's own. Another group in which the kind is served as well; never set on the version that is stored. */
  group?: string;
  /** Name of the schema in the generated set, for example `v1.Pod` or `apps.v1.Deployment`. */
  schema: string;
  /** How its fields are owned, for kinds whose schema is not generated. Left out: as the schema says. */
  shape?: StructShape;
  /** Leave out when the form is that of the storage version. */
  toStorage?(object: KubeObject): KubeObject;
  fromStorage?(object: KubeObject): KubeObject;
  /** Sent as a Warning header with every request, for example `extensions/v1beta1 Deployment is deprecated; use apps/v1`. */
  deprecation?: string;
  /** False: objects may be stored in this version, but no client sees it. */
  served?: boolean;
  /** The schema itself, as OpenAPI v3, for kinds whose schema is not generated. */
  openApi?: object;
  /** Reads what a caller sent, for kinds whose schema is not generated. It removes unknown fields, in place, and says which. */
  decode?(object: KubeObject): { unknownFields: string[]; errors: string[] };
}

/** How stored objects become what is served, for kinds whose versions and schemas change while objects are stored. */
export interface StoredForm {
  /** The apiVersion of what is written to the store. Older objects may be stored under another one. */
  storedAs: string;
  /** The apiVersion of what is served. */
  servedAs: string;
  /** Objects of one other version as `apiVersion`, in order. Left out: versions differ by nothing but their name. */
  convert?(objects: KubeObject[], apiVersion: string, signal?: AbortSignal): Promise<KubeObject[]>;
  /** An object of the served version with what its schema now says. The same object when nothing is to be done; never changes it. */
  complete(object: KubeObject): KubeObject;
}

/** One column of `kubectl get`. */
export interface Column<T> {
  name: string;
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  /** 'name' for the name column. */
  format?: string;
  description?: string;
  /** 0 always shown, 1 with -o wide. */
  priority?: 0 | 1;
  /** The cell. `nowMs` is wall time, for ages. */
  cell(object: T, nowMs: number): string | number | boolean | null;
}

/** What a write may ask of its surroundings. All values that are not in the object come from here. */
export interface WriteContext {
  nowMs: number;
  /** True on the first write of an object. */
  creating: boolean;
  /** Who writes, for kinds that record it. */
  user?: { name: string; groups: string[] };
}

export interface StatusWriteContext {
  nowMs: number;
  /** 'status', or one of the kind's `statusSubresources`. */
  subresource: string;
}

export interface ScaleMapping<T> {
  get(object: T): Scale;
  /** Sets the wanted number in place. */
  setReplicas(object: T, replicas: number): void;
}

export interface KindDefinition<T extends KubeObject = KubeObject> {
  group: string;
  kind: string;
  /** Plural, the name in URLs and keys. */
  plural: string;
  singular: string;
  shortNames?: string[];
  categories?: string[];
  namespaced: boolean;
  /** Newest first; the first is preferred and is the one that is stored. */
  versions: [KindVersion, ...KindVersion[]];
  /** Left out: all eight. */
  verbs?: Verb[];
  /** The kind has a status that only `/status` may change (and then nothing else). */
  hasStatus: boolean;
  /** Subresources besides `/status` through which (a part of) the status changes, such as 'approval'. */
  statusSubresources?: string[];
  /** Further subresources that `api` serves for this kind: 'log', 'exec', 'attach', 'portforward', 'binding', 'eviction', … */
  subresources?: string[];
  scale?: ScaleMapping<T>;
  /** A PUT to a name that does not exist creates it. */
  createOnUpdate?: boolean;
  /**
   * The spec-like fields whose change increases metadata.generation. Left out: ['spec']; [] for kinds without generation; 'all' for
   * everything but metadata and a status of its own.
   */
  generationFields?: string[] | 'all';
  /** Left out: objects are stored as they are served. */
  storedForm?: StoredForm;
  /** For kinds that are defined by an object in the store: its key. */
  definitionKey?: string;

  /** Fills in defaults, in place. Runs on every create and update, must be idempotent. */
  setDefaults(object: T): void;
  /** Last changes before validation, in place: drop what the caller may not set. `previous` is missing on create. */
  prepare?(next: T, previous: T | undefined, context: WriteContext): void;
  /** `previous` is there on updates, for kinds that do not complain again about what they let pass before. */
  validate(object: T, previous?: T): FieldError[];
  /** What an object may not have from the start. Runs after `validate`. */
  validateCreate?(object: T): FieldError[];
  /** What may not change. Runs after `validate`. */
  validateUpdate?(next: T, previous: T): FieldError[];
  /** Last changes before `validateStatusUpdate`, in place: put back what this subresource may not change. */
  prepareStatus?(next: T, previous: T, context: StatusWriteContext): void;
  /** Runs on `/status` writes. */
  validateStatusUpdate?(next: T, previous: T): FieldError[];

  /** Marks an object that is asked to go, in place; not called when that was done before. */
  prepareDelete?(object: T, context: { nowMs: number }): void;

  /** Seconds of grace when this object is deleted; 0 or missing: deleted at once. `requested` comes from the caller. */
  gracePeriodSeconds?(object: T, requested: number | undefined): number;
  /** Used when the caller names no propagation policy. Left out: Background. Unsupported: owns nothing, and never waits for what it might own. */
  defaultPropagation?: 'Background' | 'Orphan' | 'Unsupported';

  columns: Column<T>[];
  /** Field selectors besides metadata.name and metadata.namespace. */
  selectableFields?: Record<string, (object: T) => string>;
}

/** The group in which a kind is served at this version. */
export function groupOf({ group }: Pick<KindDefinition, 'group'>, version: KindVersion): string {
  return version.group ?? group;
}
