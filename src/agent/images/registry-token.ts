/** The challenge of a registry (RFC 9110, section 11.6.1) and the token service it may point to (distribution: token authentication). */
export interface Challenge {
  /** In lower case: basic, bearer. */
  scheme: string;
  parameters: Record<string, string>;
}

/** The challenges of a WWW-Authenticate header, in their order. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  const token = /\s*,?\s*([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/y;
  for (let match = token.exec(header); match; match = token.exec(header)) {
    const [, name = '', quoted, bare] = match;
    const value = quoted?.replace(/\\(.)/g, '$1') ?? bare;
    if (value === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: {} });
    else {
      const parameters = challenges.at(-1)?.parameters;
      if (parameters) parameters[name.toLowerCase()] = value;
    }
  }
  return challenges;
}

export interface TokenRequest {
  /** realm, and service and scope if given. */
  parameters: Record<string, string>;
  /** For challenges that name none. */
  scope: string;
  /** A Basic Authorization header, when there are credentials. */
  basic: string | undefined;
  insecure: boolean;
  signal: AbortSignal;
}

const answerBytesMax = 1024 * 1024;

/** A token, or why there is none; `passing` when it may work next time. */
export async function requestToken(request: TokenRequest): Promise<{ token: string } | { why: string; passing: boolean }> {
  const { parameters, scope, basic, insecure, signal } = request;
  const url = URL.parse(parameters.realm ?? '');
  if (!url) return { why: 'the registry asks for a token but names no service for it', passing: false };
  // A password must not travel in the clear because a registry says so.
  if (url.protocol !== 'https:' && !(insecure && url.protocol === 'http:')) {
    return { why: `the registry names a token service without TLS (${url.origin})`, passing: false };
  }
  if (parameters.service) url.searchParams.set('service', parameters.service);
  url.searchParams.set('scope', parameters.scope ?? scope);
  const response = await fetch(url, { headers: basic ? { authorization: basic } : {}, signal });
  if (!response.ok) {
    await response.body?.cancel();
    const why = basic ? 'the token service refused the credentials' : 'the token service wants credentials (imagePullSecrets)';
    const passing = response.status === 429 || response.status >= 500;
    return { why: passing ? `the token service answered with status ${response.status}` : why, passing };
  }
  const parts: Uint8Array[] = [];
  let received = 0;
  for await (const part of response.body ?? []) {
    received += part.length;
    if (received > answerBytesMax) return { why: 'the token service answered with too much', passing: false };
    parts.push(part);
  }
  return tokenOf(Buffer.concat(parts).toString()) ?? { why: 'the token service answered without a token', passing: false };
}

function tokenOf(text: string): { token: string } | undefined {
  try {
    const { token, access_token: accessToken } = JSON.parse(text) as Record<string, unknown>;
    const found = token ?? accessToken;
    return typeof found === 'string' && found !== '' ? { token: found } : undefined;
  } catch {
    return undefined;
  }
}
