/** `GET /logs/NAMESPACE/POD/CONTAINER`: a container's log as `kubectl logs` shows it. */

import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import { badRequest } from '../../machinery/status.ts';
import type { PodManager } from '../pods/pod-manager.ts';
import type { PodWorker } from '../pods/worker.ts';
import { LineCutter, LogFormatter, parseLogLine } from './cri-log.ts';
import { readLog } from './log-file.ts';
import { type ContainerAddress, findPod } from './targets.ts';

interface LogQuery {
  follow: boolean;
  previous: boolean;
  timestamps: boolean;
  tailLines: number;
  sinceMs: number | undefined;
  limitBytes: number | undefined;
}

/** StatusError 400 for numbers and times that are none. */
export function parseLogQuery(query: URLSearchParams, nowMs: number): LogQuery {
  const flag = (name: string) => query.get(name) === 'true' || query.get(name) === '1';
  const sinceSeconds = whole(query, 'sinceSeconds');
  const sinceTime = query.get('sinceTime');
  if (sinceTime && Number.isNaN(Date.parse(sinceTime))) throw badRequest(`sinceTime: "${sinceTime}" is not an RFC 3339 time`);
  return {
    follow: flag('follow'),
    previous: flag('previous'),
    timestamps: flag('timestamps'),
    tailLines: whole(query, 'tailLines') ?? -1,
    sinceMs: sinceTime ? Date.parse(sinceTime) : sinceSeconds === undefined ? undefined : nowMs - sinceSeconds * 1_000,
    limitBytes: whole(query, 'limitBytes'),
  };
}

function whole(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) throw badRequest(`${name}: "${text}" is not a whole number`);
  return Number(text);
}

const waitingTexts: Record<string, string> = {
  ErrImagePull: "image can't be pulled",
  ImagePullBackOff: 'trying and failing to pull image',
};

/** The run whose log is meant. StatusError 400 in the words kubectl users know when there is none. */
async function logFileOf(worker: PodWorker, { pod, container }: ContainerAddress, previous: boolean) {
  const state = worker.record.containers[container];
  const run = previous ? state?.last : state?.current;
  if (previous && !run) throw badRequest(`previous terminated container "${container}" in pod "${pod}" not found`);
  const file = run && worker.paths.log(container, run.attempt);
  const there =
    file !== undefined &&
    (await stat(file).then(
      () => true,
      () => false,
    ));
  if (run && there && run.state !== 'creating') return { file, run };
  if (run?.exit)
    throw badRequest(`container "${container}" in pod "${pod}" has no log: ${run.exit.reason}: ${run.exit.message ?? ''}`);
  const all = [...(worker.record.status?.initContainerStatuses ?? []), ...(worker.record.status?.containerStatuses ?? [])];
  const waiting = all.find(({ name }) => name === container)?.state?.waiting;
  const why = waitingTexts[waiting?.reason ?? ''] ?? waiting?.reason ?? 'ContainerCreating';
  throw badRequest(`container "${container}" in pod "${pod}" is waiting to start: ${why}`);
}

/** Streams until the end, the limit, or the reader's going. */
export async function serveLogs(
  manager: PodManager,
  address: ContainerAddress,
  search: URLSearchParams,
  response: ServerResponse,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const query = parseLogQuery(search, clock.wallMs());
  const worker = findPod(manager, address);
  const { file, run } = await logFileOf(worker, address, query.previous);
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  response.flushHeaders();
  if (query.limitBytes === 0) {
    response.end();
    return;
  }
  const formatter = new LogFormatter(query);
  const cutter = new LineCutter();
  const running = query.follow && !query.previous ? () => run.state === 'running' : undefined;
  for await (const chunk of readLog({ file, tailLines: query.tailLines, running, signal, clock })) {
    const out: Buffer[] = [];
    for (const bytes of cutter.push(chunk)) {
      const line = parseLogLine(bytes);
      if (line && !formatter.done) out.push(formatter.format(line));
    }
    if (out.length && !response.write(Buffer.concat(out))) await once(response, 'drain', { signal });
    if (formatter.done) break;
  }
  response.end();
}
