/** How images are shown to people. Pure. */

export interface ListedImage {
  id: string;
  references: string[];
  digests: string[];
  sizeBytes: number;
  usedBy: string[];
  pinned: boolean;
}

/** One row for each name; an image without a tag has one with `<none>`. */
export function formatImages(images: readonly ListedImage[]): string {
  const rows = images.flatMap(({ id, references, digests, sizeBytes, pinned, usedBy }) => {
    const names = references.length > 0 ? references : [`${digests[0]?.split('@')[0] ?? '<none>'}:<none>`];
    return names.map((name) => [
      name.slice(0, name.lastIndexOf(':')),
      name.slice(name.lastIndexOf(':') + 1),
      id.slice('sha256:'.length, 'sha256:'.length + 12),
      readableBytes(sizeBytes),
      pinned ? 'yes' : 'no',
      usedBy.length > 1 ? `${usedBy[0]} and ${usedBy.length - 1} more` : (usedBy[0] ?? '-'),
    ]);
  });
  rows.sort((a, b) => (a.join(' ') < b.join(' ') ? -1 : 1));
  const table = [['REPOSITORY', 'TAG', 'IMAGE ID', 'SIZE', 'PINNED', 'USED BY'], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return table
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join('   ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** 1.23 MB: decimal, three digits, as registries show sizes. */
export function readableBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}
