/** What clients of a kubelet ask a machine for by GET, through `nodes/NAME/proxy`: its usage, its pods. */
import type { PodManager } from '../pods/pod-manager.ts';
import type { UsageStats } from '../stats/usage-stats.ts';

export interface NodePathsOptions {
  manager: Pick<PodManager, 'all'>;
  stats: Pick<UsageStats, 'summary' | 'metrics'>;
}

export interface NodeAnswer {
  contentType: string;
  text: string;
}

/** Undefined: it is no such path. */
export async function answerNodePath(
  { manager, stats }: NodePathsOptions,
  path: string,
  query: URLSearchParams,
): Promise<NodeAnswer | undefined> {
  switch (path) {
    case '/stats/summary': {
      const onlyCpuAndMemory = ['true', '1'].includes(query.get('only_cpu_and_memory') ?? '');
      return json(await stats.summary({ onlyCpuAndMemory }));
    }
    case '/metrics/resource':
      return { contentType: 'text/plain; version=0.0.4; charset=utf-8', text: await stats.metrics() };
    case '/pods': {
      const items = manager.all().map(({ pod, record }) => ({ ...pod(), ...(record.status ? { status: record.status } : {}) }));
      return json({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items });
    }
    default:
      return undefined;
  }
}

function json(body: unknown): NodeAnswer {
  return { contentType: 'application/json', text: JSON.stringify(body) };
}
