/** A whole API on a loopback port, with the built-in kinds, and what talks to it. */

import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { createApi } from '../../src/api/index.ts';
import type { ApiOptions } from '../../src/api/types.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { serviceUnavailable } from '../../src/machinery/status.ts';
import type { ClusterStore } from '../../src/store/types.ts';
import { type Identity, testAuthority } from './certificates.ts';
import { MemoryCluster } from './memory-cluster.ts';
import { TestHealth, testKinds } from './widgets.ts';

export interface Answer {
  code: number;
  headers: IncomingMessage['headers'];
  text: string;
  /** The body as JSON. */
  json<T = Record<string, unknown>>(): T;
}

export interface Ask {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

interface Options extends Partial<Omit<ApiOptions, 'store'>> {
  /** One that another API has served before. */
  store?: MemoryCluster;
  authority?: Awaited<ReturnType<typeof testAuthority>>;
  /** Puts something between the API and the store. */
  above?: (store: MemoryCluster) => Promise<ClusterStore>;
}

export async function listeningApi({ store: given, authority: known, above, ...options }: Options = {}) {
  const store = given ?? (await MemoryCluster.open());
  const api = createApi({
    store: above ? await above(store) : store,
    kinds: testKinds,
    agents: { connect: async () => Promise.reject(serviceUnavailable('no agent here')) },
    nodeHealth: new TestHealth(),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    serviceCidr: '10.43.0.0/16',
    nodePortRange: { from: 30_000, to: 32_767 },
    ...options,
  });
  await api.bootstrap(AbortSignal.timeout(10_000));
  const authority = known ?? (await testAuthority());
  const server = await authority.issue('CN=server');
  const admin = await authority.issue('CN=admin, O=system:masters');
  const port = await api.listen({ host: '127.0.0.1', port: 0, tls: { ca: authority.ca, ...server } });
  const agentOf = (identity?: Identity) => new https.Agent({ keepAlive: true, ca: authority.ca, ...identity });
  const agents = { admin: agentOf(admin), nobody: agentOf() };
  const extra: https.Agent[] = [];

  /** The answer, whole. `as` takes another client certificate. */
  async function request(path: string, { method = 'GET', headers = {}, body }: Ask = {}, agent = agents.admin): Promise<Answer> {
    const response = await open(path, { method, headers, body }, agent);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    return { code: response.statusCode ?? 0, headers: response.headers, text, json: () => JSON.parse(text) };
  }

  function open(path: string, { method = 'GET', headers = {}, body }: Ask = {}, agent = agents.admin): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      // Node leaves it out for DELETE, which kubectl sends with a body.
      const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
      const outgoing = https.request(
        { host: '127.0.0.1', port, path, method, headers: { ...length, ...headers }, agent },
        resolve,
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  return {
    api,
    store,
    port,
    authority,
    admin,
    agents,
    request,
    open,
    as: (identity: Identity) => {
      const agent = agentOf(identity);
      extra.push(agent);
      return agent;
    },
    async close() {
      for (const agent of [...Object.values(agents), ...extra]) agent.destroy();
      await api.close();
    },
  };
}

export type ListeningApi = Awaited<ReturnType<typeof listeningApi>>;
