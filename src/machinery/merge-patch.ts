/** JSON merge patch (RFC 7396): maps merge, null deletes, everything else replaces. */
import { checkDepth } from './depth.ts';
import { badRequest } from './status.ts';

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function merge(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const merged = new Map(isMap(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, merge(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}

/** The patched copy; shares nothing with its inputs. Throws StatusError 400 when the patch is no object or nested too deeply. */
export function applyMergePatch(target: object, patch: unknown): object {
  if (!isMap(patch)) throw badRequest('a merge patch is a JSON object');
  checkDepth(patch);
  return structuredClone(merge(target, patch)) as object;
}
