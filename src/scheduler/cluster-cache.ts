/**
 * Nodes and the pods on them, as the next decision must see them: what the informers show, and the pods just decided on whose binding
 * they do not show yet (assumed). Bounded by the cluster's nodes and pods.
 */
import type { Node, Pod } from '../machinery/types.ts';
import { NodeState } from './node-state.ts';
import { needsOf, type PodNeeds } from './pod-needs.ts';
import type { Snapshot } from './schedule.ts';

interface Placed {
  nodeName: string;
  needs: PodNeeds;
  assumed: boolean;
}

export class ClusterCache {
  readonly #nodes = new Map<string, NodeState>();
  /** By pod uid. Pods of nodes that are not known (yet) are here too. */
  readonly #placed = new Map<string, Placed>();
  #snapshot: Snapshot | undefined;

  setNode(node: Node): void {
    const state = new NodeState(node);
    const previous = this.#nodes.get(state.name);
    this.#nodes.set(state.name, state);
    this.#snapshot = undefined;
    if (previous) for (const needs of previous.pods()) state.add(needs.pod.metadata.uid ?? '', needs);
    else for (const [uid, placed] of this.#placed) if (placed.nodeName === state.name) state.add(uid, placed.needs);
  }

  removeNode(name: string): void {
    this.#nodes.delete(name);
    this.#snapshot = undefined;
  }

  /** A pod that the server shows on a node. Replaces what was assumed about it. */
  setPod(pod: Pod): void {
    this.#place(pod, pod.spec?.nodeName ?? '', false);
  }

  assume(needs: PodNeeds, nodeName: string): void {
    this.#place(needs.pod, nodeName, true, needs);
  }

  /** The binding failed. Does nothing when the server has shown the pod on a node meanwhile. */
  unassume(uid: string): void {
    if (this.#placed.get(uid)?.assumed) this.removePod(uid);
  }

  removePod(uid: string): void {
    const placed = this.#placed.get(uid);
    if (!placed) return;
    this.#placed.delete(uid);
    this.#nodes.get(placed.nodeName)?.remove(uid);
  }

  isAssumed(uid: string): boolean {
    return this.#placed.get(uid)?.assumed ?? false;
  }

  /** Valid until the cache changes next. Nodes in order of their names. */
  snapshot(): Snapshot {
    this.#snapshot ??= { nodes: [...this.#nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) };
    return this.#snapshot;
  }

  #place(pod: Pod, nodeName: string, assumed: boolean, needs = needsOf(pod)): void {
    const uid = pod.metadata.uid ?? '';
    this.removePod(uid);
    this.#placed.set(uid, { nodeName, needs, assumed });
    this.#nodes.get(nodeName)?.add(uid, needs);
  }
}
