/** One try of a probe: HTTP and TCP from this process to the pod's address. exec is in runtime/exec.ts. */
import http from 'node:http';
import https from 'node:https';
import { connect } from 'node:net';
import { errorCode, errorMessage } from '../../lib/errors.ts';
import type { Container, Probe } from '../../machinery/types.ts';

export interface ProbeResult {
  ok: boolean;
  /** For the event when it failed. */
  message: string;
}

type HttpGet = NonNullable<Probe['httpGet']>;

const bodyBytesMax = 10 * 1024;

/** What kept a connection from being made, in the words of events. */
const refusals: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
};

/** An error of a socket as a kubelet words it. */
function dialFailure(error: unknown, host: string, port: number): string {
  const refusal = refusals[errorCode(error) ?? ''];
  return refusal === undefined ? errorMessage(error) : `dial tcp ${host}:${port}: connect: ${refusal}`;
}

/** A port by number, or by its name in the container. NaN when there is none. */
export function portNumber(port: string | number | undefined, container: Container): number {
  if (typeof port === 'number') return port;
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  return named ?? Number(port);
}

/** Success: an answer from 200 to 399. Redirects are not followed. Rejects only with the signal's reason. */
export function httpProbe(
  get: HttpGet,
  container: Container,
  address: string | undefined,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const secure = get.scheme === 'HTTPS';
  const port = portNumber(get.port as string | number, container);
  const host = get.host || address;
  const path = get.path?.startsWith('/') ? get.path : `/${get.path ?? ''}`;
  const url = `${secure ? 'https' : 'http'}://${host}:${port}${path}`;
  const failed = (why: string) => ({ ok: false, message: `Get "${url}": ${why}` });
  if (!host || !(port > 0 && port < 65_536)) return Promise.resolve(failed('no address'));
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.33', accept: '*/*' };
  for (const { name, value } of get.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  return new Promise((resolve, reject) => {
    const options = { host, port, path, headers, agent: false, signal, rejectUnauthorized: false };
    const timer = setTimeout(() => {
      resolve(failed('context deadline exceeded (Client.Timeout exceeded while awaiting headers)'));
      request.destroy();
    }, timeoutMs);
    const request = (secure ? https : http).get(options, (response) => {
      const code = response.statusCode ?? 0;
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > bodyBytesMax) response.destroy();
      });
      response.on('error', () => {});
      clearTimeout(timer);
      const ok = code >= 200 && code < 400;
      resolve({ ok, message: ok ? '' : `HTTP probe failed with statuscode: ${code}` });
    });
    request.on('error', (error) => {
      clearTimeout(timer);
      if (signal.aborted) reject(signal.reason);
      else resolve(failed(dialFailure(error, host, port)));
    });
  });
}

/** Success: the connection is accepted. */
export function tcpProbe(host: string | undefined, port: number, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  if (!host || !(port > 0 && port < 65_536)) return Promise.resolve({ ok: false, message: 'no address' });
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const end = (result: ProbeResult) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(result);
    };
    const onAbort = () => {
      clearTimeout(timer);
      socket.destroy();
      reject(signal.reason);
    };
    const timer = setTimeout(() => end({ ok: false, message: `dial tcp ${host}:${port}: i/o timeout` }), timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('connect', () => end({ ok: true, message: '' }));
    socket.on('error', (error) => end({ ok: false, message: dialFailure(error, host, port) }));
  });
}
