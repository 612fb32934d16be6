/** Whether two JSON values say the same, whatever the order of their fields. Missing, undefined and null are one. */
export function same(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

/** One text for all JSON values that say the same. */
export function canonical(value: unknown): string {
  if (value === undefined || value === null) return 'null';
  if (typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined && field !== null);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join()}}`;
}
