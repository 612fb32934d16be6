/**
 * Sets of fields, in the very form in which managedFields shows them: a tree whose keys are steps (`f:spec`,
 * `k:{"name":"a"}`, `v:"x"`). A node without members is in the set; one with members is in it when it has the key `.`.
 * Source: the Kubernetes page "Server-Side Apply". Trees are never changed after they are made, so they share branches.
 */

export interface FieldSet {
  readonly [step: string]: FieldSet;
}

export const emptySet: FieldSet = Object.freeze({});

/** True for the set as a whole: no field is in it. */
export function isEmpty(set: FieldSet): boolean {
  for (const _ in set) return false;
  return true;
}

/** Whether this node, which is not the root, is itself in the set. */
export function isMember(node: FieldSet): boolean {
  return Object.hasOwn(node, '.') || isEmpty(node);
}

function node(member: boolean, children: Record<string, FieldSet>): FieldSet | undefined {
  if (isEmpty(children)) return member ? emptySet : undefined;
  return member ? { '.': emptySet, ...children } : children;
}

function childrenOf(of: FieldSet): [string, FieldSet][] {
  return Object.entries(of).filter(([step]) => step !== '.');
}

// These three run with every write, for sets of which most are empty or share nothing: they make nothing before they must.

/** What is in both. */
export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const result: Record<string, FieldSet> = {};
  for (const step in a) {
    const [child, other] = [a[step]!, b[step]];
    if (step === '.' || !other) continue;
    const shared = node(isMember(child) && isMember(other), intersection(child, other));
    if (shared) result[step] = shared;
  }
  return result;
}

/** What is in `a`, but not in `b`. Gives `a` itself when they share nothing. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  let result: Record<string, FieldSet> | undefined;
  for (const step in b) {
    const child = step === '.' || !Object.hasOwn(a, step) ? undefined : a[step];
    if (!child) continue;
    const kept = subtractNode(child, b[step]!);
    if (kept === child) continue;
    result ??= { ...a };
    if (kept) result[step] = kept;
    else delete result[step];
  }
  return result ?? a;
}

function subtractNode(a: FieldSet, b: FieldSet): FieldSet | undefined {
  const member = isMember(a);
  const keeps = member && !isMember(b);
  const left = difference(a, b);
  if (left === a && keeps === member) return a;
  const { '.': _, ...children } = left;
  return node(keeps, children);
}

/** What is in either. Gives `a` itself when `b` adds nothing. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  let result: Record<string, FieldSet> | undefined;
  for (const step in b) {
    if (step === '.') continue;
    const child = Object.hasOwn(a, step) ? a[step]! : undefined;
    const merged = child ? unionNodes(child, b[step]!) : b[step]!;
    if (merged === child) continue;
    result ??= withoutDot(a);
    result[step] = merged;
  }
  return result ?? a;
}

function withoutDot({ '.': _, ...children }: FieldSet): Record<string, FieldSet> {
  return children;
}

function unionNodes(a: FieldSet, b: FieldSet): FieldSet {
  const member = isMember(a) || isMember(b);
  const children = union(a, b);
  if (member === isMember(a) && (children === a || isEmpty(children))) return a;
  const { '.': _, ...rest } = children;
  return node(member, rest) ?? emptySet;
}

/** The set with everything that holds one of its fields. */
export function withAncestors(set: FieldSet): FieldSet {
  const children = childrenOf(set).map(([step, child]) => [step, node(true, withAncestors(child)) ?? emptySet] as const);
  return Object.fromEntries(children);
}

export function sameSet(a: FieldSet, b: FieldSet): boolean {
  return isEmpty(difference(a, b)) && isEmpty(difference(b, a));
}

/** Collects fields into a new set. */
export class FieldSetBuilder {
  readonly #root: Record<string, FieldSet> = {};

  add(path: readonly string[]): void {
    let at = this.#root;
    for (let index = 0; index < path.length; index++) {
      const step = path[index]!;
      const last = index === path.length - 1;
      const child = at[step] as Record<string, FieldSet> | undefined;
      if (!child) {
        const made: Record<string, FieldSet> = {};
        at[step] = made;
        at = made;
        continue;
      }
      if (last ? !isEmpty(child) : isEmpty(child)) child['.'] = emptySet;
      at = child;
    }
  }

  get set(): FieldSet {
    return this.#root;
  }
}

/** The same set with the members of every node in Kubernetes' order. */
export function sorted(set: FieldSet): FieldSet {
  const steps = Object.keys(set);
  if (steps.length === 0) return set;
  if (!inOrder(steps)) steps.sort(compareSteps);
  const result: Record<string, FieldSet> = {};
  for (const step of steps) result[step] = sorted(set[step]!);
  return result;
}

function inOrder(steps: readonly string[]): boolean {
  for (let index = 1; index < steps.length; index++) if (compareSteps(steps[index - 1]!, steps[index]!) > 0) return false;
  return true;
}

/** `.`, then names, keys and values; keys by their members, numbers as numbers. */
function compareSteps(a: string, b: string): number {
  const kind = a[0]!;
  if (kind !== b[0] || kind === 'f' || kind === '.') return a < b ? -1 : a > b ? 1 : 0;
  const [left, right] = [JSON.parse(a.slice(2)), JSON.parse(b.slice(2))] as [unknown, unknown];
  return kind === 'k' ? compareKeys(left as object, right as object) : compareScalars(left, right);
}

function compareKeys(a: object, b: object): number {
  const [left, right] = [Object.entries(a), Object.entries(b)];
  for (const [index, [name, value]] of left.entries()) {
    const other = right[index];
    if (!other) return 1;
    if (name !== other[0]) return name < other[0] ? -1 : 1;
    const order = compareScalars(value, other[1]);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

const scalarRank = (value: unknown) => ['number', 'string', 'boolean'].indexOf(typeof value);

function compareScalars(a: unknown, b: unknown): number {
  const rank = scalarRank(a) - scalarRank(b);
  if (rank !== 0) return rank;
  return (a as string) < (b as string) ? -1 : (a as string) > (b as string) ? 1 : 0;
}

/** Every field of the set as people read it, such as `.spec.containers[name="a"].image`; those of a node before those below it. */
export function pathsOf(set: FieldSet, prefix = ''): string[] {
  const children = childrenOf(set).sort(([a], [b]) => compareSteps(a, b));
  return [
    ...children.filter(([, child]) => isMember(child)).map(([step]) => prefix + stepText(step)),
    ...children.flatMap(([step, child]) => pathsOf(child, prefix + stepText(step))),
  ];
}

export function stepText(step: string): string {
  const rest = step.slice(2);
  if (step.startsWith('f:')) return `.${rest}`;
  if (step.startsWith('i:')) return `[${rest}]`;
  if (step.startsWith('v:')) return `[=${rest}]`;
  const members = Object.entries(JSON.parse(rest) as object);
  return `[${members.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`;
}

const depthMax = 256;

/** What is wrong with fields that a caller sent; undefined when they are a set. */
export function fieldSetComplaint(value: unknown, depth = 0): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'fieldsV1 is not an object';
  if (depth > depthMax) return 'fieldsV1 is nested too deeply';
  for (const [step, child] of Object.entries(value)) {
    const complaint = stepComplaint(step) ?? fieldSetComplaint(child, depth + 1);
    if (complaint) return complaint;
  }
  return undefined;
}

function stepComplaint(step: string): string | undefined {
  if (step === '.' || step.startsWith('f:')) return undefined;
  const rest = step.slice(2);
  if (step.startsWith('i:') && /^\d+$/.test(rest)) return undefined;
  if (!/^[kv]:/.test(step)) return `${JSON.stringify(step)} is not a field`;
  try {
    const parsed: unknown = JSON.parse(rest);
    if (step.startsWith('v:') || (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))) return undefined;
  } catch {
    // Not JSON: told below, as for JSON of another form.
  }
  return `${JSON.stringify(step)} is not a field`;
}
