/** NodeHealth from what the peer thread reports: the last view of each machine, and whether its silence is expected (away.ts). */
import type { NodeHealth, NodeHealthView } from '../machinery/node-health.ts';

export class HealthTable implements NodeHealth {
  readonly #isAway: (nodeName: string) => boolean;
  #views = new Map<string, NodeHealthView>();
  readonly #listeners = new Set<(view: NodeHealthView) => void>();

  constructor(isAway: (nodeName: string) => boolean) {
    this.#isAway = isAway;
  }

  /** Takes the whole table and tells the listeners what changed. A machine that is away is not called dead. */
  update(reported: NodeHealthView[]): void {
    const before = this.#views;
    const views = reported.map((view): NodeHealthView => {
      return view.verdict === 'dead' && this.#isAway(view.nodeName) ? { ...view, verdict: 'suspect' } : view;
    });
    this.#views = new Map(views.map((view) => [view.nodeName, view]));
    for (const view of views) {
      const previous = before.get(view.nodeName);
      if (previous?.verdict === view.verdict && previous.agentReady === view.agentReady) continue;
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
