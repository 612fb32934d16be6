/** Answers to an upgrade, written by hand on the client's socket: the agreed protocol, or a Status as an ordinary response. */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { failure, type Status, type StatusError } from '../../machinery/status.ts';

const spdyProtocol = 'SPDY/3.1';
const protocolHeader = 'X-Stream-Protocol-Version';

export function isSpdyRequest(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === spdyProtocol.toLowerCase();
}

/** The client's first choice among `spoken`; '' when it names none. StatusError 403 when we speak none of them. */
export function chooseStreamProtocol(request: IncomingMessage, spoken: readonly string[]): string {
  const header = request.headers[protocolHeader.toLowerCase()] ?? '';
  const offered = (Array.isArray(header) ? header.join(',') : header)
    .split(',')
    .map((protocol) => protocol.trim())
    .filter(Boolean);
  if (offered.length === 0) return '';
  const chosen = offered.find((protocol) => spoken.includes(protocol));
  if (chosen) return chosen;
  const detail = `unable to negotiate protocol: client supports [${offered.join(' ')}], server supports [${spoken.join(' ')}]`;
  throw failure(403, 'Forbidden', detail);
}

/** 101 for SPDY/3.1. What the client sent behind its request is put back in front of the socket. */
export function acceptSpdy(socket: Duplex, head: Buffer, protocol: string): void {
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', `Upgrade: ${spdyProtocol}`];
  if (protocol) lines.push(`${protocolHeader}: ${protocol}`);
  if (head.length > 0) socket.unshift(head);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
}

/** A response with a Status, then the end of the connection. */
export function refuseUpgrade(socket: Duplex, error: StatusError): void {
  if (socket.destroyed || !socket.writable) return;
  const status: Status = error.status;
  const body = Buffer.from(`${JSON.stringify(status)}\n`);
  const lines = [
    `HTTP/1.1 ${status.code} ${STATUS_CODES[status.code] ?? 'Error'}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Connection: close',
  ];
  socket.end(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]));
}
