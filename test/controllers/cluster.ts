/** A cluster in memory for tests: controllers, scheduler and machines whose agents do nothing but report, all on one clock that tests move. */
import { startControllers } from '../../src/controllers/index.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { seededRandom } from '../../src/lib/random.ts';
import { Informer } from '../../src/machinery/informer.ts';
import type { NodeHealth, NodeHealthView } from '../../src/machinery/node-health.ts';
import * as r from '../../src/machinery/resources.ts';
import { isReason } from '../../src/machinery/status.ts';
import type { Deployment, Node, Pod, Service } from '../../src/machinery/types.ts';
import { Decisions, startScheduler } from '../../src/scheduler/index.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { MemoryClient } from '../client/memory-client.ts';

const namespacedResources = [r.pods, r.services, r.endpoints, r.configMaps, r.replicaSets, r.deployments, r.endpointSlices];
const ownableResources = [...namespacedResources, r.nodes] as unknown as r.Resource[];

export class FakeHealth implements NodeHealth {
  readonly #views = new Map<string, NodeHealthView>();
  readonly #listeners = new Set<(view: NodeHealthView) => void>();

  set(nodeName: string, verdict: NodeHealthView['verdict'], agentReady = true): void {
    const view = { nodeName, verdict, agentReady, lastHeartbeatMs: 0 };
    this.#views.set(nodeName, view);
    for (const listener of this.#listeners) listener(view);
  }
  get(nodeName: string): NodeHealthView | undefined {
    return this.#views.get(nodeName);
  }
  list(): NodeHealthView[] {
    return [...this.#views.values()];
  }
  onChange(listener: (view: NodeHealthView) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

export interface ClusterOptions {
  /** Default: controllers and scheduler. */
  scheduler?: boolean;
  seed?: number;
}

export class Cluster {
  readonly clock = new ManualClock();
  readonly client: MemoryClient;
  readonly health = new FakeHealth();
  readonly decisions = new Decisions();
  apiAddresses: { ip: string; port: number }[] = [];
  /** Images whose pods never become ready. */
  readonly brokenImages = new Set<string>();
  /** Machines that do nothing. */
  readonly silent = new Set<string>();
  readonly startMs = 200;
  readonly stopMs = 300;
  readonly #abort = new AbortController();
  readonly #ended: Promise<unknown>[] = [];
  readonly #random;
  #ips = 0;

  constructor({ scheduler = true, seed = 1 }: ClusterOptions = {}) {
    this.#random = seededRandom(seed);
    const { clock, health } = this;
    const random = this.#random;
    this.client = new MemoryClient({ clock, random });
    const common = { client: this.client, clock, random, logger: silentLogger };
    const options = { namespacedResources, ownableResources, apiAddresses: () => this.apiAddresses } as const;
    const controllers = { ...common, nodeHealth: health, clusterCidr: '10.42.0.0/16', options: options as never };
    this.#ended.push(startControllers(controllers, this.#abort.signal));
    if (scheduler) this.#ended.push(startScheduler({ ...common, decisions: this.decisions }, this.#abort.signal));
    const agents = new Informer({ ...common, resource: r.pods });
    agents.onChange(({ type, object }) => type !== 'deleted' && this.#agentSees(object));
    this.#ended.push(agents.start(this.#abort.signal));
  }

  async stop(): Promise<void> {
    this.#abort.abort(new Error('end of test'));
    await Promise.all(this.#ended);
  }

  async addNode(name: string, change: (node: Node) => void = () => {}): Promise<void> {
    const node = nodeNamed(name);
    change(node);
    this.health.set(name, 'alive');
    await this.client.create(r.nodes, node);
  }

  pods(namespace = 'default'): Pod[] {
    return this.client.all(r.pods, namespace);
  }

  readyPods(namespace = 'default'): Pod[] {
    return this.pods(namespace).filter((pod) => isReady(pod) && !pod.metadata.deletionTimestamp);
  }

  deployment(name: string): Deployment {
    const found = this.client.find(r.deployments, name, 'default');
    if (!found) throw new Error(`no deployment ${name}`);
    return found;
  }

  events(reason: string): string[] {
    return this.client.all(r.events).flatMap((event) => (event.reason === reason ? [event.message ?? ''] : []));
  }

  /** What `kubectl rollout status` waits for. */
  isRolledOut(name: string): boolean {
    const { metadata, spec, status = {} } = this.deployment(name);
    const wanted = spec?.replicas ?? 1;
    return (
      (status.observedGeneration ?? 0) >= (metadata.generation ?? 0) &&
      status.updatedReplicas === wanted &&
      status.replicas === wanted &&
      status.availableReplicas === wanted
    );
  }

  async change(name: string, edit: (deployment: Deployment) => void): Promise<void> {
    const deployment = structuredClone(this.deployment(name));
    edit(deployment);
    await this.client.update(r.deployments, deployment);
  }

  #agentSees(pod: Pod): void {
    const { nodeName } = pod.spec ?? {};
    if (!nodeName || this.silent.has(nodeName)) return;
    if (pod.metadata.deletionTimestamp) this.#later(this.stopMs, nodeName, () => this.#remove(pod));
    else if (!pod.status?.phase || pod.status.phase === 'Pending') this.#later(this.startMs, nodeName, () => this.#run(pod));
  }

  #later(ms: number, nodeName: string, act: () => Promise<unknown>): void {
    this.clock.setTimer(ms, () => {
      if (this.#abort.signal.aborted || this.silent.has(nodeName)) return;
      void act().catch((error) => {
        if (isReason(error, 'ServiceUnavailable')) this.#later(ms, nodeName, act);
        else if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
      });
    });
  }

  #run(pod: Pod): Promise<unknown> {
    const ready = !this.brokenImages.has(pod.spec?.containers[0]?.image ?? '');
    const at = `${new Date(this.clock.wallMs()).toISOString().slice(0, 19)}Z`;
    const podIP = `10.42.0.${++this.#ips}`;
    const conditions = [
      { type: 'PodScheduled', status: 'True' },
      { type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: at },
    ];
    const status = { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions };
    const { name, namespace = '', uid } = pod.metadata;
    const patch = { metadata: { uid }, status };
    return this.client.patch(r.pods, name, 'merge', patch, { namespace, subresource: 'status' });
  }

  #remove({ metadata: { name, namespace = '', uid } }: Pod): Promise<void> {
    return this.client.delete(r.pods, name, { namespace, gracePeriodSeconds: 0, preconditions: { uid: uid ?? '' } });
  }
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

export function nodeNamed(name: string): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name } },
    spec: {},
    status: {
      allocatable: { cpu: '4', memory: '8Gi', 'ephemeral-storage': '50Gi', pods: '110' },
      conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }],
    },
  };
}

export function deploymentNamed(name: string, replicas: number, image = 'web:1'): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default', labels: { app: name } },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'web', image, ports: [{ name: 'http', containerPort: 80 }] }] },
      },
    },
  };
}

export function serviceNamed(name: string, app = name): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { clusterIP: '10.43.0.7', selector: { app }, ports: [{ name: 'web', port: 80, targetPort: 'http', protocol: 'TCP' }] },
  };
}
