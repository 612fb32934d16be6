/** What runs only while this peer leads: controllers, scheduler, bootstrap objects and the keeper of the membership. */
import { kinds } from '../api/kinds/index.ts';
import type { Api } from '../api/types.ts';
import type { ConsensusStatus } from '../consensus/types.ts';
import { type CertificateSigner, startControllers } from '../controllers/index.ts';
import { type Clock, delay } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import type { KindDefinition } from '../machinery/kind.ts';
import type { NodeHealth } from '../machinery/node-health.ts';
import type { Resource } from '../machinery/resources.ts';
import { type Decisions, startScheduler } from '../scheduler/index.ts';
import type { ClusterStore } from '../store/types.ts';
import { decodeRecord, type MemberRecord, memberPrefix } from './cluster-records.ts';
import { MembershipTask } from './membership-task.ts';
import type { PeerThread } from './peer-thread-handle.ts';
import type { Sealing } from './sealing.ts';

const retryMs = 500;

/** The storage version of a kind, as our own code asks for it. */
function resourceOf({ group, kind, plural, namespaced, versions }: KindDefinition): Resource {
  return { group, version: versions[0].name, resource: plural, kind, namespaced };
}

/** What can be listed, each resource once. */
function listed(all: readonly KindDefinition[]): Resource[] {
  return all
    .filter(({ verbs }) => !verbs || verbs.includes('watch'))
    .filter(({ storedForm }) => !storedForm || storedForm.storedAs === storedForm.servedAs)
    .map(resourceOf);
}

export interface LeadershipOptions {
  api: Api;
  store: ClusterStore;
  sealing: Sealing;
  peer: PeerThread;
  nodeHealth: NodeHealth;
  decisions: Decisions;
  podCidr: string;
  /** PEM: the cluster's certificate authority. */
  rootCertificate: string;
  certificates: CertificateSigner;
  clock: Clock;
  random: Random;
  logger: Logger;
}

export class Leadership {
  readonly #options: LeadershipOptions;
  #term: { number: number; abort: AbortController; ended: Promise<void> } | undefined;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  /** Follows the role: starts everything when this peer begins to lead, stops it at once when it no longer does. */
  update(status: ConsensusStatus): void {
    const leads = status.role === 'leader';
    if (this.#term && (!leads || this.#term.number !== status.term)) {
      this.#term.abort.abort(new Error('leadership lost'));
      this.#term = undefined;
    }
    if (leads && !this.#term) {
      const abort = new AbortController();
      this.#term = { number: status.term, abort, ended: this.#lead(status.term, abort.signal) };
    }
  }

  async stop(): Promise<void> {
    const term = this.#term;
    this.#term = undefined;
    term?.abort.abort(new Error('stopped'));
    await term?.ended;
  }

  async #lead(term: number, signal: AbortSignal): Promise<void> {
    const { api, store, sealing, peer, nodeHealth, decisions, podCidr, rootCertificate, certificates, clock, random, logger } =
      this.#options;
    const keeper = new MembershipTask({ store: sealing.store, peer, nodeHealth, clock, logger });
    logger.info({ term }, 'this peer leads');
    keeper.start();
    try {
      await this.#repeatUntilDone('bootstrap', signal, async () => {
        // Everything the former leader acknowledged must be visible before the first decision.
        await store.barrier(signal);
        await api.bootstrap(signal);
      });
      const client = api.client();
      const apiAddresses = () =>
        store.list(memberPrefix).records.map((record) => {
          const { apiAddress, apiPort } = decodeRecord<MemberRecord>(record.value);
          return { ip: apiAddress, port: apiPort };
        });
      const options = {
        apiAddresses,
        rootCertificate,
        certificates,
        policyWarnings: api.policyWarnings,
        /** With the kinds that users define, as they are at the moment. */
        get namespacedResources() {
          return listed(api.kinds()).filter((resource) => resource.namespaced);
        },
        ownableResources: listed(kinds),
      };
      const common = { client, clock, random };
      await Promise.all([
        this.#repeatUntilDone('controllers', signal, () =>
          startControllers(
            { ...common, nodeHealth, clusterCidr: podCidr, options, logger: logger.child({ part: 'controllers' }) },
            signal,
          ),
        ),
        this.#repeatUntilDone('sealing', signal, () => this.#options.sealing.keepRewriting(signal)),
        this.#repeatUntilDone('aggregator', signal, () => api.runAggregator(signal)),
        this.#repeatUntilDone('scheduler', signal, () =>
          startScheduler({ ...common, decisions, logger: logger.child({ part: 'scheduler' }) }, signal),
        ),
      ]);
    } finally {
      await keeper.stop();
      logger.info({ term }, 'this peer no longer leads');
    }
  }

  /** A failure is reported and tried again: only the end of leadership ends it. */
  async #repeatUntilDone(what: string, signal: AbortSignal, run: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      try {
        return await run();
      } catch (error) {
        if (signal.aborted) return;
        this.#options.logger.warn({ error, what }, 'a part of leading failed and will be started again');
      }
      await delay(this.#options.clock, retryMs, signal).catch(() => undefined);
    }
  }
}
