/**
 * Tokens of service accounts: made for an account and, as a rule, for one pod; good for as long as signature, audience and
 * time say so and the account and that pod are still the same ones.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { KubeObject } from '../../machinery/types.ts';
import type { ClusterStore } from '../../store/types.ts';
import { newUid } from '../object-metadata.ts';
import { serviceAccountUserName } from '../rbac/role-index.ts';
import { objectOf } from '../stored-objects.ts';
import type { User } from '../types.ts';
import { type Claims, signToken, verifyToken } from './jwt.ts';
import type { SigningKeys } from './signing-keys.ts';

/** Who makes the tokens, and for whom they are unless somebody says otherwise. */
export const issuer = 'https://kubernetes.default.svc.cluster.local';
/** Any of these means this API. */
export const apiAudiences = [issuer, 'https://kubernetes.default.svc', 'kontiki'];
const [ownAudience = issuer] = apiAudiences;
/** What is being deleted is still good for so long: its last requests should not fail. */
const deletionGraceMs = 60_000;
/** Tokens whose signature need not be checked again. */
const checkedMax = 512;
const claimName = 'kubernetes.io';
const extraPrefix = 'authentication.kubernetes.io/';

/** What a token may be bound to: it dies with it. */
export type BoundKind = 'pod' | 'secret' | 'node';
const boundKinds: BoundKind[] = ['pod', 'secret', 'node'];
const boundPlurals = { pod: 'pods', secret: 'secrets', node: 'nodes' };

export interface TokenWish {
  namespace: string;
  account: KubeObject;
  /** Empty: this API. */
  audiences: string[];
  expirationSeconds: number;
  /** The first is what the token is bound to; a pod's node is told along with it. */
  bound: { kind: BoundKind; object: KubeObject }[];
}

interface Named {
  name: string;
  uid: string;
}

type PrivateClaims = Partial<Record<BoundKind | 'serviceaccount', Named>> & { namespace?: string };

export interface Verified {
  user: User;
  /** Those asked for that the token is good for. */
  audiences: string[];
}

export class ServiceAccountTokens {
  readonly keys: SigningKeys;
  readonly #store: ClusterStore;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #checked = new Map<string, { keyId: string; claims: Claims }>();

  constructor(options: { keys: SigningKeys; store: ClusterStore; clock: Clock; random: Random }) {
    this.keys = options.keys;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** StatusError 503 when there is no key yet. */
  issue(wish: TokenWish): { token: string; expiresMs: number } {
    const nowSeconds = Math.floor(this.#clock.wallMs() / 1000);
    const expires = nowSeconds + wish.expirationSeconds;
    const reference = ({ metadata }: KubeObject): Named => ({ name: metadata.name, uid: metadata.uid ?? '' });
    const token = signToken(
      {
        iss: issuer,
        sub: serviceAccountUserName(wish.namespace, wish.account.metadata.name),
        aud: wish.audiences.length > 0 ? wish.audiences : [ownAudience],
        iat: nowSeconds,
        nbf: nowSeconds,
        exp: expires,
        jti: newUid(this.#random),
        [claimName]: {
          namespace: wish.namespace,
          serviceaccount: reference(wish.account),
          ...Object.fromEntries(wish.bound.map(({ kind, object }) => [kind, reference(object)])),
        },
      },
      this.keys.newest,
    );
    return { token, expiresMs: expires * 1000 };
  }

  /**
   * Whose token it is, for one of the audiences. Undefined when it is not good. A token that is right but for an object that
   * this peer has not heard of yet is looked at again after a barrier.
   */
  async verify(token: string, audiences: readonly string[], signal?: AbortSignal): Promise<Verified | undefined> {
    const claims = this.#signed(token);
    if (!claims || !this.#isCurrent(claims)) return undefined;
    let user = this.#userOf(claims);
    if (!user) {
      await this.#store.barrier(signal);
      user = this.#userOf(claims);
    }
    if (!user) return undefined;
    const given = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
    const shared = audiences.filter((audience) => given.includes(audience));
    return shared.length > 0 ? { user, audiences: shared } : undefined;
  }

  /** The claims of a token that a key which still counts has signed. Signatures are checked once. */
  #signed(token: string): Claims | undefined {
    const known = this.#checked.get(token);
    if (known && this.keys.publicKey(known.keyId)) return known.claims;
    let keyId = '';
    const claims = verifyToken(token, (id) => {
      keyId = id;
      return this.keys.publicKey(id);
    });
    if (!claims) return undefined;
    const [oldest] = this.#checked.keys();
    if (this.#checked.size >= checkedMax && oldest !== undefined) this.#checked.delete(oldest);
    this.#checked.set(token, { keyId, claims });
    return claims;
  }

  #isCurrent({ iss, exp, nbf }: Claims): boolean {
    const nowSeconds = this.#clock.wallMs() / 1000;
    return iss === issuer && typeof exp === 'number' && typeof nbf === 'number' && nbf <= nowSeconds && nowSeconds < exp;
  }

  /** Undefined unless the account and what the token is bound to are still there. */
  #userOf(claims: Claims): User | undefined {
    const own = claims[claimName] as PrivateClaims | undefined;
    const { serviceaccount: account, namespace } = own ?? {};
    if (!own || !namespace || !account || claims.sub !== serviceAccountUserName(namespace, account.name)) return undefined;
    if (!this.#lives('serviceaccounts', namespace, account)) return undefined;
    const extra: Record<string, string[]> = {};
    if (typeof claims.jti === 'string') extra[`${extraPrefix}credential-id`] = [`JTI=${claims.jti}`];
    for (const kind of boundKinds) {
      const bound = own[kind];
      if (!bound) continue;
      // A pod's token tells the pod's node, but is not bound to it.
      const binding = kind !== 'node' || !own.pod;
      if (binding && !this.#lives(boundPlurals[kind], kind === 'node' ? undefined : namespace, bound)) return undefined;
      if (kind === 'secret') continue;
      extra[`${extraPrefix}${kind}-name`] = [bound.name];
      extra[`${extraPrefix}${kind}-uid`] = [bound.uid];
    }
    const name = serviceAccountUserName(namespace, account.name);
    return { name, uid: account.uid, groups: serviceAccountGroups(namespace), extra };
  }

  #lives(plural: string, namespace: string | undefined, { name, uid }: Named): boolean {
    const record = this.#store.get(`/registry/core/${plural}/${namespace ? `${namespace}/` : ''}${name}`);
    if (!record) return false;
    const { metadata } = objectOf(record);
    if (metadata.uid !== uid) return false;
    return !metadata.deletionTimestamp || Date.parse(metadata.deletionTimestamp) + deletionGraceMs > this.#clock.wallMs();
  }
}

export function serviceAccountGroups(namespace: string): string[] {
  return ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
}
