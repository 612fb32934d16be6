/** The answers to questions about identity and access: made from memory, never stored. */
import type { FieldRequirement } from '../machinery/selectors.ts';
import { badRequest, type FieldError, invalid } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import type { Decision } from './authorization.ts';
import { checkIdentity, decodeInput } from './object-input.ts';
import { timestamp } from './object-metadata.ts';
import type { Outcome, RegistryContext, Target, WriteOptions } from './registry-types.ts';
import { fromStorage } from './stored-objects.ts';
import { bootstrapTokenUser } from './tokens/bootstrap-tokens.ts';
import { apiAudiences } from './tokens/service-account-tokens.ts';
import type { User } from './types.ts';

interface ResourceQuestion {
  namespace?: string;
  verb?: string;
  group?: string;
  resource?: string;
  subresource?: string;
  name?: string;
  fieldSelector?: FieldSelectorQuestion;
}

interface FieldSelectorQuestion {
  requirements?: { key?: string; operator?: string; values?: string[] }[];
}

interface AccessSpec {
  user?: string;
  groups?: string[];
  uid?: string;
  extra?: Record<string, string[]>;
  resourceAttributes?: ResourceQuestion;
  nonResourceAttributes?: { path?: string; verb?: string };
}

type Question = KubeObject & { spec?: object; status?: object };
/** Gives the status of the question. */
type Answer = (context: RegistryContext, target: Target, question: Question) => object | Promise<object>;

const answers: Record<string, Answer> = {
  SelfSubjectReview: (_, { user }) => ({ userInfo: userInfo(user) }),
  TokenReview: reviewToken,
  SelfSubjectAccessReview: (context, { user }, { spec }) => {
    const asked = (spec ?? {}) as AccessSpec;
    refuse('SelfSubjectAccessReview', attributeErrors(asked));
    return answerAccess(context, user, asked);
  },
  SubjectAccessReview: (context, _, { spec }) => {
    const asked = (spec ?? {}) as AccessSpec;
    refuse('SubjectAccessReview', [...attributeErrors(asked), ...subjectErrors(asked)]);
    return answerAccess(context, userOf(asked), asked);
  },
  LocalSubjectAccessReview: (context, { namespace }, { spec }) => {
    const asked = (spec ?? {}) as AccessSpec;
    refuse('LocalSubjectAccessReview', [...attributeErrors(asked), ...subjectErrors(asked), ...localErrors(asked, namespace)]);
    return answerAccess(context, userOf(asked), asked);
  },
  SelfSubjectRulesReview: (context, { user }, { spec }) => {
    const { namespace = '' } = (spec ?? {}) as { namespace?: string };
    if (namespace === '') throw badRequest('no namespace on request');
    return rulesOf(context, user, namespace);
  },
};

export function isReview(target: Target): boolean {
  const { group, kind } = target.resolved.kind;
  return (group === 'authentication.k8s.io' || group === 'authorization.k8s.io') && kind in answers;
}

/** Takes over `body`. */
export async function answerReview(
  context: RegistryContext,
  target: Target,
  body: unknown,
  options: WriteOptions,
): Promise<Outcome> {
  const question = decodeInput(target.resolved, body, options) as Question;
  checkIdentity(target, question);
  const answer = answers[target.resolved.kind.kind] as Answer;
  const { apiVersion, kind, metadata, spec } = question;
  const status = await answer(context, target, question);
  const creationTimestamp = timestamp(context.clock.wallMs());
  const shown = { apiVersion, kind, metadata: { ...metadata, creationTimestamp }, ...(spec ? { spec } : {}), status };
  return { code: 201, object: fromStorage(target.resolved, shown as Question) };
}

function userInfo({ name, uid, groups, extra }: User): object {
  const more = extra && Object.keys(extra).length > 0 ? { extra } : {};
  return { username: name, ...(uid ? { uid } : {}), groups, ...more };
}

async function reviewToken(context: RegistryContext, target: Target, { spec }: Question): Promise<object> {
  const { token = '', audiences = [] } = (spec ?? {}) as { token?: string; audiences?: string[] };
  if (token === '') throw badRequest('token is required for TokenReview in authentication');
  const wanted = audiences.length > 0 ? audiences : apiAudiences;
  const newcomer = wanted.some((audience) => apiAudiences.includes(audience))
    ? await bootstrapTokenUser(context, token, target.signal)
    : undefined;
  const verified = newcomer
    ? { user: newcomer, audiences: wanted.filter((audience) => apiAudiences.includes(audience)) }
    : await context.tokens.verify(token, wanted, target.signal);
  if (!verified) return { user: {}, error: 'the token is not valid for the audiences asked for' };
  return {
    authenticated: true,
    user: userInfo(verified.user),
    audiences: audiences.length > 0 ? verified.audiences : apiAudiences.slice(0, 1),
  };
}

function userOf({ user = '', groups = [], uid, extra }: AccessSpec): User {
  return { name: user, groups, ...(uid ? { uid } : {}), ...(extra ? { extra } : {}) };
}

/** Only "is this value" can make a difference to what is decided. */
function requirementsOf({ requirements = [] }: FieldSelectorQuestion = {}): FieldRequirement[] {
  return requirements.flatMap(({ key, operator, values: [value, ...others] = [] }) =>
    key && operator === 'In' && value !== undefined && others.length === 0 ? [{ field: key, operator: '=', value }] : [],
  );
}

function answerAccess({ access }: RegistryContext, user: User, asked: AccessSpec): object {
  const { resourceAttributes: of, nonResourceAttributes: path } = asked;
  const decision: Decision = of
    ? access.authorizer.decide({
        user,
        verb: of.verb ?? '',
        group: of.group ?? '',
        resource: of.resource ?? '',
        subresource: of.subresource || undefined,
        namespace: of.namespace || undefined,
        name: of.name || undefined,
        fieldSelector: requirementsOf(of.fieldSelector),
      })
    : access.authorizer.decidePath({ user, verb: path?.verb ?? '', path: path?.path ?? '' });
  return { allowed: decision.allowed, ...(decision.reason ? { reason: decision.reason } : {}) };
}

function rulesOf({ access }: RegistryContext, user: User, namespace: string): object {
  const rules = access.authorizer.rulesFor(user, namespace);
  return {
    resourceRules: rules
      .filter(({ resources }) => resources?.length)
      .map(({ verbs, apiGroups, resources, resourceNames }) => ({ verbs, apiGroups, resources, resourceNames })),
    nonResourceRules: rules
      .filter(({ nonResourceURLs }) => nonResourceURLs?.length)
      .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
    incomplete: false,
  };
}

function refuse(kind: string, errors: FieldError[]): void {
  if (errors.length > 0) throw invalid('authorization.k8s.io', kind, '', errors);
}

function attributeErrors({ resourceAttributes, nonResourceAttributes }: AccessSpec): FieldError[] {
  if (resourceAttributes && nonResourceAttributes) {
    const detail = 'cannot be specified in combination with resourceAttributes';
    return [{ type: 'Invalid', field: 'spec.nonResourceAttributes', value: nonResourceAttributes, detail }];
  }
  if (resourceAttributes || nonResourceAttributes) return [];
  const detail = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
  return [{ type: 'Invalid', field: 'spec.resourceAttributes', value: null, detail }];
}

function subjectErrors({ user = '', groups = [] }: AccessSpec): FieldError[] {
  if (user !== '' || groups.length > 0) return [];
  return [{ type: 'Invalid', field: 'spec.user', value: user, detail: 'at least one of user or group must be specified' }];
}

function localErrors({ resourceAttributes, nonResourceAttributes }: AccessSpec, namespace: string | undefined): FieldError[] {
  if (nonResourceAttributes) {
    const detail = 'disallowed on this kind of request';
    return [{ type: 'Invalid', field: 'spec.nonResourceAttributes', value: nonResourceAttributes, detail }];
  }
  const asked = resourceAttributes?.namespace ?? '';
  if (asked === namespace) return [];
  return [{ type: 'Invalid', field: 'spec.resourceAttributes.namespace', value: asked, detail: 'must match metadata.namespace' }];
}
