/** The seams of the API endpoint: what it needs from the node that runs it, and how its parts meet. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import type { Client } from '../machinery/client.ts';
import type { KindDefinition } from '../machinery/kind.ts';
import type { ValidatingAdmissionPolicy } from '../machinery/kind-types.ts';
import type { NodeHealth } from '../machinery/node-health.ts';
import type { Pod } from '../machinery/types.ts';
import type { ClusterStore } from '../store/types.ts';
import type { ExpressionWarning } from './admission-policy/type-checking.ts';
import type { FrontProxyFiles } from './aggregation/extension-servers.ts';
import type { AuditOptions } from './audit/audit.ts';
import type { ConversionClient } from './custom-resources/conversion.ts';
import type { FairnessLimits } from './http/fairness.ts';

/** Who makes a request: by a client certificate (CN is the name, each O a group), a service account's token, or neither. */
export interface User {
  name: string;
  groups: string[];
  uid?: string;
  /** Further facts, for example the pod that a token was made for. */
  extra?: Record<string, string[]>;
}

/** Opens byte streams to the HTTP server of a node's agent, wherever it runs. */
export interface AgentConnector {
  /** Rejects with StatusError 503 when that node cannot be reached. */
  connect(nodeName: string, signal: AbortSignal): Promise<Duplex>;
}

export interface ApiOptions {
  store: ClusterStore;
  kinds: KindDefinition[];
  agents: AgentConnector;
  nodeHealth: NodeHealth;
  /** Why nothing new may be stored now, for example because disks are full; left out or undefined: it may. */
  growthRefusal?: () => string | undefined;
  clock: Clock;
  random: Random;
  logger: Logger;
  /** For example 10.43.0.0/16. */
  serviceCidr: string;
  /** Inclusive. */
  nodePortRange: { from: number; to: number };
  /** Left out: as many requests at once as the reference server takes. */
  fairness?: FairnessLimits;
  /** Converts custom resources between versions. Left out: the webhooks of their definitions are called. */
  conversion?: ConversionClient;
  /** Left out: nothing is audited. */
  audit?: AuditOptions | undefined;
  /** Left out: extension API servers are asked without a certificate. */
  frontProxy?: FrontProxyFiles;
}

export interface TlsFiles {
  /** PEM. Clients that bring a certificate signed by `ca` are users; others are anonymous. */
  ca: string;
  cert: string;
  key: string;
}

export interface Api {
  /** Acts as `user`; default is the system itself (group system:masters). */
  client(user?: User): Client;
  /** All kinds that are served now; those that users define come and go. */
  kinds(): readonly KindDefinition[];
  /** HTTPS, HTTP/2 and 1.1. Gives the port. */
  listen(options: { host: string; port: number; tls: TlsFiles }): Promise<number>;
  /** Plain HTTP/1.1 on a Unix socket (mode 0600); every request is by `user`. */
  listenSocket(path: string, user: User): Promise<void>;
  /** Plain HTTP/1.1 on a Unix socket (mode 0600) for what the relays of other members pass on: they are trusted to name the user. */
  listenMembers(path: string): Promise<void>;
  /** Creates what clients expect to be there (namespaces, the kubernetes service). Run by the leader, idempotent. */
  bootstrap(signal: AbortSignal): Promise<void>;
  /** What the expressions of a policy have against the kinds that it names, as these are now. */
  policyWarnings(policy: ValidatingAdmissionPolicy): ExpressionWarning[];
  /** Keeps what is known of extension API servers (APIService). Run by the leader; ends by the signal. */
  runAggregator(signal: AbortSignal): Promise<void>;
  /** Service account tokens are signed with a new key from now on; what the latest older keys have signed stays valid. */
  rotateServiceAccountKeys(signal: AbortSignal): Promise<void>;
  /** Stops listening, ends watches and streams. */
  close(): Promise<void>;
}

/** The endpoint of a machine that holds no state: it knows who asks, and lets another machine answer. */
export interface Relay extends Pick<Api, 'listen' | 'listenSocket' | 'close'> {}

export interface RelayOptions {
  /** A byte stream to the API of a machine that holds the state. Rejects when there is none; nothing was sent then. */
  connect(signal: AbortSignal): Promise<Socket>;
  logger: Logger;
}

/**
 * One request for a pod's stream after routing, authentication and authorization. The pod is scheduled (it has a nodeName).
 * The handler owns the socket: it answers the upgrade (WebSocket or SPDY/3.1) or an error itself.
 */
export interface PodStreamRequest {
  kind: 'exec' | 'attach' | 'portforward';
  pod: Pod;
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
  query: URLSearchParams;
}
