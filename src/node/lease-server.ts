/** Tells the lease to this machine's agent, from the peer thread: a stall of the main thread must not look like a lost lease. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';

/** `GET /lease` → `{ "remainingMs": number }`. Resolves when it listens. */
export async function serveLease(path: string, lease: { remainingMs(): number }): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/lease') {
      response.writeHead(404).end();
      return;
    }
    const remainingMs = Math.floor(lease.remainingMs());
    response.writeHead(200, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify({ remainingMs }));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return server;
}
