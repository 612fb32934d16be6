/**
 * How fields whose names are no identifiers are written in expressions: `a-b` is `a__dash__b`, `namespace` is `__namespace__`.
 * Source: the Kubernetes page "Extend the Kubernetes API with CustomResourceDefinitions", validation rules, escaping.
 */
import type { ObjectType } from './types.ts';

const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

const escapes: Record<string, string> = { __: '__underscores__', '.': '__dot__', '-': '__dash__', '/': '__slash__' };
const unescapes = new Map(Object.entries(escapes).map(([plain, escaped]) => [escaped, plain]));

/** The name in expressions, or undefined when the field cannot be reached by one. */
export function escapeFieldName(name: string): string | undefined {
  if (!/^[a-zA-Z_.\-/][a-zA-Z0-9_.\-/]*$/.test(name)) return undefined;
  if (reserved.has(name)) return `__${name}__`;
  return name.replaceAll(/__|[-./]/g, (part) => escapes[part] as string);
}

/** The field's own name. */
export function unescapeFieldName(escaped: string): string {
  const keyword = /^__([a-z]+)__$/.exec(escaped)?.[1];
  if (keyword !== undefined && reserved.has(keyword)) return keyword;
  return escaped.replaceAll(/__underscores__|__dot__|__dash__|__slash__/g, (part) => unescapes.get(part) as string);
}

/** The declared field that `.name` means: keywords may be written plainly behind a dot. */
export function fieldNameFor(type: ObjectType, name: string): string | undefined {
  if (Object.hasOwn(type.fields, name)) return name;
  const keyword = `__${name}__`;
  return reserved.has(name) && Object.hasOwn(type.fields, keyword) ? keyword : undefined;
}
