/** Replays each file of test/scenarios and compares with the output recorded there. KONTIKI_REWRITE=1 records it anew. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { replay } from './scenario.ts';

const folder = new URL('../scenarios/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.txt'));

test('there are scenarios', () => {
  assert.ok(files.length >= 10);
});

for (const name of files) {
  test(name.replace('.txt', '').replaceAll('-', ' '), () => {
    const path = new URL(name, folder);
    const recorded = readFileSync(path, 'utf8');
    const now = replay(recorded);
    if (process.env.KONTIKI_REWRITE === '1') writeFileSync(path, now);
    else assert.fixture(now, recorded);
  });
}

test.run();
