/** Paths that are no resources: version, health, metrics, OpenAPI, and the list of all paths. */
import { createHash } from 'node:crypto';
import { register } from 'prom-client';
import { errorMessage } from '../../lib/errors.ts';
import { openApiV2Protobuf, openApiV3Document, openApiV3Index } from '../../machinery/openapi.ts';
import type { ClusterStore } from '../../store/types.ts';
import type { Aggregator } from '../aggregation/aggregator.ts';
import type { KindTable } from '../kind-table.ts';
import { issuer } from '../tokens/service-account-tokens.ts';
import type { SigningKeys } from '../tokens/signing-keys.ts';
import { versionInfo } from '../version.ts';
import { sendJson } from './answers.ts';
import type { Discovery } from './discovery.ts';
import type { Exchange } from './exchange.ts';
import { type HealthCheck, ping, serveHealth } from './health.ts';

const readyTimeoutMs = 2_000;
const openApiV2Type = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
const openApiV3Root = '/openapi/v3/';
const keySetPath = '/openid/v1/jwks';
/** OpenID Connect Discovery 1.0: how others check service account tokens without asking us about each. */
const openIdConfiguration = {
  issuer,
  jwks_uri: `${issuer}${keySetPath}`,
  response_types_supported: ['id_token'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
};

export class FixedPaths {
  readonly #store: ClusterStore;
  readonly #table: KindTable;
  readonly #discovery: Discovery;
  readonly #keys: SigningKeys;
  readonly #aggregator: Aggregator;
  /** Encoded documents by group version, large; of one generation of the table. */
  readonly #documents = new Map<string, { bytes: Buffer; etag: string }>();
  #generation = -1;

  constructor(options: {
    store: ClusterStore;
    table: KindTable;
    discovery: Discovery;
    keys: SigningKeys;
    aggregator: Aggregator;
  }) {
    this.#store = options.store;
    this.#table = options.table;
    this.#discovery = options.discovery;
    this.#keys = options.keys;
    this.#aggregator = options.aggregator;
  }

  /** False when there is nothing at this path. */
  async serve(exchange: Exchange): Promise<boolean> {
    const path = exchange.path.length > 1 ? exchange.path.replace(/\/+$/, '') : exchange.path;
    // Kinds may have been defined through another peer. Without a quorum this peer tells what it knows.
    if (path.startsWith('/apis') || path.startsWith('/openapi')) await this.#quorumFailure(exchange.signal);
    if (path === '/apis' || path === '/openapi/v3') await this.#aggregator.discovery.refresh();
    const discovered = this.#discovery.find(path, exchange);
    if (discovered) {
      exchange.setHeader('vary', 'accept');
      await sendJson(exchange, 200, discovered.body, discovered.contentType);
      return true;
    }
    const health = /^\/(healthz|livez|readyz)(\/|$)/.exec(path)?.[1];
    if (health) return serveHealth(exchange, path.slice(1), health === 'readyz' ? [ping, this.#quorum(exchange.signal)] : [ping]);
    switch (path) {
      case '/':
        await sendJson(exchange, 200, { paths: this.#paths() });
        return true;
      case '/version':
        await sendJson(exchange, 200, versionInfo);
        return true;
      case '/metrics':
        await exchange.send(200, register.contentType, Buffer.from(await register.metrics()));
        return true;
      case '/.well-known/openid-configuration':
        await sendJson(exchange, 200, openIdConfiguration);
        return true;
      case keySetPath:
        await sendJson(exchange, 200, this.#keys.keySet(), 'application/jwk-set+json');
        return true;
      case '/openapi/v2':
        await exchange.send(200, openApiV2Type, openApiV2Protobuf);
        return true;
      case '/openapi/v3':
        await sendJson(exchange, 200, this.#openApiV3Index());
        return true;
      default:
        return path.startsWith(openApiV3Root) && (await this.#openApiV3(exchange, path.slice(openApiV3Root.length)));
    }
  }

  #openApiV3Index(): object {
    const { paths } = openApiV3Index([...this.#table.kinds]);
    for (const [path, serverRelativeURL] of this.#aggregator.discovery.openApiPaths()) paths[path] ??= { serverRelativeURL };
    return { paths };
  }

  #paths(): string[] {
    const groups = this.#table.groups().flatMap(({ group, versions }) => {
      if (group === '') return ['/api', ...versions.map((version) => `/api/${version}`)];
      return [`/apis/${group}`, ...versions.map((version) => `/apis/${group}/${version}`)];
    });
    return [
      ...groups,
      '/.well-known/openid-configuration',
      '/apis',
      '/healthz',
      '/healthz/ping',
      '/livez',
      '/livez/ping',
      '/metrics',
      '/openapi/v2',
      '/openapi/v3',
      keySetPath,
      '/readyz',
      '/readyz/ping',
      '/readyz/quorum',
      '/version',
    ].sort();
  }

  /** Undefined when this peer can serve linearizable reads. */
  async #quorumFailure(signal: AbortSignal): Promise<string | undefined> {
    try {
      await this.#store.barrier(AbortSignal.any([signal, AbortSignal.timeout(readyTimeoutMs)]));
      return undefined;
    } catch (error) {
      return errorMessage(error);
    }
  }

  #quorum(signal: AbortSignal): HealthCheck {
    return { name: 'quorum', failure: () => this.#quorumFailure(signal) };
  }

  async #openApiV3(exchange: Exchange, path: string): Promise<boolean> {
    const groupVersion = path.replace(/^apis?\//, '');
    const known = this.#table
      .groups()
      .some(({ group, versions }) =>
        versions.some((version) => path === (group === '' ? `api/${version}` : `apis/${group}/${version}`)),
      );
    if (!known) return false;
    if (this.#generation !== this.#table.generation) {
      this.#generation = this.#table.generation;
      this.#documents.clear();
    }
    let document = this.#documents.get(groupVersion);
    if (!document) {
      const bytes = Buffer.from(JSON.stringify(openApiV3Document(groupVersion, [...this.#table.kinds])));
      document = { bytes, etag: `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"` };
      this.#documents.set(groupVersion, document);
    }
    exchange.setHeader('etag', document.etag);
    await exchange.send(200, 'application/json', document.bytes);
    return true;
  }
}
