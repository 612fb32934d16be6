/**
 * Caller errors as Kubernetes reports them: an HTTP code, a reason that programs check, a sentence for people, and for
 * Invalid the field paths. Source: API conventions, "Response Status Kind"; the wording is what kubectl users know.
 */
export type StatusReason =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Gone'
  | 'Expired'
  | 'Invalid'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'RequestEntityTooLarge'
  | 'UnsupportedMediaType'
  | 'TooManyRequests'
  | 'InternalError'
  | 'ServiceUnavailable'
  | 'Timeout'
  | 'ServerTimeout';

export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

/** The body of every failed request (and of some that succeeded). */
export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Record<string, never>;
  status: 'Success' | 'Failure';
  message?: string;
  reason?: StatusReason;
  details?: StatusDetails;
  code: number;
}

/** What is wrong with one field. `field` is a path such as `spec.containers[0].name`. */
export interface FieldError {
  type: 'Required' | 'Invalid' | 'NotSupported' | 'Duplicate' | 'Forbidden' | 'TooLong' | 'TooMany' | 'NotFound' | 'TypeInvalid';
  field: string;
  /** The offending value; shown quoted. Leave out for Required and Forbidden. */
  value?: unknown;
  detail: string;
}

/** Group and plural name of a resource, as error texts and keys need them. */
export interface GroupResource {
  group: string;
  resource: string;
}

/** A caller error. Thrown anywhere below the HTTP endpoint and by every implementation of the Client. */
export class StatusError extends Error {
  readonly status: Status;

  constructor(status: Status) {
    super(status.message ?? status.reason ?? 'request failed');
    this.name = 'StatusError';
    this.status = status;
  }

  get code(): number {
    return this.status.code;
  }

  get reason(): StatusReason | undefined {
    return this.status.reason;
  }
}

export function failure(code: number, reason: StatusReason, message: string, details?: StatusDetails): StatusError {
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details ? { details } : {}),
    code,
  });
}

const qualified = ({ group, resource }: GroupResource) => (group ? `${resource}.${group}` : resource);
const detailsOf = ({ group, resource }: GroupResource, name: string): StatusDetails => ({
  name,
  ...(group ? { group } : {}),
  kind: resource,
});

export const badRequest = (message: string) => failure(400, 'BadRequest', message);
export const unauthorized = () => failure(401, 'Unauthorized', 'Unauthorized');
export const internalError = (message: string) => failure(500, 'InternalError', `Internal error occurred: ${message}`);
export const serviceUnavailable = (message: string, retryAfterSeconds = 1) =>
  failure(503, 'ServiceUnavailable', message, { retryAfterSeconds });

export function notFound(of: GroupResource, name: string): StatusError {
  return failure(404, 'NotFound', `${qualified(of)} "${name}" not found`, detailsOf(of, name));
}

export function alreadyExists(of: GroupResource, name: string): StatusError {
  return failure(409, 'AlreadyExists', `${qualified(of)} "${name}" already exists`, detailsOf(of, name));
}

export function conflict(of: GroupResource, name: string, why = modifiedMessage): StatusError {
  return failure(409, 'Conflict', `Operation cannot be fulfilled on ${qualified(of)} "${name}": ${why}`, detailsOf(of, name));
}
const modifiedMessage = 'the object has been modified; please apply your changes to the latest version and try again';

export function forbidden(of: GroupResource, name: string, why: string): StatusError {
  return failure(403, 'Forbidden', `${qualified(of)}${name ? ` "${name}"` : ''} is forbidden: ${why}`, detailsOf(of, name));
}

export function expired(message: string): StatusError {
  return failure(410, 'Expired', message);
}

const causeReason: Record<FieldError['type'], string> = {
  Required: 'FieldValueRequired',
  Invalid: 'FieldValueInvalid',
  NotSupported: 'FieldValueNotSupported',
  Duplicate: 'FieldValueDuplicate',
  Forbidden: 'FieldValueForbidden',
  TooLong: 'FieldValueTooLong',
  TooMany: 'FieldValueTooMany',
  NotFound: 'FieldValueNotFound',
  TypeInvalid: 'FieldValueTypeInvalid',
};

const heading: Record<FieldError['type'], string> = {
  Required: 'Required value',
  Invalid: 'Invalid value',
  NotSupported: 'Unsupported value',
  Duplicate: 'Duplicate value',
  Forbidden: 'Forbidden',
  TooLong: 'Too long',
  TooMany: 'Too many',
  NotFound: 'Not found',
  TypeInvalid: 'Invalid value',
};

/** The text of a field error without its path, for example `Invalid value: "A": must be lower case`. */
export function fieldErrorBody(error: FieldError): string {
  const withoutValue =
    error.type === 'Required' ||
    error.type === 'Forbidden' ||
    error.type === 'TooLong' ||
    (error.type === 'TooMany' && error.value === undefined);
  const head = withoutValue ? heading[error.type] : `${heading[error.type]}: ${JSON.stringify(error.value ?? null)}`;
  return error.detail ? `${head}: ${error.detail}` : head;
}

/** 422 with one cause for each field error. Here `details.kind` is the Kind, not the resource. */
export function invalid(group: string, kind: string, name: string, errors: readonly FieldError[]): StatusError {
  const lines = errors.map((error) => `${error.field}: ${fieldErrorBody(error)}`);
  const list = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  return failure(422, 'Invalid', `${group ? `${kind}.${group}` : kind} "${name}" is invalid: ${list}`, {
    name,
    ...(group ? { group } : {}),
    kind,
    causes: errors.map((error) => ({ reason: causeReason[error.type], message: fieldErrorBody(error), field: error.field })),
  });
}

/** True for a StatusError with this reason. */
export function isReason(error: unknown, reason: StatusReason): error is StatusError {
  return error instanceof StatusError && error.status.reason === reason;
}
