/** The API endpoint of one peer: composed here from the registry, the in-process client and the listeners. */

import { serviceUnavailable } from '../machinery/status.ts';
import { AdmissionChain, standardPlugins } from './admission/index.ts';
import { typeWarnings } from './admission-policy/type-checking.ts';
import { Aggregator } from './aggregation/aggregator.ts';
import { Audit } from './audit/audit.ts';
import { Authenticator, systemUser } from './authentication.ts';
import { bootstrapCluster } from './bootstrap.ts';
import { webhookConversion } from './custom-resources/conversion.ts';
import { DefinedKinds } from './custom-resources/definitions.ts';
import { Discovery } from './http/discovery.ts';
import { Exchange } from './http/exchange.ts';
import { FixedPaths } from './http/fixed-paths.ts';
import { RequestHandler } from './http/handler.ts';
import { ResourceHandler } from './http/resource-handler.ts';
import { Listeners } from './http/server.ts';
import { handleUpgrade } from './http/upgrades.ts';
import { KindTable } from './kind-table.ts';
import { LocalClient } from './local-client.ts';
import { rbacAuthorizer } from './rbac/authorizer.ts';
import { PodReferences } from './rbac/pod-references.ts';
import { RoleIndex } from './rbac/role-index.ts';
import { Registry } from './registry.ts';
import { ServiceClaims } from './service-claims.ts';
import { ServiceAccountTokens } from './tokens/service-account-tokens.ts';
import { SigningKeys } from './tokens/signing-keys.ts';
import type { Api, ApiOptions } from './types.ts';
import { Upstreams } from './upstream/upstream.ts';
import { createWebhooks } from './webhooks/index.ts';

export { createRelay } from './relay/relay.ts';

/** Throws ApiError 'BadCidr' or 'DuplicateKind' for options that cannot work. */
export function createApi(options: ApiOptions): Api {
  const { store, agents, clock, random, logger, nodeHealth, growthRefusal, serviceCidr, nodePortRange } = options;
  const table = new KindTable(options.kinds);
  const claims = new ServiceClaims({ store, random, serviceCidr, nodePortRange });
  const roles = new RoleIndex(store.local);
  const references = new PodReferences(store.local);
  const authorizer = rbacAuthorizer(roles, references);
  const keys = new SigningKeys(store);
  const tokens = new ServiceAccountTokens({ keys, store, clock, random });
  const access = { authorizer, roles };
  const stop = new AbortController();
  const closing = stop.signal;
  const upstreams = new Upstreams({ agents, clock, closing });
  const hooks = createWebhooks({ store, clock, random, logger, upstreams, authorizer });
  const conversion = options.conversion ?? webhookConversion(hooks.convert);
  const defined = new DefinedKinds({ store: store.local, table, logger, conversion });
  const admission = new AdmissionChain(standardPlugins(hooks));
  const registry = new Registry({ store, table, clock, random, nodeHealth, growthRefusal, claims, access, tokens, admission });
  const resources = new ResourceHandler({ registry, agents, upstreams, logger, closing });
  const aggregator = new Aggregator({
    ...{ store, local: store.local, table, upstreams, clock, random, frontProxy: options.frontProxy },
    logger: logger.child({ part: 'aggregator' }),
  });
  const fixed = new FixedPaths({ store, table, discovery: new Discovery(table, aggregator), keys, aggregator });
  const audit = options.audit && new Audit(options.audit);
  const handler = new RequestHandler({
    table,
    store,
    authorizer,
    resources,
    fixed,
    aggregator,
    upstreams,
    audit,
    clock,
    logger,
    closing,
    fairness: options.fairness,
  });
  const authenticator = new Authenticator(tokens, { store, clock });
  const upgrades = { handler, registry, resources, agents, upstreams, aggregator, logger, closing };
  const listeners = new Listeners({
    service: {
      userOf: (request, socket, signal) => authenticator.userOf(request, socket, signal),
      request: (request, response, authenticate, fromMember) =>
        void handler.handle(new Exchange(request, response), authenticate, fromMember),
      upgrade: (upgrade, authenticate) => void handleUpgrade(upgrades, upgrade, authenticate),
    },
    logger,
  });
  const client = (user = systemUser) => new LocalClient(registry, authorizer, user);
  return {
    client,
    kinds: () => table.kinds,
    listen: (listen) => listeners.listenTls(listen),
    listenSocket: (path, user) => listeners.listenSocket(path, user),
    listenMembers: (path) => listeners.listenMembers(path),
    async bootstrap(signal) {
      await keys.ensure(signal);
      await bootstrapCluster(client(), claims.apiAddress, signal);
    },
    policyWarnings: ({ spec }) => typeWarnings(spec ?? {}, table),
    runAggregator: (signal) => aggregator.run(client(), signal),
    rotateServiceAccountKeys: (signal) => keys.rotate(signal),
    async close() {
      stop.abort(serviceUnavailable('the server is shutting down'));
      await listeners.close();
      roles.close();
      defined.close();
      references.close();
      hooks.close();
      aggregator.close();
    },
  };
}
