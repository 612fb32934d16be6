/** Debian's docker-registry on a free port of the loopback. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Serves `<folder>/registry` at `host`; answers when this resolves. */
export async function startRegistry(folder: string, host: string): Promise<ChildProcess> {
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
