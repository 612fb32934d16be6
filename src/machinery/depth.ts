/**
 * A bound on how deeply JSON may be nested. Most of what handles objects recurses, so text that is nothing but brackets would exhaust the
 * stack; no object that is meant well comes near the bound.
 */
import { badRequest } from './status.ts';

export const jsonDepthMax = 500;

/** Throws StatusError 400 when `value` is nested more than `jsonDepthMax` deep. */
export function checkDepth(value: unknown): void {
  if (isDeep(value)) throw badRequest('exceeded max depth');
}

/** True when `value` is nested more than `jsonDepthMax` deep, which is also as deep as this looks. */
export function isDeep(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depth > jsonDepthMax) return true;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) if (isDeep(value[index], depth + 1)) return true;
    return false;
  }
  for (const name in value) if (isDeep((value as Record<string, unknown>)[name], depth + 1)) return true;
  return false;
}
