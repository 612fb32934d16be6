/** A registry in the test's own process, and a clock that does not wait for it. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { type BuiltImage, ociFiles } from './image-fixtures.ts';

/** A registry in the test: serves the parts of OCI layouts; `before` may answer a request itself by returning true. */
export class TestRegistry {
  readonly blobs = new Map<string, Buffer>();
  readonly tags = new Map<string, { bytes: Buffer; type: string }>();
  readonly requests: string[] = [];
  /** Kept when it stops. */
  host = '';
  before: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Gives the manifest's digest. */
  add(tag: string, built: BuiltImage, packLayer = (content: Buffer) => gzipSync(content) as Buffer): string {
    const { files, manifestDigest } = ociFiles(built, tag, packLayer);
    for (const [name, content] of Object.entries(files)) {
      if (name.startsWith('blobs/')) this.blobs.set(`sha256:${name.slice('blobs/sha256/'.length)}`, content as Buffer);
    }
    this.tags.set(tag, { bytes: this.blobs.get(manifestDigest)!, type: 'application/vnd.oci.image.manifest.v1+json' });
    return manifestDigest;
  }

  count(part: string): number {
    return this.requests.filter((request) => request.includes(part)).length;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.requests.push(request.url ?? '');
    if (this.before(request, response)) return;
    const [, kind, name = ''] = /^\/v2\/[a-z]+\/[a-z]+\/(manifests|blobs)\/([^?]+)/.exec(request.url ?? '') ?? [];
    const tagged = kind === 'manifests' ? this.tags.get(name) : undefined;
    const content = tagged?.bytes ?? this.blobs.get(name);
    if (!content) response.writeHead(404).end('{"errors":[]}');
    else response.writeHead(200, { 'content-type': tagged?.type ?? 'application/octet-stream' }).end(content);
  }
}

/** Pauses between tries are over at once; stalls never happen. */
export const hurriedClock: Clock = {
  ...systemClock,
  setTimer: (delayMs, callback) => systemClock.setTimer(delayMs < 10_000 ? 0 : delayMs, callback),
};
