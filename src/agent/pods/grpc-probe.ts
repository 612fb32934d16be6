/**
 * One try of a gRPC probe: the call Check of the health service (grpc.health.v1), in clear over HTTP/2. The two messages have
 * one field each, so their encoding is here instead of in a library.
 */
import http2 from 'node:http2';
import { errorMessage } from '../../lib/errors.ts';
import type { ProbeResult } from './probe-checks.ts';

export interface GrpcTarget {
  host: string | undefined;
  port: number;
  /** Empty: the server as a whole. */
  service: string;
}

/** HealthCheckResponse.ServingStatus. */
const servingStatuses = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
const serving = 1;
/** An answer holds one small number; more is not a health service. */
const answerBytesMax = 4 * 1024;
const prefixBytes = 5;
/** Codes of the gRPC protocol. */
const codes = { ok: '0', deadlineExceeded: '4', unimplemented: '12' } as const;

/** Success: the service says that it serves. Rejects only with the signal's reason. */
export function grpcProbe(target: GrpcTarget, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  const { host, port, service } = target;
  if (signal.aborted) return Promise.reject(signal.reason);
  if (!host || !(port > 0 && port < 65_536)) return Promise.resolve({ ok: false, message: 'no address' });
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const within = `${timeoutMs / 1000}s`;
  return new Promise((resolve, reject) => {
    const session = http2.connect(`http://${address}`);
    let connected = false;
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      session.destroy();
    };
    const end = (result: ProbeResult) => {
      finish();
      resolve(result);
    };
    const failed = (message: string) => end({ ok: false, message });
    const onAbort = () => {
      finish();
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      if (connected) failed(`timeout: health rpc did not complete within ${within}`);
      else failed(`timeout: failed to connect service "${address}" within ${within}: context deadline exceeded`);
    }, timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    session.on('connect', () => {
      connected = true;
      call(session, address, service, within, end);
    });
    session.on('error', (error) => {
      if (connected) failed(`error: health rpc probe failed: ${errorMessage(error)}`);
      else failed(`error: failed to connect to service at "${address}": ${errorMessage(error)}`);
    });
  });
}

function call(
  session: http2.ClientHttp2Session,
  address: string,
  service: string,
  within: string,
  end: (result: ProbeResult) => void,
): void {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    ':authority': address,
    'content-type': 'application/grpc',
    'user-agent': 'kube-probe/1.33',
    te: 'trailers',
  });
  let headers: http2.IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('response', (received) => {
    headers = { ...received };
  });
  stream.on('trailers', (received) => {
    headers = { ...headers, ...received };
  });
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= answerBytesMax) chunks.push(chunk);
    else stream.close(http2.constants.NGHTTP2_CANCEL);
  });
  stream.on('error', (error) => end({ ok: false, message: `error: health rpc probe failed: ${errorMessage(error)}` }));
  stream.on('close', () => end(judge(headers, Buffer.concat(chunks), within)));
  stream.end(encodeRequest(service));
}

function judge(headers: http2.IncomingHttpHeaders, body: Buffer, within: string): ProbeResult {
  const code = headers['grpc-status'];
  const message = decodeURIComponentSafely(String(headers['grpc-message'] ?? ''));
  if (code === codes.unimplemented) {
    const protocol = 'this server does not implement the grpc health protocol (grpc.health.v1.Health)';
    return { ok: false, message: `error: ${protocol}: ${message}` };
  }
  if (code === codes.deadlineExceeded) return { ok: false, message: `timeout: health rpc did not complete within ${within}` };
  if (code !== codes.ok) {
    const why = code === undefined ? `no gRPC answer (HTTP status ${headers[':status'] ?? 'none'})` : `code ${code}: ${message}`;
    return { ok: false, message: `error: health rpc probe failed: ${why}` };
  }
  const status = decodeAnswer(body);
  if (status === undefined) return { ok: false, message: 'error: health rpc probe failed: the answer cannot be read' };
  if (status === serving) return { ok: true, message: '' };
  return { ok: false, message: `service unhealthy (responded with "${servingStatuses[status] ?? status}")` };
}

/** gRPC escapes what is not printable ASCII in the manner of URLs. */
function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** HealthCheckRequest { string service = 1; } behind gRPC's prefix: not compressed, and the length. */
export function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message = name.length ? Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name]) : Buffer.alloc(0);
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

/** HealthCheckResponse { ServingStatus status = 1; }; undefined when the body is none. Unknown fields are passed over. */
export function decodeAnswer(body: Buffer): number | undefined {
  if (body.length < prefixBytes || body[0] !== 0) return undefined;
  const message = body.subarray(prefixBytes, prefixBytes + body.readUInt32BE(1));
  if (message.length !== body.readUInt32BE(1)) return undefined;
  let at = 0;
  const read = (): number | undefined => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = message[at++];
      if (byte === undefined) return undefined;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  };
  let status = 0;
  while (at < message.length) {
    const key = read();
    if (key === undefined) return undefined;
    const wire = key & 7;
    if (wire === 1 || wire === 5) at += wire === 1 ? 8 : 4;
    else if (wire === 0 || wire === 2) {
      const value = read();
      if (value === undefined) return undefined;
      if (wire === 2) at += value;
      else if (key >>> 3 === 1) status = value;
    } else return undefined;
  }
  return at === message.length ? status : undefined;
}
