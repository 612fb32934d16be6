/** Values as the reference implementation writes decoded JSON into its messages: `map[a:1 b:[x y]]`, keys sorted. */
export function goShape(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goShape).join(' ')}]`;
  if (typeof value !== 'object') return String(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${members.map(([key, member]) => `${key}:${goShape(member)}`).join(' ')}]`;
}
