/** Which headers of a request or an answer go on to the other side. Pure. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

/** RFC 9110, 7.6.1: between two neighbours only. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** What says to us who the caller is must not be shown to those whom we ask in turn. */
const credentials = /^(authorization$|impersonate-|x-remote-)/;

export function forwardedHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const kept = Object.entries(headers).filter(
    ([name]) =>
      !hopByHop.has(name) && !credentials.test(name) && !name.startsWith(':') && name !== 'host' && name !== 'http2-settings',
  );
  return Object.fromEntries(kept);
}

export function answeredHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name)));
}
