/** Finds the manifests in the text of a tutorial, which are YAML only in part: names and kinds by their lines. */

export interface Found {
  kind: string;
  /** `-` where it has none. */
  name: string;
}

/** Objects begin with apiVersion and kind, in either order, within a block between fences. */
export function manifestsIn(text: string): Found[] {
  const blocks = text.split(/^ *```.*$/m);
  const objects = blocks.flatMap((block) =>
    block.split(/^ *(?:-{3,}|(?=apiVersion: .*\n\s*kind:)|(?=kind: .*\n\s*apiVersion:)|(?=\$ ))/m),
  );
  return objects.flatMap((object) => {
    const kind = /^ *kind: (\w+)$/m.exec(object)?.[1];
    if (kind === undefined || !/^ *apiVersion:/m.test(object)) return [];
    return [{ kind, name: /^ *metadata:(?:\s*#.*|\s*labels:[\s\S]*?)?\s+name: (\S+)/m.exec(object)?.[1] ?? '-' }];
  });
}
