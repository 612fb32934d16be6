/** Discovery and the columns of printed tables, against what Kubernetes 1.33 was seen to have: data/kinds.tsv and data/columns.tsv. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kinds } from '../../src/api/kinds/index.ts';
import { type ListeningApi, listeningApi } from '../api/listening.ts';

const test = suite<{ it: ListeningApi }>('kinds and columns as Kubernetes has them');

/** Rows as records of the names in the first line. */
function table<Name extends string>(file: string): Record<Name, string>[] {
  const [head = '', ...lines] = readFileSync(new URL(`../../data/${file}`, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n');
  const names = head.split('\t') as Name[];
  return lines.map((line) => {
    const cells = line.split('\t');
    return Object.fromEntries(names.map((name, index) => [name, cells[index] ?? ''])) as Record<Name, string>;
  });
}

interface Listed {
  name: string;
  kind: string;
  singularName: string;
  namespaced: boolean;
  verbs: string[];
  shortNames?: string[];
  categories?: string[];
  group?: string;
  version?: string;
}

const words = (text: string) => text.split(',').filter(Boolean).sort();

/** `status[get,patch];scale[get:autoscaling/v1.Scale]` as `{ status: [['get', 'patch'], ''], … }`. */
function subresources(text: string): Record<string, [verbs: string[], form: string]> {
  const parts = [...text.matchAll(/([a-z]+)\[([a-z,]+)(?::([^\]]*))?\]/g)];
  return Object.fromEntries(parts.map(([, name, verbs = '', form = '']) => [name, [words(verbs), form]]));
}

test.before(async (context) => {
  context.it = await listeningApi({ kinds });
});
test.after(({ it }) => it.close());

test('discovery lists every kind with its names, verbs and subresources', async ({ it }) => {
  const rows = table<
    | 'group'
    | 'version'
    | 'kind'
    | 'plural'
    | 'singular'
    | 'shortNames'
    | 'namespaced'
    | 'verbs'
    | 'subresources'
    | 'categories'
    | 'era'
  >('kinds.tsv').filter(({ era }) => era === '1.33:default');
  assert.ok(rows.length > 60);
  for (const row of rows) {
    const groupVersion = row.group ? `apis/${row.group}/${row.version}` : `api/${row.version}`;
    const { resources } = (await it.request(`/${groupVersion}`)).json<{ resources: Listed[] }>();
    const found = resources.find(({ name }) => name === row.plural);
    const where = `${groupVersion} ${row.plural}`;
    assert.ok(found, where);
    assert.equal(
      [
        found.kind,
        found.singularName,
        String(found.namespaced),
        words((found.verbs ?? []).join(',')),
        (found.shortNames ?? []).join(','),
      ],
      [row.kind, row.singular, row.namespaced, words(row.verbs), row.shortNames],
      where,
    );
    assert.equal([...(found.categories ?? [])].sort(), words(row.categories), where);
    const below = resources.filter(({ name }) => name.startsWith(`${row.plural}/`));
    const seen = below.map(({ name, verbs, group, version, kind }): [string, [string[], string]] => {
      const own = kind === row.kind;
      return [
        name.slice(row.plural.length + 1),
        [[...verbs].sort(), own ? '' : `${group ?? ''}/${version ?? row.version}.${kind}`],
      ];
    });
    assert.equal(Object.fromEntries(seen.sort()), subresources(row.subresources), where);
  }
});

test('every kind is printed with its columns', () => {
  const rows = table<'kind' | 'name' | 'type' | 'format' | 'priority'>('columns.tsv');
  let compared = 0;
  for (const { kind, columns } of kinds) {
    const wanted = rows
      .filter((row) => row.kind === kind)
      .map(({ name, type, format, priority }) => [name, type, format, priority]);
    if (wanted.length === 0) continue;
    const seen = columns.map(({ name, type, format = '', priority }) => [name, type, format, String(priority)]);
    assert.equal(seen, wanted, kind);
    compared++;
  }
  assert.ok(compared > 50, `${compared}`);
});

test.run();
