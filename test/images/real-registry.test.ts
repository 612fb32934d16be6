/** Against Debian's docker-registry, filled by skopeo: what a user's registry really sends. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createExecutor } from '../../src/agent/host/executor.ts';
import { createImageStore } from '../../src/agent/images/image-store.ts';
import { ImagePuller } from '../../src/agent/pods/image-puller.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import type { Pod } from '../../src/machinery/types.ts';
import { freePort, startRegistry } from './docker-registry.ts';
import { busyboxLayer, dockerArchive, entry, image, layer } from './image-fixtures.ts';

test('an image pushed by skopeo as Docker v2 and as OCI is pulled and runs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kontiki-registry-'));
  const host = `127.0.0.1:${await freePort()}`;
  const executor = await createExecutor({ logger: silentLogger });
  const registry = await startRegistry(folder, host);
  try {
    const insecureRegistries = [host];
    const store = await createImageStore({
      dataDir: folder,
      executor,
      insecureRegistries,
      logger: silentLogger,
      clock: systemClock,
    });
    const built = image([busyboxLayer(), layer(entry('greeting', 'ahoy'))]);
    const file = dockerArchive(join(folder, 'archive.tar'), [{ image: built, tags: ['demo:1'] }]);
    for (const format of ['v2s2', 'oci']) {
      const name = `${host}/demo/app:${format}`;
      execFileSync('skopeo', [
        'copy',
        '--quiet',
        '--dest-tls-verify=false',
        '--format',
        format,
        `docker-archive:${file}`,
        `docker://${name}`,
      ]);
      const pulled = await store.pull(name, undefined, new AbortController().signal);
      assert.equal(pulled.references, [name]);
      const root = await store.mountRoot(format, pulled);
      assert.is(execFileSync('chroot', [root, '/bin/cat', '/greeting'], { encoding: 'utf8' }), 'ahoy');
      await store.removeRoot(format);
    }
  } finally {
    registry.kill('SIGKILL');
    await once(registry, 'exit');
    await executor.close();
    execFileSync('rm', ['-rf', folder]);
  }
});

test('a short name is pulled through the mirror of Docker Hub, and the policy Always asks it each time', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kontiki-registry-'));
  const host = `127.0.0.1:${await freePort()}`;
  const executor = await createExecutor({ logger: silentLogger });
  const registry = await startRegistry(folder, host);
  try {
    const store = await createImageStore({
      dataDir: folder,
      executor,
      insecureRegistries: [],
      // Nothing listens on the first.
      registryMirrors: { 'docker.io': ['http://127.0.0.1:1', `http://${host}`] },
      logger: silentLogger,
      clock: systemClock,
    });
    const push = (greeting: string) => {
      const built = image([busyboxLayer(), layer(entry('greeting', greeting))]);
      const file = dockerArchive(join(folder, `${greeting}.tar`), [{ image: built, tags: ['demo:1'] }]);
      const to = `docker://${host}/library/busybox:latest`;
      execFileSync('skopeo', ['copy', '--quiet', '--dest-tls-verify=false', `docker-archive:${file}`, to]);
      return built.id;
    };
    const told: string[] = [];
    const events = { record: (_pod: unknown, _type: string, reason: string, text: string) => told.push(`${reason}: ${text}`) };
    const puller = new ImagePuller({ images: store, events, clock: systemClock });
    const pod = { metadata: { name: 'p', namespace: 'default' } } as Pod;
    const wanted = { reference: 'busybox', policy: 'Always' };
    for (const greeting of ['ahoy', 'again']) {
      const id = push(greeting);
      const pulled = await puller.ensure(pod, wanted, new Map(), new AbortController().signal);
      assert.is(pulled.id, id);
      assert.equal(pulled.references, ['docker.io/library/busybox:latest']);
      assert.match(pulled.digests[0] ?? '', /^docker\.io\/library\/busybox@sha256:/);
      const [pulling, done] = told.splice(0);
      assert.is(pulling, 'Pulling: Pulling image "busybox"');
      const took = '[\\d.]+m?s';
      const text = `^Pulled: Successfully pulled image "busybox" in ${took} \\(${took} including waiting\\)\\. Image size: ${pulled.sizeBytes} bytes\\.$`;
      assert.match(done ?? '', new RegExp(text));
    }
  } finally {
    registry.kill('SIGKILL');
    await once(registry, 'exit');
    await executor.close();
    execFileSync('rm', ['-rf', folder]);
  }
});

test.run();
