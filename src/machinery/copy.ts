/** A deep copy of a JSON value, several times faster than structuredClone. Members that are undefined are left out. */
export function copyJson<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyJson) as T;
  const copy: Record<string, unknown> = {};
  for (const name in value) {
    const member: unknown = value[name];
    if (member === undefined) continue;
    // Assigning to this name would set the copy's prototype.
    if (name === '__proto__')
      Object.defineProperty(copy, name, { value: copyJson(member), enumerable: true, writable: true, configurable: true });
    else copy[name] = copyJson(member);
  }
  return copy as T;
}
