/** The text of `/metrics/resource`, from which metrics servers read: Prometheus' exposition format, values with times in milliseconds. Pure. */
import type { CgroupUsage } from '../host/cgroup-usage.ts';
import type { Sample } from './sample.ts';

interface Line {
  labels?: Record<string, string>;
  value: number;
}

export function resourceMetrics({ wallMs, machine, pods }: Sample): string {
  const seconds = ({ cpuNanos }: CgroupUsage) => cpuNanos / 1e9;
  const working = ({ memory }: CgroupUsage) => memory.workingSetBytes;
  const podsWith = (value: (usage: CgroupUsage) => number | undefined) =>
    pods.flatMap(({ place, usage }) => {
      const { name, namespace = '' } = place.pod().metadata;
      return lineOf({ namespace, pod: name }, usage && value(usage));
    });
  const containers = pods.flatMap(({ place, containers }) => {
    const { name: pod, namespace = '' } = place.pod().metadata;
    return containers.map((container) => ({ container, labels: { container: container.name, namespace, pod } }));
  });
  const containersWith = (value: (usage: CgroupUsage) => number | undefined) =>
    containers.flatMap(({ container: { usage }, labels }) => lineOf(labels, usage && value(usage)));
  const started = containers.map(({ container, labels }) => ({ labels, value: container.startedAtMs / 1_000 }));
  const swap = ({ swapBytes }: CgroupUsage) => swapBytes;
  const metric = (name: string, type: 'counter' | 'gauge', help: string, lines: Line[]) => {
    const rows = lines.map(({ labels, value }) => `${name}${labelsText(labels)} ${value} ${Math.round(wallMs)}\n`);
    return rows.length ? [`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`, ...rows] : [];
  };
  return [
    ...metric(
      'container_cpu_usage_seconds_total',
      'counter',
      'Processor time that a container has used, seconds',
      containersWith(seconds),
    ),
    ...metric('container_memory_working_set_bytes', 'gauge', 'Working set of a container, bytes', containersWith(working)),
    ...metric('container_start_time_seconds', 'gauge', 'When a container was started, seconds since 1970', started),
    ...metric('container_swap_usage_bytes', 'gauge', 'Swap that a container uses, bytes', containersWith(swap)),
    ...metric('node_cpu_usage_seconds_total', 'counter', 'Processor time that the node has used, seconds', [
      { value: seconds(machine.usage) },
    ]),
    ...metric('node_memory_working_set_bytes', 'gauge', 'Working set of the node, bytes', [{ value: working(machine.usage) }]),
    ...metric('node_swap_usage_bytes', 'gauge', 'Swap that the node uses, bytes', [{ value: swap(machine.usage) ?? 0 }]),
    ...metric('pod_cpu_usage_seconds_total', 'counter', 'Processor time that a pod has used, seconds', podsWith(seconds)),
    ...metric('pod_memory_working_set_bytes', 'gauge', 'Working set of a pod, bytes', podsWith(working)),
    ...metric('pod_swap_usage_bytes', 'gauge', 'Swap that a pod uses, bytes', podsWith(swap)),
    '# HELP resource_scrape_error 1 if the numbers could not be had, else 0\n# TYPE resource_scrape_error gauge\nresource_scrape_error 0\n',
  ].join('');
}

function lineOf(labels: Record<string, string>, value: number | undefined): Line[] {
  return value === undefined ? [] : [{ labels, value }];
}

/** Names of Kubernetes hold nothing that would have to be escaped. */
function labelsText(labels: Record<string, string> | undefined): string {
  if (!labels) return '';
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(',')}}`;
}
