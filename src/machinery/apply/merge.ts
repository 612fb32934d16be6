/** Structured merge: an applied configuration into the live object, and taking fields out again. Inputs stay as they are. */
import { type FieldSet, isEmpty, isMember } from './field-set.ts';
import { deduced, leaf, type Shape } from './shapes.ts';
import { isAbsent, type ListShape, type Members, memberShape, stepsOf, walkOf } from './values.ts';

/** The live object with everything that the configuration says. The result shares parts with both. */
export function merge(live: unknown, config: unknown, shape: Shape): unknown {
  if (config === undefined) return live;
  if (live === undefined || live === null || config === null) return config;
  const walk = walkOf(shape, live, config);
  if (walk === 'leaf') return config;
  if (walk === 'items') return mergeLists(live as unknown[], config as unknown[], shape as ListShape);
  const members = new Map(Object.entries(live as Members));
  for (const [name, value] of Object.entries(config as Members)) {
    members.set(name, merge(members.get(name), value, memberShape(shape, name)));
  }
  return Object.fromEntries(members);
}

/** The configuration's order; items that only the live list has keep their place before what followed them. */
function mergeLists(live: unknown[], config: unknown[], shape: ListShape): unknown[] {
  const item = shape.form === 'keyed' ? shape.item : leaf;
  const liveSteps = stepsOf(live, shape)!;
  const steps = stepsOf(config, shape)!;
  const wanted = new Set(steps);
  const places = new Map(liveSteps.map((step, index) => [step, index]));
  const result: unknown[] = [];
  let at = 0;
  const takeLiveUntil = (end: number) => {
    for (; at < end; at++) if (!wanted.has(liveSteps[at]!)) result.push(live[at]);
  };
  const ends = nextShared(steps, places, live.length);
  for (const [index, step] of steps.entries()) {
    takeLiveUntil(ends[index]! < at ? live.length : ends[index]!);
    result.push(merge(live[places.get(step) ?? -1], config[index], item));
  }
  takeLiveUntil(live.length);
  return result;
}

/** For each item of the configuration where in the live list the next item is that both have; the end when there is none. */
function nextShared(steps: string[], places: Map<string, number>, end: number): number[] {
  let next = end;
  return steps
    .map((_, index) => index)
    .reverse()
    .map((index) => {
      next = places.get(steps[index]!) ?? next;
      return next;
    })
    .reverse();
}

/** `value` without the fields of the set, and without what these removals leave empty. */
export function removeFields(value: unknown, fields: FieldSet, shape: Shape): unknown {
  if (isEmpty(fields)) return value;
  return rebuild(value, shape, (step, child, childShape) => {
    const at = fields[step];
    if (!at) return child;
    return isMember(at) ? undefined : removeFields(child, at, childShape);
  });
}

/** Only the fields of the set, with the keys of the items that hold them. */
export function extractFields(value: unknown, fields: FieldSet, shape: Shape): unknown {
  return rebuild(value, shape, (step, child, childShape) => {
    const at = fields[step];
    if (!at) return undefined;
    if (isAbsent(child) || walkOf(childShape, child) === 'leaf') return child;
    const inner = extractFields(child, at, childShape);
    if (!step.startsWith('k:')) return inner ?? (isMember(at) ? emptyOf(child) : undefined);
    const key = Object.keys(JSON.parse(step.slice(2)) as object).filter((name) => (child as Members)[name] !== undefined);
    return { ...Object.fromEntries(key.map((name) => [name, (child as Members)[name]])), ...(inner as object | undefined) };
  });
}

const emptyOf = (value: unknown) => (Array.isArray(value) ? [] : {});

/**
 * What the one who applied `last` gives up: fields that nobody in `owned` has are removed from `value`, at the top of what
 * can go. Metadata and what is not in `last` stay.
 */
export function prune(value: unknown, last: FieldSet, owned: FieldSet, shape: Shape): unknown {
  return pruneNode(value, last, owned, shape, true);
}

function pruneNode(value: unknown, last: FieldSet, owned: FieldSet, shape: Shape, root = false): unknown {
  return rebuild(value, shape, (step, child, childShape) => {
    const was = last[step];
    if (!was) return child;
    const now = owned[step];
    const named = shape.form === 'struct' && shape.field(step.slice(2)) !== undefined;
    const counts = (node: FieldSet | undefined) => node !== undefined && (named || isMember(node));
    if (!(root && step === 'f:metadata') && counts(was) && !counts(now)) return undefined;
    return pruneNode(child, was, now ?? {}, childShape) ?? (now && isMember(now) ? emptyOf(child) : undefined);
  });
}

/** A copy with every member or item as `change` gives it; undefined drops it. Undefined when that leaves nothing of something. */
function rebuild(value: unknown, shape: Shape, change: (step: string, child: unknown, shape: Shape) => unknown): unknown {
  const walk = walkOf(shape, value);
  if (walk === 'leaf' || value === null || value === undefined) return value;
  if (walk === 'members') {
    const before = Object.entries(value as Members);
    const after = before
      .map(([name, member]) => [name, change(`f:${name}`, member, memberShape(shape, name))] as const)
      .filter(([, member]) => member !== undefined);
    if (after.length === 0 && before.length > 0) return undefined;
    return Object.fromEntries(after);
  }
  const list = value as unknown[];
  const of = shape as ListShape;
  const item = of.form === 'keyed' ? (of.item ?? deduced) : leaf;
  const after = stepsOf(list, of)!
    .map((step, index) => change(step, list[index], item))
    .filter((kept) => kept !== undefined);
  return after.length === 0 && list.length > 0 ? undefined : after;
}
