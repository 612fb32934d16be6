/**
 * Who owns what after a write. Updaters own what they change and take it from everyone else; appliers own what they say,
 * and may not change what others own unless they insist. Pure: the time comes from the caller.
 */
import { compare, type Difference, fieldsOf, isSame } from './compare.ts';
import { difference, type FieldSet, intersection, isEmpty, pathsOf, sameSet, union, withAncestors } from './field-set.ts';
import { capped, inOrder, type ManagedEntry, makeEntry, type Owner, sameOwner, without } from './managers.ts';
import { merge, prune, removeFields } from './merge.ts';
import type { StructShape } from './shapes.ts';
import { isMap, type Members, sameValue } from './values.ts';

/** The form of a kind's objects at one version. Versions without a conversion between them share one form. */
export interface Form {
  shape: StructShape;
}

export interface Forms {
  /** In which an entry of this apiVersion speaks. */
  of(apiVersion: string): Form;
  convert(object: object, from: Form, to: Form): object;
}

export interface WriteFacts {
  forms: Forms;
  /** The form of the objects that are handed over. */
  form: Form;
  owner: Owner;
  /** RFC 3339 in whole seconds. */
  now: string;
  /** Which top-level fields this endpoint may write; the others are nobody's through it. */
  inScope(field: string): boolean;
}

export interface Conflict {
  owner: Owner;
  path: string;
}

/** An apply that would change what others own. */
export class ApplyConflict extends Error {
  readonly conflicts: readonly Conflict[];
  /** The same fields as a set. */
  readonly fields: FieldSet;

  constructor(conflicts: Conflict[], fields: FieldSet) {
    super('fields are owned by others');
    this.name = 'ApplyConflict';
    this.conflicts = conflicts;
    this.fields = fields;
  }
}

const neverOwned = new Set(['apiVersion', 'kind']);
/** What the server alone writes. */
const serverMetadata = new Set([
  'name',
  'namespace',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
  'uid',
  'clusterName',
  'generation',
  'managedFields',
  'resourceVersion',
]);

/** Only what can be owned through this endpoint. */
export function ownable(object: object, inScope: WriteFacts['inScope']): Members {
  const result: Members = {};
  for (const [field, value] of Object.entries(object)) {
    if (neverOwned.has(field) || !inScope(field)) continue;
    const part = field === 'metadata' && isMap(value) ? ownMetadata(value) : value;
    if (part !== undefined) result[field] = part;
  }
  return result;
}

function ownMetadata(metadata: Members): Members | undefined {
  const kept = Object.entries(metadata).filter(([name]) => !serverMetadata.has(name));
  return kept.length > 0 ? Object.fromEntries(kept) : undefined;
}

/** Differences between two states in every form in which entries speak, each worked out once. */
class Differences {
  readonly #known = new Map<Form, Difference>();
  readonly #before: object | undefined;
  readonly #after: object;
  readonly #facts: WriteFacts;

  constructor(before: object | undefined, after: object, facts: WriteFacts) {
    this.#before = before;
    this.#after = after;
    this.#facts = facts;
  }

  in(form: Form): Difference {
    const known = this.#known.get(form);
    if (known) return known;
    const { forms, form: own, inScope } = this.#facts;
    const part = (object: object) => ownable(form === own ? object : forms.convert(object, own, form), inScope);
    // An object that is new begins as an empty one, not as nothing.
    const found = compare(this.#before ? part(this.#before) : {}, part(this.#after), form.shape);
    this.#known.set(form, found);
    return found;
  }

  /** What is not as it was, in whatever way. */
  touched(form: Form): FieldSet {
    const { added, modified, removed } = this.in(form);
    return union(union(added, modified), removed);
  }
}

/**
 * The entries after an update; the same list when nothing that can be owned has changed. `before` is undefined for an object
 * that is new.
 */
export function trackUpdate(
  before: object | undefined,
  after: object,
  entries: readonly ManagedEntry[],
  facts: WriteFacts,
): readonly ManagedEntry[] {
  const { forms, owner, now } = facts;
  const differences = new Differences(before, after, facts);
  const own = differences.in(forms.of(owner.apiVersion));
  if (isSame(own)) return entries;
  const taken = union(own.added, own.modified);
  const former = entries.find((entry) => sameOwner(entry, owner));
  const rest = without(
    entries.filter((entry) => entry !== former),
    (entry) => differences.touched(forms.of(entry.apiVersion)),
  );
  const kept = former ? difference(former.fieldsV1, own.removed) : {};
  const all = union(kept, taken);
  if (!isEmpty(taken)) rest.push(former && all === former.fieldsV1 ? { ...former, time: now } : makeEntry(owner, all, now));
  else if (former && !isEmpty(kept)) rest.push(kept === former.fieldsV1 ? former : { ...former, fieldsV1: kept });
  return inOrder(capped(rest));
}

export interface Applied {
  object: object;
  entries: readonly ManagedEntry[];
}

/** Owns everything of objects that were written before anyone kept record. */
const beforeApply = 'before-first-apply';

/**
 * Merges a configuration into the live object. Without anything to change, the live object and its entries come back as
 * they are. Throws ApplyConflict when another owner's field would change and `force` is not set.
 */
export function applyConfiguration(
  live: object,
  config: object,
  recorded: readonly ManagedEntry[],
  facts: WriteFacts & { force: boolean },
): Applied {
  const { forms, form, owner, now } = facts;
  const entries = recorded.length > 0 ? recorded : firstEntries(live, facts);
  const said = ownable(config, facts.inScope);
  const fields = fieldsOf(said, form.shape);
  const former = entries.find((entry) => sameOwner(entry, owner));
  const others = entries.filter((entry) => entry !== former);
  const merged = merge(live, said, form.shape) as object;
  const object = former ? giveUp(merged, former, fields, others, facts) : merged;

  const differences = new Differences(live, object, facts);
  const changedFor = (entry: ManagedEntry) => {
    const { added, modified } = differences.in(forms.of(entry.apiVersion));
    return union(added, modified);
  };
  if (!facts.force) refuseConflicts(others, changedFor);
  const rest = without(others, (entry) => differences.touched(forms.of(entry.apiVersion)));
  const unchanged = sameValue(ownable(live, facts.inScope), ownable(object, facts.inScope));
  const sameClaim = former && former.apiVersion === owner.apiVersion && sameSet(former.fieldsV1, fields);
  if (unchanged && sameClaim && recorded.length > 0) return { object: live, entries: recorded };
  if (!isEmpty(fields)) rest.push(makeEntry(owner, fields, unchanged && sameClaim ? former.time : now));
  return { object, entries: inOrder(rest) };
}

function firstEntries(live: object, facts: WriteFacts): readonly ManagedEntry[] {
  const { apiVersion } = facts.owner;
  return trackUpdate(undefined, live, [], { ...facts, owner: { manager: beforeApply, operation: 'Update', apiVersion } });
}

function refuseConflicts(others: ManagedEntry[], changedFor: (entry: ManagedEntry) => FieldSet): void {
  const conflicts: Conflict[] = [];
  let all: FieldSet = {};
  for (const entry of others) {
    const fields = intersection(entry.fieldsV1, changedFor(entry));
    all = union(all, fields);
    for (const path of pathsOf(fields)) conflicts.push({ owner: entry, path });
  }
  if (conflicts.length > 0) throw new ApplyConflict(conflicts, all);
}

/** Takes out what the applier said last time, says no more, and nobody else owns. */
function giveUp(merged: object, former: ManagedEntry, fields: FieldSet, others: ManagedEntry[], facts: WriteFacts): object {
  const { forms, form } = facts;
  const there = forms.of(former.apiVersion);
  const asFormer = there === form ? merged : forms.convert(merged, form, there);
  const alike = others.filter((entry) => forms.of(entry.apiVersion) === there);
  const owned = alike.reduce((all, entry) => union(all, entry.fieldsV1), there === form ? fields : {});
  let pruned = prune(asFormer, former.fieldsV1, owned, there.shape) as object;
  if (pruned && !compareAny(asFormer, pruned, there)) return merged;
  const elsewhere = others
    .filter((entry) => !alike.includes(entry))
    .map((entry) => ({
      form: forms.of(entry.apiVersion),
      fields: entry.fieldsV1,
    }));
  if (there !== form) elsewhere.push({ form, fields });
  for (const { form: other, fields: theirs } of elsewhere) {
    const whole = forms.convert(asFormer, there, other);
    const { removed } = compare(whole, forms.convert(pruned, there, other), other.shape);
    if (isEmpty(intersection(removed, theirs))) continue;
    pruned = forms.convert(removeFields(whole, difference(removed, withAncestors(theirs)), other.shape) as object, other, there);
  }
  return there === form ? pruned : forms.convert(pruned, there, form);
}

const compareAny = (before: object, after: object, form: Form) => !isSame(compare(before, after, form.shape));
