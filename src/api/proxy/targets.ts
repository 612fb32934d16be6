/**
 * What the `proxy` subresource of a pod, a service or a node leads to. Names are `[SCHEME:]NAME[:PORT]`; ports are numbers or
 * names. What is behind them is asked over the cluster's own ways, so its certificate is nobody's business but its own.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import { badRequest, failure } from '../../machinery/status.ts';
import type { KubeObject, Node, Pod } from '../../machinery/types.ts';
import { methodNotAllowed, type Registry } from '../registry.ts';
import type { NamedTarget } from '../registry-types.ts';
import { type Place, placeOfService } from '../upstream/places.ts';
import type { Server } from '../upstream/upstream.ts';
import type { Forwarding } from './forward.ts';

/** Where kubelets listen: our agents have no port, but answer to this one. */
const agentPort = '10250';
const defaultPort = { http: 80, https: 443 };

interface Wanted {
  scheme: 'http' | 'https';
  name: string;
  port: string;
}

/** StatusError 400 when it is no such name. */
export function parseProxyName(text: string): Wanted {
  const parts = text.split(':');
  const [scheme, name, port] = parts.length === 3 ? parts : ['', parts[0], parts[1] ?? ''];
  if (parts.length > 3 || !name || !['', 'http', 'https'].includes(scheme ?? '')) {
    throw badRequest(`invalid request ${JSON.stringify(text)}`);
  }
  return { scheme: scheme === 'https' ? 'https' : 'http', name, port: port ?? '' };
}

/** The rest of the path as it was sent, behind `/proxy`; '' when there is none. */
export function proxiedPath(path: string): string {
  const match = /^\/+api\/+v1\/+(?:namespaces\/+[^/]+\/+(?:pods|services)|nodes)\/+[^/]+\/+proxy(\/.*)?$/.exec(path);
  return match?.[1] ?? '';
}

/** StatusError 404 without the object, 400 or 503 when it leads nowhere, or what admission says. */
export async function proxyTarget(
  registry: Registry,
  target: NamedTarget,
  line: { method: string; path: string; search: string },
): Promise<Forwarding> {
  const wanted = parseProxyName(target.name);
  const { object } = await registry.get({ ...target, name: wanted.name, subresource: undefined });
  const { kind } = target.resolved.kind;
  const rest = proxiedPath(line.path);
  const options: KubeObject & { path: string } = {
    apiVersion: 'v1',
    kind: `${kind}ProxyOptions`,
    metadata: { name: wanted.name },
    path: rest,
  };
  await registry.connect({ ...target, name: wanted.name }, options);
  const place = placeOf(registry, target, wanted, object);
  if (place.type === 'agent' && line.method !== 'GET' && line.method !== 'HEAD') throw methodNotAllowed();
  const own = place.type === 'agent' ? agentPath(rest) : rest || '/';
  const prefix = line.path.slice(0, line.path.length - rest.length);
  const host = hostOf(place);
  return {
    server: serverOf(place, wanted, `${kind}:${object.metadata.uid}:${target.name}`, () =>
      placeOf(registry, target, wanted, object),
    ),
    path: `${own}${line.search}`,
    headers: { host, ...forwardedBy(line.path) },
    location: (text) => ownLocation(text, { prefix, host }),
  };
}

function serverOf(place: Place, { scheme, name }: Wanted, key: string, again: () => Place): Server {
  if (place.type === 'agent' || scheme === 'http') return { key, place: again };
  return { key, place: again, tls: { insecure: true, serverName: name } };
}

function forwardedBy(path: string): OutgoingHttpHeaders {
  return { 'x-forwarded-uri': path, 'x-forwarded-proto': 'https' };
}

function hostOf(place: Place): string {
  if (place.type === 'agent') return 'agent';
  return place.type === 'pod' ? `${place.pod}:${place.port}` : `${place.host}:${place.port}`;
}

function placeOf({ context }: Registry, target: NamedTarget, wanted: Wanted, object: KubeObject): Place {
  const { namespace = '' } = target;
  switch (target.resolved.kind.plural) {
    case 'pods':
      return placeOfPod(object as Pod, wanted);
    case 'services':
      return placeOfService(context, { namespace, name: wanted.name, port: wanted.port });
    default:
      return placeOfNode(object as Node, wanted);
  }
}

function placeOfPod(pod: Pod, { scheme, port }: Wanted): Place {
  const { name, namespace = '' } = pod.metadata;
  const nodeName = pod.spec?.nodeName;
  if (!nodeName) throw badRequest(`pod ${name} does not have a host assigned`);
  const ports = (pod.spec?.containers ?? []).flatMap((container) => container.ports ?? []);
  const named = ports.find((candidate) => candidate.name === port)?.containerPort;
  const number = port === '' ? (ports[0]?.containerPort ?? defaultPort[scheme]) : (named ?? Number(port));
  return { type: 'pod', nodeName, namespace, pod: name, port: validPort(number, port) };
}

function placeOfNode(node: Node, { port }: Wanted): Place {
  const { name } = node.metadata;
  if (port === '' || port === agentPort) return { type: 'agent', nodeName: name };
  const address = node.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address;
  if (!address) throw failure(503, 'ServiceUnavailable', `node ${name} has no address`);
  return { type: 'address', host: address, port: validPort(Number(port), port) };
}

function validPort(port: number, text: string): number {
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw badRequest(`invalid port ${JSON.stringify(text)}`);
}

/** Kubelet's paths as our agents call them. */
function agentPath(path: string): string {
  return path.replace(/^\/containerLogs\//, '/logs/') || '/';
}

/** Redirects of a server to itself go through the proxy again. */
function ownLocation(text: string, { prefix, host }: { prefix: string; host: string }): string {
  if (text.startsWith('/') && !text.startsWith('//')) return `${prefix}${text}`;
  if (!URL.canParse(text)) return text;
  const url = new URL(text);
  return url.host === host ? `${prefix}${url.pathname}${url.search}` : text;
}
