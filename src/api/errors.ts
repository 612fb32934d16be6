/** Errors of the API room that are not a caller's: those are StatusErrors. */
import { KontikiError } from '../lib/errors.ts';

/**
 * BadCidr: the service range is not an IPv4 range of /12 to /28.
 * Closed: the API is stopping.
 * DuplicateKind: two kinds claim one resource.
 * HookFailed: a webhook gave no usable answer; becomes a StatusError where it is known which one.
 */
export type ApiErrorCode = 'BadCidr' | 'Closed' | 'DuplicateKind' | 'HookFailed';

export class ApiError extends KontikiError<ApiErrorCode> {}
