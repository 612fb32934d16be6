/** What every controller is given, and the informers that they share: one copy and one watch for each resource. */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import type { Client } from '../machinery/client.ts';
import { EventRecorder } from '../machinery/events.ts';
import { Informer } from '../machinery/informer.ts';
import type { ValidatingAdmissionPolicy } from '../machinery/kind-types.ts';
import type { NodeHealth } from '../machinery/node-health.ts';
import * as r from '../machinery/resources.ts';
import type { KubeObject } from '../machinery/types.ts';
import type { RequestedCertificate } from './certificate-signing-request/plan.ts';

/** The cluster's authority, as far as certificates of others go. */
export interface CertificateSigner {
  /** Common names that nobody gets. */
  readonly reservedNames: readonly string[];
  /** What a PEM asks for; undefined when it is no request, or not signed with its own key. */
  read(pem: string): Promise<RequestedCertificate | undefined>;
  /** A PEM. `usages` as in CertificateSigningRequest. */
  sign(pem: string, options: { usages: readonly string[]; expirationSeconds?: number }): Promise<string>;
}

export interface ControllerOptions {
  /** What a namespace may hold; all of it goes when the namespace goes. */
  readonly namespacedResources: readonly r.Resource[];
  /** Everything that may own or be owned. */
  readonly ownableResources: readonly r.Resource[];
  /** Where the API answers now: the machines that serve it. */
  readonly apiAddresses: () => readonly { ip: string; port: number }[];
  /** PEM: what the API's certificates are signed by; pods find it in every namespace. Left out: it is not published. */
  readonly rootCertificate?: string;
  /** Signs what is asked for by CertificateSigningRequest. Left out: nothing is approved or signed. */
  readonly certificates?: CertificateSigner;
  /** What the expressions of a policy have against the kinds that it names. Left out: nothing is said of that. */
  readonly policyWarnings?: (policy: ValidatingAdmissionPolicy) => readonly { fieldRef: string; warning: string }[];
  /** Finished pods kept; the oldest above that are removed. Default 12500. */
  readonly finishedPodsMax?: number;
  /** How long a pod may be bound to a machine that is not there (yet) before it is removed. Default 20 s. */
  readonly missingNodeGraceMs?: number;
  /** How long the agent of a machine that lives may be silent before its node counts as lost. Default 10 s. */
  readonly agentSilenceMs?: number;
  /** How long a new leader waits to hear of a machine before it counts as lost. Default 15 s. */
  readonly unheardNodeMs?: number;
}

export interface StartControllersOptions {
  readonly client: Client;
  readonly nodeHealth: NodeHealth;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** For example 10.42.0.0/16; each node gets a /24 of it. */
  readonly clusterCidr: string;
  readonly options: ControllerOptions;
}

/** One control loop. It has told the informers what it wants to hear when it is made; `run` starts once they are filled. */
export interface Controller {
  readonly name: string;
  /** Resolves when the signal is aborted and its work has ended. */
  run(signal: AbortSignal): Promise<void>;
}

export class ControllerContext implements StartControllersOptions {
  readonly client: Client;
  readonly nodeHealth: NodeHealth;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly clusterCidr: string;
  readonly options: ControllerOptions;
  readonly signal: AbortSignal;
  readonly #informers = new Map<string, Informer<KubeObject>>();
  readonly #recorders: EventRecorder[] = [];

  constructor(given: StartControllersOptions, signal: AbortSignal) {
    this.client = given.client;
    this.nodeHealth = given.nodeHealth;
    this.clock = given.clock;
    this.random = given.random;
    this.logger = given.logger;
    this.clusterCidr = given.clusterCidr;
    this.options = given.options;
    this.signal = signal;
  }

  /** The one informer of this resource, made on first use. */
  informer<T extends KubeObject>(resource: r.Resource<T>): Informer<T> {
    const key = `${resource.group}/${resource.resource}`;
    const known = this.#informers.get(key);
    if (known) return known as unknown as Informer<T>;
    const { client, clock, random, logger } = this;
    const informer = new Informer({ client, resource, clock, random, logger });
    this.#informers.set(key, informer as unknown as Informer<KubeObject>);
    return informer;
  }

  get pods() {
    return this.informer(r.pods);
  }
  get nodes() {
    return this.informer(r.nodes);
  }
  get services() {
    return this.informer(r.services);
  }
  get replicaSets() {
    return this.informer(r.replicaSets);
  }
  get deployments() {
    return this.informer(r.deployments);
  }
  get namespaces() {
    return this.informer(r.namespaces);
  }

  recorder(component: string): EventRecorder {
    const { client, clock, logger, signal } = this;
    const recorder = new EventRecorder({ client, component, clock, logger, signal });
    this.#recorders.push(recorder);
    return recorder;
  }

  /** Starts every informer made so far. `synced` resolves when all are filled, `ended` when the signal has stopped them. */
  startInformers(signal: AbortSignal): { synced: Promise<void>; ended: Promise<void> } {
    const informers = [...this.#informers.values()];
    const ended = Promise.all(informers.map((informer) => informer.start(signal))).then(() => undefined);
    const synced = Promise.all(informers.map((informer) => informer.synced(signal))).then(() => undefined);
    return { synced, ended };
  }

  async flushEvents(): Promise<void> {
    await Promise.all(this.#recorders.map((recorder) => recorder.flush()));
  }
}
