/** What the query says about a request, and the body of a deletion. Complaints are worded as Kubernetes words them. */
import { managerOfAgent } from '../../machinery/apply/managers.ts';
import type { DeleteOptions } from '../../machinery/client.ts';
import { checkObject } from '../../machinery/schemas.ts';
import { badRequest, type FieldError, invalid } from '../../machinery/status.ts';
import type { ListRequest } from '../read.ts';
import type { FieldValidation, WriteOptions } from '../registry-types.ts';
import { readBody } from './body.ts';
import { decodeObject } from './decoding.ts';
import type { Exchange } from './exchange.ts';
import { type Asked, isTrue } from './negotiation.ts';

/** A negative limit is none. StatusError 400 for what is no number. */
export function listRequest({ query }: Asked): ListRequest {
  return {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    limit: Math.max(0, integer(query.get('limit')) ?? 0),
    continue: query.get('continue') ?? '',
    resourceVersion: query.get('resourceVersion') ?? '',
    resourceVersionMatch: query.get('resourceVersionMatch') ?? '',
  };
}

/** Rules for watches, and what only they may say. StatusError 422. */
export function checkInitialEvents({ query }: Asked, watches: boolean): void {
  const initial = query.has('sendInitialEvents');
  const match = query.get('resourceVersionMatch') ?? '';
  const errors: FieldError[] = [];
  const forbid = (field: string, detail: string) => errors.push({ type: 'Forbidden', field, detail });
  if (!watches) {
    if (initial) forbid('sendInitialEvents', 'sendInitialEvents is forbidden for list');
  } else {
    const field = 'resourceVersionMatch';
    if (initial && match !== notOlder) forbid(field, `sendInitialEvents requires setting resourceVersionMatch to ${notOlder}`);
    if (match !== '' && !initial)
      forbid(field, 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided');
    if (match !== '' && match !== notOlder) {
      errors.push({ type: 'NotSupported', field, value: match, detail: `supported values: "${notOlder}"` });
    }
    if (match !== '' && query.get('continue')) forbid(field, 'resourceVersionMatch is forbidden when continue is provided');
  }
  if (errors.length > 0) throw invalid('meta.k8s.io', 'ListOptions', '', errors);
}

const notOlder = 'NotOlderThan';
const integerMax = 2 ** 63;

/** Undefined without text. StatusError 400 for what is no whole number of 64 bits. */
export function integer(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  const parsing = `strconv.ParseInt: parsing ${JSON.stringify(text)}`;
  if (!/^[+-]?\d+$/.test(text)) throw badRequest(`${parsing}: invalid syntax`);
  const value = Number(text);
  if (Math.abs(value) > integerMax) throw badRequest(`${parsing}: value out of range`);
  return value;
}

/** StatusError 422 about options of `kind`, for example `CreateOptions`. */
export function writeOptions(exchange: Exchange, kind: string): WriteOptions {
  const { query } = exchange;
  const fieldValidation = query.get('fieldValidation') || 'Warn';
  const errors = dryRunErrors(query.getAll('dryRun'));
  if (!['Strict', 'Warn', 'Ignore'].includes(fieldValidation)) {
    const detail = 'supported values: "", "Ignore", "Strict", "Warn"';
    errors.push({ type: 'NotSupported', field: 'fieldValidation', value: fieldValidation, detail });
  }
  if (errors.length > 0) throw invalid('meta.k8s.io', kind, '', errors);
  return {
    dryRun: isDryRun(query.getAll('dryRun')),
    fieldValidation: fieldValidation as FieldValidation,
    warnings: [],
    fieldManager: query.get('fieldManager') || undefined,
    defaultManager: managerOfAgent(exchange.header('user-agent')),
    ...(query.get('force') ? { force: isTrue(query.get('force')) } : {}),
  };
}

const isDryRun = (values: readonly unknown[]) => values.some((value) => value !== '');

function dryRunErrors(values: readonly unknown[]): FieldError[] {
  const wanted = values.filter((value) => value !== '');
  if (wanted.every((value) => value === 'All')) return [];
  return [{ type: 'NotSupported', field: 'dryRun', value: wanted, detail: 'supported values: "All"' }];
}

interface DeletionBody {
  gracePeriodSeconds?: number;
  orphanDependents?: boolean;
  propagationPolicy?: string;
  dryRun?: string[];
  preconditions?: { uid?: string; resourceVersion?: string };
}

const policies = ['Foreground', 'Background', 'Orphan'];

/** From the body, or else from the query. A negative grace period counts as one second. StatusError 400 or 422. */
export async function deleteOptions(exchange: Exchange): Promise<DeleteOptions & { dryRun: boolean }> {
  const bytes = await readBody(exchange);
  const body = bytes.length === 0 ? fromQuery(exchange) : fromBody(bytes, exchange.header('content-type'));
  const { orphanDependents: orphan, propagationPolicy: policy, gracePeriodSeconds: grace, preconditions } = body;
  const errors: FieldError[] = [];
  if (orphan !== undefined && policy !== undefined) {
    const detail = 'orphanDependents and deletionPropagation cannot be both set';
    errors.push({ type: 'Invalid', field: 'propagationPolicy', value: policy, detail });
  }
  if (policy !== undefined && !policies.includes(policy)) {
    const detail = `supported values: ${[...policies, 'nil'].map((name) => JSON.stringify(name)).join(', ')}`;
    errors.push({ type: 'NotSupported', field: 'propagationPolicy', value: policy, detail });
  }
  const dryRun = [...(body.dryRun ?? []), ...exchange.query.getAll('dryRun')];
  errors.push(...dryRunErrors(dryRun));
  if (errors.length > 0) throw invalid('meta.k8s.io', 'DeleteOptions', '', errors);
  return {
    gracePeriodSeconds: grace !== undefined && grace < 0 ? 1 : grace,
    propagationPolicy: (policy ?? (orphan === undefined ? undefined : orphan ? 'Orphan' : 'Background')) as
      | DeleteOptions['propagationPolicy']
      | undefined,
    ...(preconditions ? { preconditions } : {}),
    dryRun: isDryRun(dryRun),
  };
}

function fromQuery({ query }: Exchange): DeletionBody {
  const grace = integer(query.get('gracePeriodSeconds'));
  const policy = query.get('propagationPolicy');
  return {
    ...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
    ...(query.has('orphanDependents') ? { orphanDependents: isTrue(query.get('orphanDependents')) } : {}),
    ...(policy ? { propagationPolicy: policy } : {}),
  };
}

function fromBody(bytes: Buffer, contentType: string): DeletionBody {
  const body = decodeObject(bytes, contentType, 'DeleteOptions') as Record<string, unknown>;
  const { apiVersion = 'v1', kind = 'DeleteOptions' } = body;
  const version = JSON.stringify(String(apiVersion).replace(/^.*\//, ''));
  const unfit = (why: string) => badRequest(`${kind} in version ${version} cannot be handled as a DeleteOptions: ${why}`);
  if (kind !== 'DeleteOptions') throw badRequest('decoded object cannot be converted to DeleteOptions');
  const { errors } = checkObject(body, 'meta.v1.DeleteOptions');
  if (errors[0]) throw unfit(errors[0]);
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null)) as DeletionBody;
}
