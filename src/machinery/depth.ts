/**
 * A bound on how deeply JSON may be nested. Most of what handles objects recurses, so text that is nothing but brackets would exhaust the
 * stack; no object that is meant well comes near the bound.
 */
import { badRequest } from './status.ts';

export const jsonDepthMax = 500;

/** Throws StatusError 400 when `value` is nested more than `jsonDepthMax` deep. Does not recurse itself. */
export function checkDepth(value: unknown): void {
  if (isDeep(value)) throw badRequest('exceeded max depth');
}

/** True when `value` is nested more than `jsonDepthMax` deep. Does not recurse itself. */
export function isDeep(value: unknown): boolean {
  let level = [value].filter(isContainer);
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > jsonDepthMax) return true;
    level = level.flatMap((container) => Object.values(container).filter(isContainer));
  }
  return false;
}

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null;
