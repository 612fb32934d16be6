/**
 * Who owns which field, kept with every write: the registry's side of machinery/apply. Objects that carry no record (written
 * before there was one, or reset by their owner) get one with the next apply.
 */
import { isDeepStrictEqual } from 'node:util';
import { decodeEntries, type ManagedEntry, managerComplaint, type Owner } from '../machinery/apply/managers.ts';
import { type Form, type Forms, trackUpdate, type WriteFacts } from '../machinery/apply/ownership.ts';
import { shapeOf } from '../machinery/apply/shapes.ts';
import type { PatchType } from '../machinery/client.ts';
import type { KindDefinition, KindVersion } from '../machinery/kind.ts';
import { type FieldError, invalid } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import { apiVersionOf, statusSubresourcesOf } from './kind-table.ts';
import { timestamp } from './object-metadata.ts';
import type { NamedTarget, RegistryContext, WriteOptions } from './registry-types.ts';
import { fromStorage, toStorage } from './stored-objects.ts';

/**
 * The entries for `next`, which is in the storage version and not yet stored. `current` is undefined for a new object;
 * `given` is what the caller sent as managedFields.
 */
export type Track = (current: KubeObject | undefined, next: KubeObject, given: unknown) => readonly unknown[];

interface KindForm extends Form {
  version: KindVersion;
}

/** The versions of a kind; those that only rename the apiVersion share the form of the stored one, as do unknown ones. */
class KindForms implements Forms {
  readonly stored: KindForm;
  readonly #kind: KindDefinition;
  readonly #forms = new Map<string, KindForm>();

  constructor(kind: KindDefinition) {
    this.#kind = kind;
    this.stored = formOf(kind.versions[0]);
    for (const version of kind.versions) {
      const converts = version.toStorage !== undefined || version.fromStorage !== undefined;
      this.#forms.set(apiVersionOf({ kind, version }), converts ? formOf(version) : this.stored);
    }
  }

  of(apiVersion: string): KindForm {
    return this.#forms.get(apiVersion) ?? this.stored;
  }

  convert(object: object, from: Form, to: Form): object {
    if (from === to) return object;
    const resolved = (form: Form) => ({ kind: this.#kind, version: (form as KindForm).version });
    const copy = structuredClone(object) as KubeObject;
    return fromStorage(resolved(to), toStorage(resolved(from), copy));
  }
}

function formOf(version: KindVersion): KindForm {
  return { version, shape: version.shape ?? shapeOf(version.schema) };
}

const forms = new WeakMap<KindDefinition, KindForms>();

export function formsOf(kind: KindDefinition): KindForms {
  let known = forms.get(kind);
  if (!known) {
    known = new KindForms(kind);
    forms.set(kind, known);
  }
  return known;
}

/** What a write through this target may own, and under which name. Objects are taken to be in the storage version. */
export function writeFacts(
  context: RegistryContext,
  target: NamedTarget,
  options: WriteOptions,
  operation: Owner['operation'],
): WriteFacts {
  const { kind } = target.resolved;
  const { subresource } = target;
  const manager = options.fieldManager || options.defaultManager || 'unknown';
  const all = formsOf(kind);
  const status = subresource !== undefined && statusSubresourcesOf(kind).includes(subresource);
  return {
    forms: all,
    form: all.stored,
    owner: { manager, operation, apiVersion: apiVersionOf(target.resolved), ...(subresource ? { subresource } : {}) },
    now: timestamp(context.clock.wallMs()),
    inScope: (field) => (status ? field === 'status' : field !== 'status' || !kind.hasStatus),
  };
}

export function entriesOf(object: KubeObject): readonly ManagedEntry[] {
  return (object.metadata.managedFields ?? []) as readonly ManagedEntry[];
}

/** Follows creates, updates and patches: who changes a field owns it. */
export function updateTracker(
  context: RegistryContext,
  target: NamedTarget,
  options: WriteOptions,
  optionsKind: 'CreateOptions' | 'UpdateOptions' = 'UpdateOptions',
): Track {
  checkManager(options, optionsKind);
  return (current, next, given) => {
    const facts = writeFacts(context, target, options, 'Update');
    if (!current) return trackUpdate(undefined, next, [], facts);
    const entries = target.subresource ? entriesOf(current) : askedEntries(entriesOf(current), given);
    return entries.length > 0 ? trackUpdate(current, next, entries, facts) : entries;
  };
}

/** A caller may write the record itself; what is not a record leaves it as it was, and so does an empty list. */
function askedEntries(entries: readonly ManagedEntry[], given: unknown): readonly ManagedEntry[] {
  if (given === undefined || isDeepStrictEqual(given, entries)) return entries;
  const asked = decodeEntries(given);
  if (asked === 'reset') return [];
  return Array.isArray(asked) && asked.length > 0 ? asked : entries;
}

export function setManaged({ metadata }: KubeObject, entries: readonly unknown[]): void {
  if (entries.length > 0) metadata.managedFields = entries;
  else delete metadata.managedFields;
}

/** The object without its record of owners, sharing all else. */
export function withoutManaged<T extends KubeObject>(object: T): T {
  if (!object.metadata.managedFields) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function checkManager({ fieldManager = '' }: WriteOptions, optionsKind: string): void {
  const detail = managerComplaint(fieldManager);
  if (detail) refuseOptions(optionsKind, { type: 'Invalid', field: 'fieldManager', value: fieldManager, detail });
}

/** StatusError 422 for options that do not go with the type of the patch. */
export function checkPatchOptions(type: PatchType, options: WriteOptions): void {
  checkManager(options, 'PatchOptions');
  if (type !== 'apply' && options.force !== undefined) {
    refuseOptions('PatchOptions', { type: 'Forbidden', field: 'force', detail: 'may not be specified for non-apply patch' });
  }
  if (type === 'apply' && !options.fieldManager) {
    refuseOptions('PatchOptions', { type: 'Required', field: 'fieldManager', detail: 'is required for apply patch' });
  }
}

function refuseOptions(optionsKind: string, error: FieldError): never {
  throw invalid('meta.k8s.io', optionsKind, '', [error]);
}
