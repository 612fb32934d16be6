import './generated.ts';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { generateSchemas } from '../../scripts/generate-schemas.ts';
import { MachineryError } from '../../src/machinery/errors.ts';
import { TypeFile } from '../../src/machinery/type-file.ts';

test('the generated files are JSON and the same every time', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kontiki-schemas-'));
  try {
    generateSchemas(folder);
    for (const file of ['schemas.json', 'descriptions.json', 'protobuf.json']) {
      const text = readFileSync(join(folder, file), 'utf8');
      generateSchemas(folder);
      assert.is(readFileSync(join(folder, file), 'utf8'), text);
      const all = JSON.parse(text) as Record<string, unknown>;
      assert.ok(Object.keys(all).length > 700, file);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('one type is read without the others', () => {
  const file = new TypeFile<{ fields: object }>('schemas.json');
  const whole = JSON.parse(readFileSync(join(import.meta.dirname, '../../dist/schemas.json'), 'utf8')) as Record<string, object>;
  assert.equal(file.get('core.v1.Pod'), whole['core.v1.Pod']);
  assert.is(file.get('core.v1.Pod'), file.get('core.v1.Pod'));
  assert.is.not(file.peek('core.v1.Node'), file.peek('core.v1.Node'));
  assert.is(file.get('__proto__'), undefined);
  assert.equal(file.names(), Object.keys(whole));
});

test('a file that was not generated says what to run', () => {
  assert.throws(
    () => new TypeFile('nothing.json').get('core.v1.Pod'),
    (error: unknown) => error instanceof MachineryError && /nothing\.json is missing: run "npm run generate"/.test(error.message),
  );
});

test('the schemas of the core and apps kinds fit into a small heap', () => {
  const script = `
    const { schema } = await import('./src/machinery/schemas.ts');
    const names = [];
    gc();
    const before = process.memoryUsage().heapUsed;
    const visit = (name) => {
      if (names.includes(name)) return;
      names.push(name);
      for (const { ref } of Object.values(schema(name).fields)) if (ref) visit(ref);
    };
    for (const kind of ['core.v1.PodList', 'core.v1.NodeList', 'core.v1.ServiceList', 'apps.v1.DeploymentList', 'apps.v1.ReplicaSetList']) visit(kind);
    gc();
    console.log(names.length + ' ' + (process.memoryUsage().heapUsed - before));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', script], {
    cwd: join(import.meta.dirname, '../..'),
    encoding: 'utf8',
  });
  const [count, bytes] = stdout.trim().split(' ').map(Number);
  assert.ok(count! > 150, stderr);
  assert.ok(bytes! < 8 * 1024 * 1024, `${count} types take ${bytes} bytes`);
});

test.run();
