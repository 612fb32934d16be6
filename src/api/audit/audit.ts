/**
 * What one request leaves in the audit log: an event (audit.k8s.io/v1 Event) for each stage that the policy asks for. Bodies of
 * what may hold credentials are never told of, whatever the policy says: secrets and all that is encrypted at rest, token reviews,
 * and requests for tokens. Nothing here waits, or fails a request.
 */
import type { Status } from '../../machinery/status.ts';
import type { Decision } from '../authorization.ts';
import type { User } from '../types.ts';
import { RequestNotes } from './notes.ts';
import { type AuditDecision, type AuditPolicy, type AuditStage, decide } from './policy.ts';

/** A body above this is left out, and the event says so. */
export const auditBodyBytesMax = 100 * 1024;

export interface AuditEvent {
  kind: 'Event';
  apiVersion: 'audit.k8s.io/v1';
  stage: AuditStage;
  [field: string]: unknown;
}

export interface AuditSink {
  /** Takes it or counts it as lost; never waits. */
  record(event: AuditEvent): void;
}

export interface AuditOptions {
  policy: AuditPolicy;
  sink: AuditSink;
  /** Resources whose bodies are never told of, beside the fixed ones: `secrets`, `widgets.example.com`. */
  confidential: readonly string[];
}

const alwaysConfidential = ['secrets', 'tokenreviews.authentication.k8s.io', 'serviceaccounts/token'];

/** What is known once a request is taken apart. */
export interface AuditedRequest {
  id: string;
  requestURI: string;
  path: string;
  sourceIPs: string[];
  userAgent: string;
  /** When it came: wall time, milliseconds. */
  receivedMs: number;
  /** Kubernetes' verb; of other paths the method in lower case. */
  verb: string;
  resource: AuditedResource | undefined;
}

export interface AuditedResource {
  group: string;
  version: string;
  resource: string;
  subresource: string | undefined;
  namespace: string | undefined;
  name: string | undefined;
}

export class Audit {
  readonly #options: AuditOptions;
  readonly #confidential: ReadonlySet<string>;

  constructor(options: AuditOptions) {
    this.#options = options;
    this.#confidential = new Set([...alwaysConfidential, ...options.confidential]);
  }

  begin(request: AuditedRequest): RequestAudit {
    return new RequestAudit(this.#options, request, this.#confidential);
  }
}

export class RequestAudit {
  readonly #options: AuditOptions;
  readonly #request: AuditedRequest;
  readonly #confidential: ReadonlySet<string>;
  readonly #annotations: Record<string, string> = {};
  /** What admission adds. Not told of what may hold credentials: whoever writes a policy could repeat them there. */
  readonly notes = new RequestNotes();
  #decision: AuditDecision | undefined;
  #user: User | undefined;
  #impersonated: User | undefined;
  #bodies: { requestObject?: unknown; responseObject?: unknown } = {};
  #failure: Status | undefined;
  #completed = false;

  constructor(options: AuditOptions, request: AuditedRequest, confidential: ReadonlySet<string>) {
    this.#options = options;
    this.#request = request;
    this.#confidential = confidential;
  }

  get id(): string {
    return this.#request.id;
  }

  annotate(key: string, value: string): void {
    this.#annotations[key] = value;
  }

  /** Whoever sent it; the policy looks at them, not at whom they speak for. It decides now, and RequestReceived is told of. */
  by(user: User | undefined): void {
    this.#user = user;
    const { verb, path, receivedMs, resource: asked } = this.#request;
    this.#decision = decide(this.#options.policy, {
      ...{ user, verb, path },
      ...(asked && {
        resource: {
          ...{ group: asked.group, resource: asked.resource, subresource: asked.subresource ?? '' },
          ...{ namespace: asked.namespace ?? '', name: asked.name ?? '' },
        },
      }),
    });
    this.#tell('RequestReceived', receivedMs, undefined);
  }

  decided({ allowed, reason }: Decision): void {
    this.annotate('authorization.k8s.io/decision', allowed ? 'allow' : 'forbid');
    this.annotate('authorization.k8s.io/reason', reason);
  }

  speaksFor(user: User): void {
    this.#impersonated = user;
  }

  /** Whether the body of the request is worth keeping for `requestBody`. */
  get wantsRequest(): boolean {
    return this.#wants(['Request', 'RequestResponse']);
  }

  get wantsResponse(): boolean {
    return this.#wants(['RequestResponse']);
  }

  requestBody(bytes: Uint8Array, parse: () => unknown): void {
    if (this.wantsRequest) this.#body('requestObject', bytes, parse);
  }

  responseBody(bytes: Uint8Array): void {
    if (this.wantsResponse) this.#body('responseObject', bytes, () => JSON.parse(Buffer.from(bytes).toString('utf8')));
  }

  /** The head of a long answer was sent: a watch, a log, a stream. */
  started(nowMs: number, code: number): void {
    this.#tell('ResponseStarted', nowMs, { code });
  }

  /** What the client is told instead of an answer. */
  failed(status: Status): void {
    this.#failure = status;
  }

  /** The answer is complete, or broken off; without a code nothing was answered. Only the first call counts. */
  complete(nowMs: number, code: number | undefined): void {
    if (this.#completed) return;
    this.#completed = true;
    // Refused before it was known by whom it is.
    if (!this.#decision) this.by(undefined);
    this.#tell('ResponseComplete', nowMs, this.#outcome(code));
  }

  #outcome(code: number | undefined): object {
    if (code === undefined) return { message: 'the client has gone' };
    const { status, reason, message } = this.#failure ?? {};
    // A message may repeat what was sent.
    return { ...(status && { status }), ...(reason && { reason }), ...(!this.#isConfidential() && message && { message }), code };
  }

  #wants(of: readonly string[]): boolean {
    return of.includes(this.#decision?.level ?? 'None') && !this.#isConfidential();
  }

  #isConfidential(): boolean {
    if (!this.#request.resource) return false;
    const { group, resource, subresource } = this.#request.resource;
    const name = group ? `${resource}.${group}` : resource;
    return this.#confidential.has(name) || this.#confidential.has(`${name}/${subresource}`);
  }

  #body(field: 'requestObject' | 'responseObject', bytes: Uint8Array, parse: () => unknown): void {
    if (bytes.length === 0) return;
    if (bytes.length > auditBodyBytesMax) {
      this.annotate('audit.k8s.io/truncated', 'true');
      return;
    }
    let value: unknown;
    try {
      value = parse();
    } catch {
      // Its sender is told that it cannot be read; there is nothing to show here.
      return;
    }
    this.#bodies[field] = this.#decision?.omitManagedFields ? withoutManagedFields(value) : value;
  }

  #tell(stage: AuditStage, nowMs: number, status: object | undefined): void {
    const { level = 'None', omitStages = [] } = this.#decision ?? {};
    if (level === 'None' || omitStages.includes(stage)) return;
    const { id, requestURI, sourceIPs, userAgent, receivedMs, verb, resource } = this.#request;
    const annotations = {
      ...(this.#isConfidential() ? {} : this.notes.all({ withBodies: level.startsWith('Request') })),
      ...this.#annotations,
    };
    this.#options.sink.record({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level,
      auditID: id,
      stage,
      requestURI,
      verb,
      user: told(this.#user),
      ...(this.#impersonated && { impersonatedUser: told(this.#impersonated) }),
      sourceIPs,
      userAgent,
      ...(resource && { objectRef: reference(resource) }),
      ...(status && { responseStatus: { metadata: {}, ...status } }),
      ...(stage === 'RequestReceived' ? {} : this.#bodies),
      requestReceivedTimestamp: microTime(receivedMs),
      stageTimestamp: microTime(nowMs),
      ...(Object.keys(annotations).length > 0 && { annotations }),
    });
  }
}

const told = (user: User | undefined) =>
  user
    ? { username: user.name, ...(user.uid && { uid: user.uid }), groups: user.groups, ...(user.extra && { extra: user.extra }) }
    : {};

function reference({ group, version, resource, subresource, namespace, name }: AuditedResource): object {
  return {
    resource,
    ...(namespace && { namespace }),
    ...(name && { name }),
    ...(group && { apiGroup: group }),
    apiVersion: version,
    ...(subresource && { subresource }),
  };
}

/** As metav1.MicroTime is written; the clock knows milliseconds. */
const microTime = (ms: number) => `${new Date(ms).toISOString().slice(0, -1)}000Z`;

function withoutManagedFields(value: unknown): unknown {
  const object = value as { metadata?: Record<string, unknown>; items?: unknown[] } | null;
  if (typeof object !== 'object' || object === null || Array.isArray(object)) return value;
  const { managedFields: _, ...metadata } = object.metadata ?? {};
  return {
    ...object,
    ...(object.metadata && { metadata }),
    ...(Array.isArray(object.items) && { items: object.items.map(withoutManagedFields) }),
  };
}
