/**
 * Extension API servers: how they are reached, and how they are told for whom we ask. They believe us because of the client
 * certificate of the front proxy, whose authority they find in a config map (front-proxy.ts).
 */
import type { OutgoingHttpHeaders } from 'node:http';
import type { Random } from '../../lib/random.ts';
import type { StoreReader } from '../../store/types.ts';
import type { User } from '../types.ts';
import { placeOfService } from '../upstream/places.ts';
import type { Server } from '../upstream/upstream.ts';
import type { RemoteService } from './api-services.ts';

/** PEM. */
export interface FrontProxyFiles {
  /** Of the authority that has signed `cert`. */
  ca: string;
  /** Its common name is `front-proxy-client`. */
  cert: string;
  key: string;
}

export interface Surroundings {
  store: StoreReader;
  random: Random;
  frontProxy: FrontProxyFiles | undefined;
}

export function extensionServer({ spec }: RemoteService, { store, random, frontProxy }: Surroundings): Server {
  const { service, caBundle = '', insecureSkipTLSVerify: insecure = false } = spec;
  const serverName = `${service.name}.${service.namespace}.svc`;
  return {
    key: `extension:${serverName}:${service.port}:${insecure}:${caBundle}`,
    place: () => placeOfService({ store, random }, service),
    tls: {
      serverName,
      insecure,
      ...(caBundle ? { ca: Buffer.from(caBundle, 'base64').toString('utf8') } : {}),
      ...(frontProxy ? { cert: frontProxy.cert, key: frontProxy.key } : {}),
    },
  };
}

/** Names of extra facts go into header names, where few characters may stand. */
export function remoteUserHeaders({ name, uid, groups, extra = {} }: User): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { 'x-remote-user': name, 'x-remote-group': groups };
  if (uid) headers['x-remote-uid'] = uid;
  for (const [key, values] of Object.entries(extra)) {
    const escaped = encodeURIComponent(key.toLowerCase()).replace(/[()]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
    headers[`x-remote-extra-${escaped}`] = values;
  }
  return headers;
}
