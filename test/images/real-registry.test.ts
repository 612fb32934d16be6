/** Against Debian's docker-registry, filled by skopeo: what a user's registry really sends. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createExecutor } from '../../src/agent/host/executor.ts';
import { createImageStore } from '../../src/agent/images/image-store.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { busyboxLayer, dockerArchive, entry, image, layer } from './image-fixtures.ts';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startRegistry(folder: string, host: string): Promise<ChildProcess> {
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(folder, 'registry') } },
    http: { addr: host },
  };
  writeFileSync(join(folder, 'registry.yml'), JSON.stringify(config));
  const registry = spawn('docker-registry', ['serve', join(folder, 'registry.yml')], { stdio: 'ignore' });
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`http://${host}/v2/`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return registry;
    if (tries === 200) throw new Error('the registry does not answer');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

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

test.run();
