/** The scheduler's writes on pods: the binding, and the condition that says why there is none. */
import type { Clock } from '../lib/clock.ts';
import type { Client } from '../machinery/client.ts';
import { pods, type Resource } from '../machinery/resources.ts';
import { isReason } from '../machinery/status.ts';
import type { KubeObject, Pod, PodCondition } from '../machinery/types.ts';

interface Binding extends KubeObject {
  target: { apiVersion: string; kind: string; name: string };
}

const bindings: Resource<Binding> = { ...pods, kind: 'Binding' } as Resource<Binding>;

export interface BinderOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export class Binder {
  readonly #options: BinderOptions;

  constructor(options: BinderOptions) {
    this.#options = options;
  }

  /** 409 Conflict when the pod has a node already or is being deleted, 404 when it is gone. */
  async bind(pod: Pod, nodeName: string): Promise<void> {
    const { client, signal } = this.#options;
    const { namespace = '', name, uid } = pod.metadata;
    await client.create(
      bindings,
      { metadata: { namespace, name, ...(uid ? { uid } : {}) }, target: { apiVersion: 'v1', kind: 'Node', name: nodeName } },
      { subresource: 'binding', namespace, name, signal },
    );
  }

  async reportUnschedulable(pod: Pod, message: string): Promise<void> {
    const { client, clock, signal } = this.#options;
    const { namespace = '', name, uid, resourceVersion } = pod.metadata;
    const conditions = pod.status?.conditions ?? [];
    const previous = conditions.find(({ type }) => type === 'PodScheduled');
    if (previous?.status === 'False' && previous.reason === 'Unschedulable' && previous.message === message) return;
    const now = `${new Date(clock.wallMs()).toISOString().slice(0, 19)}Z`;
    const condition: PodCondition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime: previous?.status === 'False' ? (previous.lastTransitionTime ?? now) : now,
    };
    const next = previous ? conditions.map((each) => (each === previous ? condition : each)) : [...conditions, condition];
    const patch = { metadata: { uid, resourceVersion }, status: { conditions: next } };
    try {
      await client.patch(pods, name, 'merge', patch, { namespace, subresource: 'status', signal });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }
}
