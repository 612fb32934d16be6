/** Questions to the authorizer: `authorizer.group('apps').resource('deployments').namespace('x').check('create').allowed()`. */
import { isDns1123Label, isDns1123Subdomain } from '../../machinery/names.ts';
import { evaluationError } from '../errors.ts';
import { type Overload, overload } from '../functions.ts';
import { CelOpaque } from '../values.ts';

/** What is asked. `serviceAccount` is set when the question is about another user than the one of the request. */
export type CelAuthorizerQuestion = { verb: string; serviceAccount?: { namespace: string; name: string } } & (
  | { path: string }
  | {
      group: string;
      resource: string;
      subresource: string;
      namespace: string;
      name: string;
      fieldSelector: string;
      labelSelector: string;
    }
);

export interface CelAuthorizerAnswer {
  allowed: boolean;
  reason: string;
  /** Set when the question could not be answered. */
  error?: string;
}

/** Answers at once: access is decided in memory. */
export type AskAuthorizer = (question: CelAuthorizerQuestion) => CelAuthorizerAnswer;

type ServiceAccount = { namespace: string; name: string } | undefined;
type ResourceFields = Omit<Extract<CelAuthorizerQuestion, { group: string }>, 'verb' | 'serviceAccount'>;

abstract class Check extends CelOpaque {
  readonly ask: AskAuthorizer;
  readonly serviceAccount: ServiceAccount;

  constructor(ask: AskAuthorizer, serviceAccount: ServiceAccount) {
    super();
    this.ask = ask;
    this.serviceAccount = serviceAccount;
  }

  get form(): string {
    return JSON.stringify([this.serviceAccount, this.subject]);
  }

  protected abstract readonly subject: unknown;
}

/** The value of the variable `authorizer`. */
export class CelAuthorizer extends Check {
  readonly typeName = 'kubernetes.authorization.Authorizer';
  protected readonly subject = '';

  constructor(ask: AskAuthorizer, serviceAccount?: { namespace: string; name: string }) {
    super(ask, serviceAccount);
  }
}

class PathCheck extends Check {
  readonly typeName = 'kubernetes.authorization.PathCheck';
  readonly subject: string;

  constructor(from: Check, path: string) {
    super(from.ask, from.serviceAccount);
    this.subject = path;
  }
}

class GroupCheck extends Check {
  readonly typeName = 'kubernetes.authorization.GroupCheck';
  readonly subject: string;

  constructor(from: Check, group: string) {
    super(from.ask, from.serviceAccount);
    this.subject = group;
  }
}

/** Also the value of the variable `authorizer.requestResource`. */
export class CelResourceCheck extends Check {
  readonly typeName = 'kubernetes.authorization.ResourceCheck';
  readonly subject: ResourceFields;

  constructor(from: Check, fields: Partial<ResourceFields> & { group: string; resource: string }) {
    super(from.ask, from.serviceAccount);
    this.subject = { subresource: '', namespace: '', name: '', fieldSelector: '', labelSelector: '', ...fields };
  }

  with(fields: Partial<ResourceFields>): CelResourceCheck {
    return new CelResourceCheck(this, { ...this.subject, ...fields });
  }
}

class Decision extends CelOpaque {
  readonly typeName = 'kubernetes.authorization.Decision';
  readonly answer: CelAuthorizerAnswer;

  constructor(answer: CelAuthorizerAnswer) {
    super();
    this.answer = answer;
  }

  get form(): string {
    return JSON.stringify(this.answer);
  }
}

function filled(text: string, what: string): string {
  if (text.trim() === '') throw evaluationError(`${what} must not be empty`);
  return text;
}

function forServiceAccount(authorizer: CelAuthorizer, namespace: string, name: string): CelAuthorizer {
  if (isDns1123Subdomain(name).length > 0) throw evaluationError('Invalid service account name');
  if (isDns1123Label(namespace).length > 0) throw evaluationError('Invalid service account namespace');
  return new CelAuthorizer(authorizer.ask, { namespace, name });
}

const resourceFields = ['subresource', 'namespace', 'name', 'fieldSelector', 'labelSelector'] as const;

export const authorization: readonly Overload[] = [
  overload(
    'authorizer_path',
    'Authorizer.path(string): PathCheck',
    (from: CelAuthorizer, path: string) => new PathCheck(from, filled(path, 'path')),
  ),
  overload(
    'authorizer_group',
    'Authorizer.group(string): GroupCheck',
    (from: CelAuthorizer, group: string) => new GroupCheck(from, group),
  ),
  overload('authorizer_serviceaccount', 'Authorizer.serviceAccount(string, string): Authorizer', forServiceAccount),
  overload(
    'groupcheck_resource',
    'GroupCheck.resource(string): ResourceCheck',
    (from: GroupCheck, resource: string) =>
      new CelResourceCheck(from, { group: from.subject, resource: filled(resource, 'resource') }),
  ),
  ...resourceFields.map((field) =>
    overload(`resourcecheck_${field}`, `ResourceCheck.${field}(string): ResourceCheck`, (from: CelResourceCheck, value: string) =>
      from.with({ [field]: value }),
    ),
  ),
  overload(
    'pathcheck_check',
    'PathCheck.check(string): Decision',
    ({ ask, serviceAccount, subject }: PathCheck, verb: string) => new Decision(ask({ verb, serviceAccount, path: subject })),
  ),
  overload(
    'resourcecheck_check',
    'ResourceCheck.check(string): Decision',
    ({ ask, serviceAccount, subject }: CelResourceCheck, verb: string) => new Decision(ask({ verb, serviceAccount, ...subject })),
  ),
  overload(
    'decision_allowed',
    'Decision.allowed(): bool',
    ({ answer }: Decision) => answer.allowed && answer.error === undefined,
  ),
  overload('decision_reason', 'Decision.reason(): string', ({ answer }: Decision) => answer.reason),
  overload('decision_errored', 'Decision.errored(): bool', ({ answer }: Decision) => answer.error !== undefined),
  overload('decision_error', 'Decision.error(): string', ({ answer }: Decision) => answer.error ?? ''),
];
