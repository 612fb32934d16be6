/**
 * Which pods stand behind a service, in which state, and on which ports they really listen. Shared by Endpoints and EndpointSlices so
 * that both say the same. Pure, except `watchServiceBackends`, which finds the services that a change of a pod concerns.
 */
import { isIPv6 } from 'node:net';
import { keyOf } from '../machinery/informer.ts';
import type { Container, Pod, Service } from '../machinery/types.ts';
import type { WorkQueue } from '../machinery/work-queue.ts';
import type { ControllerContext } from './context.ts';
import { isFinished, isReady } from './pod-state.ts';
import { same } from './same.ts';

export interface Backend {
  pod: Pod;
  ip: string;
  /** Takes traffic, whatever else: ready, or the service publishes what is not. */
  ready: boolean;
  /** Its probes pass, even while it stops. */
  serving: boolean;
  terminating: boolean;
}

export interface BackendPort {
  name?: string;
  port: number;
  protocol: string;
  appProtocol?: string;
}

/** Only services with a selector have endpoints of ours. */
export function selectorOf(service: Service): Record<string, string> | undefined {
  const selector = service.spec?.selector;
  if (!selector || Object.keys(selector).length === 0 || service.spec?.type === 'ExternalName') return undefined;
  return selector;
}

export function isHeadless(service: Service): boolean {
  return service.spec?.clusterIP === 'None';
}

function matches(selector: Record<string, string>, labels: Record<string, string> | undefined): boolean {
  return Object.entries(selector).every(([key, value]) => labels?.[key] === value);
}

/** Pods with an address that have not finished, in order of their names. */
export function backendsOf(service: Service, pods: readonly Pod[]): Backend[] {
  const selector = selectorOf(service);
  if (!selector) return [];
  const family = service.spec?.ipFamilies?.[0] ?? 'IPv4';
  const publishAll = service.spec?.publishNotReadyAddresses === true;
  const backends: Backend[] = [];
  for (const pod of pods) {
    if (!matches(selector, pod.metadata.labels) || isFinished(pod)) continue;
    const ips = pod.status?.podIPs?.map(({ ip }) => ip) ?? [];
    const ip = [...ips, pod.status?.podIP].find((each) => each && isIPv6(each) === (family === 'IPv6'));
    if (!ip) continue;
    const serving = isReady(pod);
    const terminating = pod.metadata.deletionTimestamp !== undefined;
    backends.push({ pod, ip, serving, terminating, ready: publishAll || (serving && !terminating) });
  }
  return backends.sort((a, b) => (a.pod.metadata.name < b.pod.metadata.name ? -1 : 1));
}

/** The service's ports as this pod has them. A port that the pod does not name is left out. */
export function portsOf(service: Service, pod: Pod): BackendPort[] {
  const ports: BackendPort[] = [];
  for (const { name, port, targetPort, protocol = 'TCP', appProtocol } of service.spec?.ports ?? []) {
    const found =
      typeof targetPort === 'string' && !/^\d+$/.test(targetPort)
        ? namedPort(pod, targetPort, protocol)
        : Number(targetPort || port);
    if (found === undefined) continue;
    ports.push({ ...(name ? { name } : {}), port: found, protocol, ...(appProtocol ? { appProtocol } : {}) });
  }
  return ports;
}

function namedPort(pod: Pod, wanted: string, wantedProtocol: string): number | undefined {
  const sidecars = pod.spec?.initContainers?.filter(({ restartPolicy }) => restartPolicy === 'Always') ?? [];
  for (const container of [...(pod.spec?.containers ?? []), ...sidecars] as Container[]) {
    for (const { name, protocol = 'TCP', containerPort } of container.ports ?? []) {
      if (name === wanted && protocol === wantedProtocol) return containerPort;
    }
  }
  return undefined;
}

/** Set when the pod has a host name of its own under this service. */
export function hostnameOf(service: Service, pod: Pod): string | undefined {
  const { hostname, subdomain } = pod.spec ?? {};
  return hostname && subdomain === service.metadata.name ? hostname : undefined;
}

export function podReference(pod: Pod) {
  const { namespace, name, uid } = pod.metadata;
  return { kind: 'Pod', ...(namespace ? { namespace } : {}), name, ...(uid ? { uid } : {}) };
}

/** Puts the key of a service into the queue whenever it or one of its pods changes in a way that matters here. */
export function watchServiceBackends(context: ControllerContext, queue: () => WorkQueue): void {
  const { services, pods } = context;
  services.onChange(({ object }) => queue().add(keyOf(object)));
  pods.onChange(({ type, object, previous }) => {
    if (type === 'updated' && previous && same(relevant(object), relevant(previous))) return;
    for (const service of services.list(object.metadata.namespace ?? '')) {
      const selector = selectorOf(service);
      if (!selector) continue;
      const concerned = matches(selector, object.metadata.labels) || (previous && matches(selector, previous.metadata.labels));
      if (concerned) queue().add(keyOf(service));
    }
  });
}

function relevant(pod: Pod) {
  const { labels, deletionTimestamp, uid } = pod.metadata;
  const { podIP, podIPs } = pod.status ?? {};
  const going = deletionTimestamp !== undefined;
  return [labels, uid, going, podIP, podIPs, isFinished(pod), isReady(pod), pod.spec?.nodeName];
}
