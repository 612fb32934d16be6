/** NodeHealth from what the peer thread reports: the last view of each machine. */
import type { NodeHealth, NodeHealthView } from '../machinery/node-health.ts';

export class HealthTable implements NodeHealth {
  #views = new Map<string, NodeHealthView>();
  readonly #listeners = new Set<(view: NodeHealthView) => void>();

  /** Takes the whole table and tells the listeners what changed. */
  update(views: NodeHealthView[]): void {
    const before = this.#views;
    this.#views = new Map(views.map((view) => [view.nodeName, view]));
    for (const view of views) {
      const previous = before.get(view.nodeName);
      const same =
        previous?.verdict === view.verdict && previous.agentReady === view.agentReady && previous.fenced === view.fenced;
      if (same) continue;
      for (const listener of this.#listeners) listener(view);
    }
  }

  get(nodeName: string): NodeHealthView | undefined {
    return this.#views.get(nodeName);
  }

  list(): NodeHealthView[] {
    return [...this.#views.values()];
  }

  onChange(listener: (view: NodeHealthView) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
