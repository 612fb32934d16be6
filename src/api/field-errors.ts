/** Field errors on their way to the caller. */
import type { KindDefinition } from '../machinery/kind.ts';
import { type FieldError, invalid, type StatusError } from '../machinery/status.ts';

export function invalidObject(kind: KindDefinition, name: string, errors: readonly FieldError[]): StatusError {
  return invalid(kind.group, kind.kind, name, errors);
}

/** Without repetitions: the registry and a kind may find the same thing. */
export function uniqueErrors(...lists: (readonly FieldError[])[]): FieldError[] {
  if (lists.every((list) => list.length === 0)) return [];
  const seen = new Map<string, FieldError>();
  for (const error of lists.flat()) seen.set(JSON.stringify([error.type, error.field, error.detail, error.value]), error);
  return [...seen.values()];
}

/** What no name of any kind may be, because it stands in URLs and keys. The rest is the kind's own validation. */
export function badName(name: string): FieldError | undefined {
  const field = 'metadata.name';
  if (!name) return { type: 'Required', field, detail: 'name or generateName is required' };
  if (name === '.' || name === '..') return { type: 'Invalid', field, value: name, detail: `may not be '${name}'` };
  const bad = ['/', '%'].find((character) => name.includes(character));
  return bad ? { type: 'Invalid', field, value: name, detail: `may not contain '${bad}'` } : undefined;
}
