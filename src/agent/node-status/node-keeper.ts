/**
 * Keeps this machine's Node in the API: creates it, sets labels and status, and sets Ready again at once when somebody (the
 * node lifecycle controller, after a silence) has said otherwise. Also tells the pod network its range and its peers. The API may
 * be away at any time; what is wanted is written when it is back.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Random } from '../../lib/random.ts';
import { RepeatingTask } from '../../lib/repeating-task.ts';
import type { Client } from '../../machinery/client.ts';
import { Informer } from '../../machinery/informer.ts';
import { nodes } from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Node } from '../../machinery/types.ts';
import type { PressureCondition } from '../eviction/types.ts';
import type { Machine } from '../host/machine.ts';
import { Waker } from '../pods/waker.ts';
import type { AgentOptions, ImageStore, PodNetwork } from '../types.ts';
import { nodeLabels, nodeStatus, statusDiffers } from './node-object.ts';

export interface NodeKeeperOptions {
  client: Client;
  options: AgentOptions;
  machine: Machine;
  images: ImageStore;
  network: PodNetwork;
  clock: Clock;
  random: Random;
  logger: Logger;
  /** Runs after the pod network has started and before any pod is attached to it. */
  onNetworkStarted: () => Promise<void>;
  /** The container runtimes that are installed. */
  handlers: () => readonly string[];
  /** What the machine runs short of; `refresh` tells of a change. */
  pressure: () => ReadonlySet<PressureCondition>;
  runtimeVersion: string;
  kubeletVersion: string;
}

/** Images are looked at this often; nothing is written when nothing changed. */
const lookIntervalMs = 10_000;
const retryMsMin = 200;
const retryMsMax = 5_000;

export class NodeKeeper {
  readonly #options: NodeKeeperOptions;
  readonly #informer: Informer<Node>;
  readonly #waker: Waker;
  readonly #stop = new AbortController();
  readonly #networkStarted = Promise.withResolvers<void>();
  readonly #known = Promise.withResolvers<void>();
  #networkUp = false;
  #networkError: string | undefined;
  #peersTold: string | undefined;
  #node: Node;
  #loops: Promise<void>[] = [];
  #look: RepeatingTask | undefined;

  constructor(options: NodeKeeperOptions) {
    this.#options = options;
    const { client, clock, random, logger } = options;
    this.#informer = new Informer({ client, clock, random, logger, resource: nodes });
    this.#waker = new Waker(clock);
    this.#node = this.#wantedNode();
  }

  /** This machine's Node as last seen; before that, as it will be registered. */
  get node(): Node {
    return this.#node;
  }

  /** Resolves when the Node has been seen in the API. */
  get known(): Promise<void> {
    return this.#known.promise;
  }

  /** Resolves when the pod network stands. */
  get networkStarted(): Promise<void> {
    return this.#networkStarted.promise;
  }

  start(): void {
    const { clock, logger, options } = this.#options;
    this.#informer.onChange(({ type, object }) => {
      if (object.metadata.name === options.nodeName && type !== 'deleted') this.#seen(object);
      this.#waker.wake();
    });
    this.#look = new RepeatingTask({
      clock,
      intervalMs: lookIntervalMs,
      run: () => this.#waker.wake(),
      onError: (error) => logger.error({ error }, 'node look'),
    });
    this.#look.start();
    const signal = this.#stop.signal;
    this.#loops = [
      this.#informer.start(signal),
      this.#loop('node status', signal, () => this.#keepNode()),
      this.#loop('pod network', signal, () => this.#keepNetwork()),
    ];
  }

  /** The network and the Node stay as they are. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the agent stops'));
    await this.#look?.stop();
    await Promise.all(this.#loops);
  }

  /** Looks at once: an image was imported, for example. */
  refresh(): void {
    this.#waker.wake();
  }

  async #loop(what: string, signal: AbortSignal, run: () => Promise<void>): Promise<void> {
    const { clock, logger } = this.#options;
    let retryMs = retryMsMin;
    while (!signal.aborted) {
      const seen = this.#waker.count;
      try {
        await run();
        retryMs = retryMsMin;
        await this.#waker.sleep(seen, clock.wallMs() + lookIntervalMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        logger.warn({ error }, `${what}: trying again`);
        await this.#waker.sleep(this.#waker.count, clock.wallMs() + retryMs, signal);
        retryMs = Math.min(retryMs * 2, retryMsMax);
      }
    }
  }

  #wantedNode(): Node {
    const { options, machine } = this.#options;
    return {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: options.nodeName, labels: nodeLabels(options, machine.architecture) },
      spec: {},
    };
  }

  /** One round: exists, has its labels, has the right status. */
  async #keepNode(): Promise<void> {
    const { client, options, logger } = this.#options;
    const signal = this.#stop.signal;
    await this.#informer.synced(signal);
    if (!this.#informer.get(undefined, options.nodeName)) {
      this.#seen(await this.#register(signal));
      logger.info({ node: options.nodeName }, 'node registered');
    }
    let node = this.#node;
    const missing = Object.entries(this.#wantedNode().metadata.labels!).filter(
      ([key, value]) => node?.metadata.labels?.[key] !== value,
    );
    if (missing.length) {
      const patch = { metadata: { labels: Object.fromEntries(missing) } };
      node = await client.patch(nodes, options.nodeName, 'merge', patch, { signal });
    }
    const status = await this.#status(node);
    if (!statusDiffers(status, node.status)) return;
    // Strategic: conditions and addresses are merged by their type, so that conditions of others stay.
    this.#seen(await client.patch(nodes, options.nodeName, 'strategic', { status }, { subresource: 'status', signal }));
  }

  /** Answers to our writes and the watch come in any order: the newest counts. */
  #seen(node: Node): void {
    const another = node.metadata.uid !== this.#node.metadata.uid;
    this.#known.resolve();
    if (another || versionOf(node) >= versionOf(this.#node)) this.#node = node;
  }

  async #register(signal: AbortSignal): Promise<Node> {
    const { client, options } = this.#options;
    try {
      return await client.create(nodes, this.#wantedNode(), { signal });
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
      return client.get(nodes, options.nodeName, { signal });
    }
  }

  async #status(node: Node) {
    const { options, machine, images, clock, handlers, pressure, runtimeVersion, kubeletVersion } = this.#options;
    const present = await images.list();
    const notReady = this.#networkUp
      ? undefined
      : { reason: 'AgentNotReady', message: this.#networkError ?? 'the pod network is not up: the node has no podCIDR yet' };
    return nodeStatus({
      options,
      machine,
      runtimeVersion,
      kubeletVersion,
      images: present,
      handlers: handlers(),
      notReady,
      pressure: pressure(),
      nowMs: clock.wallMs(),
      conditions: node.status?.conditions ?? [],
    });
  }

  async #keepNetwork(): Promise<void> {
    const { network, options, logger, onNetworkStarted } = this.#options;
    const all = this.#informer.list();
    const podCidr = all.find(({ metadata }) => metadata.name === options.nodeName)?.spec?.podCIDR;
    if (!podCidr) return;
    if (!this.#networkUp) {
      try {
        await network.start(podCidr, options.nodeIp);
        await onNetworkStarted();
      } catch (error) {
        this.#networkError = `the pod network did not start: ${error instanceof Error ? error.message : String(error)}`;
        throw error;
      }
      this.#networkUp = true;
      this.#networkStarted.resolve();
      logger.info({ podCidr }, 'pod network started');
      this.#waker.wake();
    }
    const peers = all.flatMap(({ metadata, spec, status }) => {
      const nodeIp = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address;
      return metadata.name !== options.nodeName && spec?.podCIDR && nodeIp
        ? [{ nodeName: metadata.name, nodeIp, podCidr: spec.podCIDR }]
        : [];
    });
    peers.sort((a, b) => (a.nodeName < b.nodeName ? -1 : 1));
    const told = JSON.stringify(peers);
    if (told === this.#peersTold) return;
    await network.setPeers(peers);
    this.#peersTold = told;
  }
}

function versionOf(node: Node): bigint {
  return BigInt(node.metadata.resourceVersion ?? 0);
}
