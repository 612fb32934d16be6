/** What a request for a pod's stream asks for: container, channels, and the agent's path that means the same. */
import { badRequest, type FieldError, failure, invalid } from '../../machinery/status.ts';
import type { KubeObject, Pod } from '../../machinery/types.ts';
import type { PodStreamRequest } from '../types.ts';

/** Which channels a session has besides `error`. With a terminal there is no stderr of its own, but sizes. */
export interface SessionOptions {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

/** The container's name: the one asked for, or the only one. StatusError 400 when that does not say which. */
export function chooseContainer(pod: Pod, asked: string | null): string {
  const { name } = pod.metadata;
  const containers = (pod.spec?.containers ?? []).map((container) => container.name);
  const inits = (pod.spec?.initContainers ?? []).map((container) => container.name);
  const ephemeral = (pod.spec?.ephemeralContainers ?? []).map((container) => container.name);
  if (asked) {
    if ([...containers, ...inits, ...ephemeral].includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  const [only, ...others] = containers;
  if (only !== undefined && others.length === 0) return only;
  const choice = containers.length ? `, choose one of: [${containers.join(' ')}]` : '';
  const initChoice = inits.length ? ` or one of the init containers: [${inits.join(' ')}]` : '';
  throw badRequest(`a container name must be specified for pod ${name}${choice}${initChoice}`);
}

/** As Kubernetes reads booleans in a query: everything but `false` and `0` is true. */
export function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value.toLowerCase() !== 'false' && value !== '0';
}

/** StatusError 400 when no channel is asked for, or exec has no command. */
export function sessionOptions(kind: PodStreamRequest['kind'], query: URLSearchParams): SessionOptions {
  const tty = flag(query, 'tty');
  const stdin = flag(query, 'stdin');
  const stdout = flag(query, 'stdout');
  const stderr = flag(query, 'stderr');
  if (!stdin && !stdout && !stderr) throw badRequest('you must specify at least 1 of stdin, stdout, stderr');
  if (kind === 'exec' && query.getAll('command').every((word) => word === '')) {
    throw badRequest('you must specify at least 1 command for the container');
  }
  return { tty, stdin, stdout, stderr: stderr && !tty };
}

const connectKinds = { exec: 'PodExecOptions', attach: 'PodAttachOptions', portforward: 'PodPortForwardOptions' };

/** The query as the object that admission is shown when somebody connects. */
export function connectObject(kind: PodStreamRequest['kind'], pod: Pod, query: URLSearchParams): KubeObject {
  const object: KubeObject = { apiVersion: 'v1', kind: connectKinds[kind], metadata: { name: pod.metadata.name } };
  const as = (options: object): KubeObject => ({ ...object, ...options });
  if (kind === 'portforward') return as({ ports: query.getAll('ports').map(Number) });
  const channels = Object.fromEntries(['stdin', 'stdout', 'stderr', 'tty'].map((name) => [name, flag(query, name)]));
  const command = kind === 'exec' ? { command: query.getAll('command') } : {};
  return as({ ...channels, container: query.get('container') ?? '', ...command });
}

/** The agent's path for exec or attach. */
export function sessionPath(kind: 'exec' | 'attach', pod: Pod, container: string, query: URLSearchParams): string {
  const { tty, stdin, stdout, stderr } = sessionOptions(kind, query);
  const wanted = new URLSearchParams();
  if (kind === 'exec') for (const word of query.getAll('command')) wanted.append('command', word);
  for (const [name, value] of Object.entries({ stdin, stdout, stderr, tty })) if (value) wanted.set(name, 'true');
  return `/${kind}/${segments(pod)}/${encodeURIComponent(container)}?${wanted}`;
}

const segments = ({ metadata }: Pod) => `${encodeURIComponent(metadata.namespace ?? '')}/${encodeURIComponent(metadata.name)}`;

export const portForwardPath = (pod: Pod, port: number) => `/portforward/${segments(pod)}?port=${port}`;

const logCounts = { tailLines: 0, sinceSeconds: 1, limitBytes: 1 };
const bounds = { 0: 'must be greater than or equal to 0', 1: 'must be greater than 0' } as Record<number, string>;

/** The agent's path for a log. StatusError 400 or 422 for what the options may not be. */
export function logPath(pod: Pod, container: string, query: URLSearchParams): string {
  const wanted = new URLSearchParams();
  const errors: FieldError[] = [];
  for (const name of ['follow', 'previous', 'timestamps']) if (flag(query, name)) wanted.set(name, 'true');
  for (const [name, least] of Object.entries(logCounts)) {
    const text = query.get(name);
    if (text === null || text === '') continue;
    if (!/^-?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
    const value = Number(text);
    if (value < least) errors.push({ type: 'Invalid', field: name, value, detail: bounds[least] ?? '' });
    wanted.set(name, text);
  }
  const sinceTime = query.get('sinceTime');
  if (sinceTime) {
    if (Number.isNaN(Date.parse(sinceTime))) throw badRequest(`parsing time ${JSON.stringify(sinceTime)} as RFC 3339 failed`);
    if (wanted.has('sinceSeconds')) {
      errors.push({ type: 'Forbidden', field: '', detail: 'at most one of `sinceTime` or `sinceSeconds` may be specified' });
    }
    wanted.set('sinceTime', sinceTime);
  }
  if (errors.length > 0) throw invalid('', 'PodLogOptions', pod.metadata.name, errors);
  return `/logs/${segments(pod)}/${encodeURIComponent(container)}?${wanted}`;
}

/** A TCP port from text. StatusError 400 when it is none. */
export function parsePort(text: string | undefined): number {
  const port = /^\d{1,5}$/.test(text ?? '') ? Number(text) : 0;
  if (port >= 1 && port <= 65535) return port;
  throw failure(400, 'BadRequest', `${JSON.stringify(text ?? '')} is not a valid port`);
}
