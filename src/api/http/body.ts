/** Request bodies: bounded, and decoded by their content type. What has no content type is JSON, as kubectl expects. */
import { parse as parseYaml } from 'yaml';
import { errorMessage } from '../../lib/errors.ts';
import { decodeProtobuf } from '../../machinery/protobuf.ts';
import { badRequest, failure, type StatusError } from '../../machinery/status.ts';
import type { Exchange } from './exchange.ts';

export const bodyBytesMax = 3 * 1024 * 1024;
/** Aliases in YAML can make a small text a huge object. */
const yamlAliasesMax = 100;

/** StatusError 413 above the bound. */
export async function readBody(exchange: Exchange): Promise<Buffer> {
  if (Number(exchange.header('content-length') || 0) > bodyBytesMax) throw refuse(exchange);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of exchange.request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bodyBytesMax) throw refuse(exchange);
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks, length);
  exchange.observer?.onRequestBody(body);
  return body;
}

function refuse(exchange: Exchange): StatusError {
  // The rest of the body is not read, so this connection is of no further use to HTTP/1.1.
  if (exchange.request.httpVersionMajor === 1) exchange.setHeader('connection', 'close');
  return failure(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${bodyBytesMax}`);
}

/** `undefined` for an empty body. StatusError 415 for types that are not known, 400 for bodies that are not of their type. */
export function decodeBody(body: Buffer, contentType: string): unknown {
  if (body.length === 0) return undefined;
  const type = mediaType(contentType);
  switch (type) {
    case '':
    case '*/*':
    case 'application/json':
      return parseJson(body);
    case 'application/yaml':
    case 'application/x-yaml':
    case 'text/yaml':
      return parseYamlBody(body);
    case 'application/vnd.kubernetes.protobuf':
      return decodeProtobuf(body);
    default:
      throw unsupportedMediaType(type, ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']);
  }
}

/** Without parameters, in lower case. */
export function mediaType(header: string): string {
  return (header.split(';')[0] ?? '').trim().toLowerCase();
}

export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw badRequest(`the body of the request could not be decoded as JSON: ${errorMessage(error)}`);
  }
}

export function parseYamlBody(body: Buffer): unknown {
  try {
    return parseYaml(body.toString('utf8'), { maxAliasCount: yamlAliasesMax });
  } catch (error) {
    throw badRequest(`the body of the request could not be decoded as YAML: ${errorMessage(error)}`);
  }
}

export function unsupportedMediaType(type: string, supported: string[]): StatusError {
  const message = `the body of the request was in an unknown format (${type}) - accepted media types include: ${supported.join(', ')}`;
  return failure(415, 'UnsupportedMediaType', message);
}
