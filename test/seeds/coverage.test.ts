/** That the table forgets no manifest of the tutorials, where these lie beside the project; the cases themselves do not need them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cases } from './cases.ts';
import { manifestsIn } from './manifests.ts';

const folder = '../shared/seeds';
/** Of what has a controller so far; in a tutorial one Deployment is misspelt. */
const kinds = /^(Pod|Deployment|Depolyment|ReplicaSet)$/;

const test = suite('coverage of the tutorials');

test('manifests are found in prose, with and without fences, names and ends', () => {
  const fence = '```';
  const text = `Words: kind: Nothing\n${fence}yaml\napiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    a: b\n  name: one\n${fence}
${fence}\n# first\nkind: Service\napiVersion: v1\nmetadata:\n  name: two\n---\napiVersion: v1\nkind: Pod\nspec:\n  name: inner\n${fence}\n
${fence}\napiVersion: v1\nkind: Pod\nmetadata:\n  name: three\napiVersion: v1\nkind: Pod\nmetadata: # why\n  name: four\n${fence}`;
  assert.equal(
    manifestsIn(text).map(({ kind, name }) => `${kind} ${name}`),
    ['Pod one', 'Service two', 'Pod -', 'Pod three', 'Pod four'],
  );
});

const whenThere = existsSync(folder) ? test : () => undefined;

whenThere('every pod, Deployment and ReplicaSet of the tutorials has a row, and every row its manifest', () => {
  const covered = new Set(cases.flatMap((one) => one.of));
  const there = new Set<string>();
  for (const file of readdirSync(folder)) {
    const text = readFileSync(`${folder}/${file}`, 'utf8');
    const found = manifestsIn(text).filter(({ kind }) => kinds.test(kind));
    // None is overlooked by what divides the text.
    assert.is(found.filter(({ kind }) => kind === 'Pod').length, text.match(/^ *kind: Pod$/gm)?.length ?? 0, file);
    for (const { kind, name } of found) there.add(`${file.slice(0, 3)} ${kind} ${name}`);
  }
  assert.equal([...covered].sort(), [...there].sort());
});

test.run();
