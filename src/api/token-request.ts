/** POST to `serviceaccounts/NAME/token`: a token for a service account, bound to a pod, a secret or a node when asked. */
import { checkObject } from '../machinery/schemas.ts';
import { badRequest, conflict, type FieldError, invalid } from '../machinery/status.ts';
import type { KubeObject, Pod, TokenRequest } from '../machinery/types.ts';
import { admitNodeToken } from './admission/node-restriction.ts';
import { dropNulls, isRecord } from './object-input.ts';
import { timestamp } from './object-metadata.ts';
import { getEntry } from './read.ts';
import type { NamedTarget, Outcome, RegistryContext } from './registry-types.ts';
import { keyOf, objectOf } from './stored-objects.ts';
import { apiAudiences, type BoundKind, type TokenWish } from './tokens/service-account-tokens.ts';

const defaultSeconds = 3_600;
const secondsMin = 600;
const secondsMax = 2 ** 32;
const audiencesMax = 64;
const group = 'authentication.k8s.io';
const boundKinds: Record<string, { kind: BoundKind; plural: string }> = {
  Pod: { kind: 'pod', plural: 'pods' },
  Secret: { kind: 'secret', plural: 'secrets' },
  Node: { kind: 'node', plural: 'nodes' },
};

type Spec = NonNullable<TokenRequest['spec']>;
type Reference = NonNullable<Spec['boundObjectRef']>;

/** StatusError 404 without the account or the bound object, 409 when that is another one by now. */
export async function requestToken(
  context: RegistryContext,
  target: NamedTarget,
  body: unknown,
  dryRun: boolean,
): Promise<Outcome> {
  const { spec, metadata } = decode(target, body);
  const { expirationSeconds = defaultSeconds, boundObjectRef } = spec;
  const audiences = (spec.audiences ?? []).filter((audience) => audience !== '');
  const errors = check(expirationSeconds, audiences);
  if (errors.length > 0) throw invalid(group, 'TokenRequest', '', errors);
  const { object: account } = await getEntry(context, target);
  const bound = boundObjectRef ? await boundObjects(context, target, boundObjectRef) : [];
  admitNodeToken(target.user, target.name, boundObjectRef, bound[0]?.object);
  const wish = { namespace: target.namespace ?? '', account, audiences, expirationSeconds, bound };
  const { token, expiresMs } = context.tokens.issue(wish);
  const object: TokenRequest = {
    apiVersion: `${group}/v1`,
    kind: 'TokenRequest',
    metadata: {
      ...metadata,
      name: target.name,
      namespace: target.namespace,
      creationTimestamp: timestamp(context.clock.wallMs()),
    },
    spec: {
      audiences: audiences.length > 0 ? audiences : apiAudiences.slice(0, 1),
      expirationSeconds,
      ...(boundObjectRef ? { boundObjectRef } : {}),
    },
    status: { token: dryRun ? '' : token, expirationTimestamp: timestamp(expiresMs) },
  };
  return { code: 201, object };
}

function decode(target: NamedTarget, body: unknown): { spec: Spec; metadata: object } {
  if (!isRecord(body)) throw badRequest('the body of the request is not a JSON object');
  if (body.kind !== undefined && body.kind !== 'TokenRequest') {
    throw badRequest(`the kind in the data (${String(body.kind)}) does not match the expected kind (TokenRequest)`);
  }
  dropNulls(body);
  const { spec = {}, metadata = {} } = body;
  const { errors } = checkObject(
    { metadata, spec: { audiences: [], ...(isRecord(spec) ? spec : {}) } },
    'authentication.v1.TokenRequest',
  );
  if (errors.length > 0 || !isRecord(spec) || !isRecord(metadata)) {
    throw badRequest(`TokenRequest in version "v1" cannot be handled as a TokenRequest: ${errors.join(', ')}`);
  }
  const { name } = metadata;
  if (name !== undefined && name !== '' && name !== target.name) {
    throw badRequest(`the name of the object (${String(name)}) does not match the name on the URL (${target.name})`);
  }
  return { spec: spec as Spec, metadata: name ? { name } : {} };
}

function check(seconds: number, audiences: string[]): FieldError[] {
  const errors: FieldError[] = [];
  const field = 'spec.expirationSeconds';
  if (seconds < secondsMin) {
    errors.push({ type: 'Invalid', field, value: seconds, detail: 'may not specify a duration less than 10 minutes' });
  }
  if (seconds > secondsMax) {
    errors.push({ type: 'Invalid', field, value: seconds, detail: 'may not specify a duration larger than 2^32 seconds' });
  }
  if (audiences.length > audiencesMax) {
    errors.push({ type: 'TooMany', field: 'spec.audiences', detail: `must have at most ${audiencesMax} items` });
  }
  return errors;
}

/** What the token is bound to, and for a pod the node it runs on. */
async function boundObjects(context: RegistryContext, target: NamedTarget, reference: Reference): Promise<TokenWish['bound']> {
  const { apiVersion = '', kind = '', name = '', uid = '' } = reference;
  const bound = boundKinds[kind];
  if (!bound || apiVersion !== 'v1') throw badRequest(`cannot bind token to object of type ${apiVersion}, Kind=${kind}`);
  const resolved = context.table.find('', 'v1', bound.plural);
  if (!resolved) throw badRequest(`cannot bind token to object of type ${apiVersion}, Kind=${kind}`);
  const namespace = resolved.kind.namespaced ? target.namespace : undefined;
  const { object } = await getEntry(context, { resolved, namespace, name, user: target.user, signal: target.signal });
  if (uid !== '' && uid !== object.metadata.uid) {
    const why = `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw conflict({ group: '', resource: kind }, name, why);
  }
  if (bound.kind !== 'pod') return [{ kind: bound.kind, object }];
  const { serviceAccountName, nodeName } = (object as Pod).spec ?? {};
  if (serviceAccountName !== target.name) {
    throw badRequest(`cannot bind token for serviceaccount "${target.name}" to pod running with different serviceaccount name.`);
  }
  const node = nodeName ? findNode(context, nodeName) : undefined;
  return [{ kind: 'pod', object }, ...(node ? [{ kind: 'node' as const, object: node }] : [])];
}

function findNode(context: RegistryContext, name: string): KubeObject | undefined {
  const resolved = context.table.find('', 'v1', 'nodes');
  const record = resolved && context.store.get(keyOf(resolved.kind, undefined, name));
  return record && objectOf(record);
}
