/** The official Python client, Debian's python3-kubernetes, through its main verbs. What it does is in verbs.py. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { channels } from '../../src/machinery/stream-frames.ts';
import { exited, startWorld } from '../streams/support.ts';
import { startCluster } from './cluster.ts';

test('objects, errors, apply, watches, pages and streams', async () => {
  const world = await startWorld();
  const cluster = await startCluster({ agents: world.agents });
  const folder = await mkdtemp(join(tmpdir(), 'kontiki-python-'));
  world.onSession = (session) => {
    session.write(channels.stdout, 'out');
    session.write(channels.stderr, 'err');
    session.end(exited(3));
  };
  try {
    const files = { ca: cluster.authority.ca, ...cluster.admin };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text, { mode: 0o600 });
    const paths = ['ca', 'cert', 'key'].map((name) => join(folder, name));
    const script = new URL('verbs.py', import.meta.url).pathname;
    // Debian's own interpreter, for which its packages are.
    const args = ['-B', script, `https://127.0.0.1:${cluster.port}`, ...paths];
    const { stdout } = await promisify(execFile)('/usr/bin/python3', args, { timeout: 120_000 });
    assert.equal(stdout.trim().split('\n'), [
      "created py {'a': 'b'} datetime",
      "read {'a': 'b'}",
      "replaced {'a': 'c'}",
      'stale 409 Conflict',
      "merged {'a': 'c', 'd': 'e'}",
      "patched {'a': 'c'}",
      'defaults RollingUpdate',
      'scaled 4',
      'missing 404 NotFound: secrets "nothing" not found',
      'again 409 AlreadyExists: configmaps "py" already exists',
      'conflict Apply failed with 1 conflict:',
      "forced {'a': 'x'}",
      'event ADDED seen',
      'event MODIFIED seen',
      'event DELETED seen',
      'pages page-0 page-1 page-2',
      'left 0',
      'exec out err 3',
      'log True',
    ]);
  } finally {
    await cluster.close();
    await world.close();
    await rm(folder, { recursive: true, force: true });
  }
});

test.run();
