/** Asking for a service account's token through the Client. */
import type { Client } from './client.ts';
import type { Resource } from './resources.ts';
import type { TokenRequest } from './types.ts';

/** The subresource takes and gives an object of a kind of its own. */
const accountTokens: Resource<TokenRequest> = {
  group: '',
  version: 'v1',
  resource: 'serviceaccounts',
  kind: 'TokenRequest',
  namespaced: true,
};

export interface AccountTokenOptions {
  namespace: string;
  account: string;
  spec: NonNullable<TokenRequest['spec']>;
  signal: AbortSignal;
}

export async function requestAccountToken(
  client: Client,
  { namespace, account, spec, signal }: AccountTokenOptions,
): Promise<{ token: string; expiresMs: number }> {
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: {}, spec };
  const { status } = await client.create(accountTokens, request, { namespace, name: account, subresource: 'token', signal });
  return { token: status?.token ?? '', expiresMs: Date.parse(status?.expirationTimestamp ?? '') };
}
