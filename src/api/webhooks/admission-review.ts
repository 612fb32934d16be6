/** AdmissionReview, v1 and v1beta1: the question about one write, and what counts as an answer. Pure. */
import { groupOf, type KindVersion } from '../../machinery/kind.ts';
import { failure, type Status, type StatusError } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';
import type { AdmissionRequest } from '../admission/types.ts';
import { ApiError } from '../errors.ts';
import { subresourceForm } from '../http/discovery.ts';
import { isNamespaceKind } from '../namespace-lifecycle.ts';
import { isRecord } from '../object-input.ts';
import { fromStorage } from '../stored-objects.ts';
import type { GroupVersionKind, GroupVersionResource, Hook, Phase, ReviewRequest, ReviewResponse } from './types.ts';

const group = 'admission.k8s.io';
const spokenVersions = ['v1', 'v1beta1'];
const optionKinds: Record<string, string> = { CREATE: 'CreateOptions', UPDATE: 'UpdateOptions', DELETE: 'DeleteOptions' };

/** The version of AdmissionReview that the webhook prefers. */
export function reviewVersion({ webhook }: Hook): string {
  const version = webhook.admissionReviewVersions?.find((name) => spokenVersions.includes(name));
  if (version) return version;
  throw new ApiError('HookFailed', 'webhook does not accept known AdmissionReview versions (v1, v1beta1)');
}

/** The question, with objects in the form of `version`. */
export function reviewRequest(request: AdmissionRequest, version: KindVersion, uid: string): ReviewRequest {
  const { target, operation, dryRun } = request;
  const { user, subresource, namespace, name } = target;
  const { kind } = target.resolved;
  const asked = target.resolved.version;
  const seen = (object: KubeObject | undefined) => (object ? shownObject(request, version, object) : null);
  return {
    uid,
    kind: kindOf(request, version),
    resource: resourceOf(request, version),
    ...(subresource ? { subResource: subresource } : {}),
    requestKind: kindOf(request, asked),
    requestResource: resourceOf(request, asked),
    ...(subresource ? { requestSubResource: subresource } : {}),
    name,
    ...namespaceMember(isNamespaceKind(kind) ? name : namespace),
    operation,
    userInfo: {
      username: user.name,
      ...(user.uid ? { uid: user.uid } : {}),
      groups: user.groups,
      ...(user.extra ? { extra: user.extra } : {}),
    },
    object: seen(request.object),
    oldObject: seen(request.oldObject),
    dryRun,
    options: optionsOf(request),
  };
}

const namespaceMember = (namespace: string | undefined) => (namespace ? { namespace } : {});

/** True when the request is about the object itself, not about a subresource with a form of its own. */
export function hasOwnForm({ target, operation }: AdmissionRequest): boolean {
  if (operation === 'CONNECT') return false;
  const { subresource, resolved } = target;
  return subresource === undefined || subresourceForm(resolved.kind, subresource).kind === resolved.kind.kind;
}

function kindOf(request: AdmissionRequest, version: KindVersion): GroupVersionKind {
  const { kind } = request.target.resolved;
  const { subresource } = request.target;
  const own = { group: groupOf(kind, version), version: version.name, kind: kind.kind };
  if (!subresource || hasOwnForm(request)) return own;
  const form = subresourceForm(kind, subresource);
  return { group: form.group ?? own.group, version: form.version ?? own.version, kind: form.kind };
}

function resourceOf({ target }: AdmissionRequest, version: KindVersion): GroupVersionResource {
  const { kind } = target.resolved;
  return { group: groupOf(kind, version), version: version.name, resource: kind.plural };
}

function shownObject(request: AdmissionRequest, version: KindVersion, object: KubeObject): KubeObject {
  if (hasOwnForm(request)) return fromStorage({ kind: request.target.resolved.kind, version }, object);
  const { group: own, version: name, kind } = kindOf(request, version);
  return { ...object, apiVersion: own ? `${own}/${name}` : name, kind };
}

function optionsOf({ operation, options, dryRun }: AdmissionRequest): object | null {
  const kind = optionKinds[operation];
  if (!kind) return null;
  const { warnings: _, defaultManager: __, dryRun: ___, ...said } = options as Record<string, unknown>;
  return { kind, apiVersion: 'meta.k8s.io/v1', ...said, ...(dryRun ? { dryRun: ['All'] } : {}) };
}

export function reviewBody(version: string, request: ReviewRequest): object {
  return { kind: 'AdmissionReview', apiVersion: `${group}/${version}`, request };
}

/** The response in an answer. Throws ApiError 'HookFailed' when it is none to this question. */
export function readReview(answer: unknown, asked: { version: string; uid: string; phase: Phase }): ReviewResponse {
  const { version, uid, phase } = asked;
  const refuse = (why: string) => new ApiError('HookFailed', `received invalid webhook response: ${why}`);
  if (!isRecord(answer) || !isRecord(answer.response)) throw refuse('webhook response was absent');
  const response = answer.response as ReviewResponse;
  if (version !== 'v1') return { ...response, ...(response.patch ? { patchType: 'JSONPatch' } : {}) };
  const got = `${String(answer.apiVersion ?? '')}, Kind=${String(answer.kind ?? '')}`;
  if (response.uid !== uid) {
    throw refuse(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`);
  }
  const wanted = `${group}/v1, Kind=AdmissionReview`;
  if (got !== wanted) throw refuse(`expected webhook response of ${wanted}, got ${got}`);
  if (phase === 'validating' && response.patch) throw refuse('validating webhook may not return response.patch');
  if (phase === 'validating' && response.patchType) throw refuse('validating webhook may not return response.patchType');
  if (response.patch && !response.patchType) {
    throw refuse('webhook returned response.patch but not response.patchType');
  }
  if (response.patchType && !response.patch) {
    throw refuse('webhook returned response.patchType but not response.patch');
  }
  return response;
}

/** What a refused caller is told. */
export function deniedBy(name: string, status: ReviewResponse['status']): StatusError {
  const { message, reason, details } = status ?? {};
  const code = Math.max(400, status?.code ?? 0);
  const why = message || reason ? `: ${message || reason}` : ' without explanation';
  const denied = `admission webhook ${JSON.stringify(name)} denied the request${why}`;
  return failure(code, reason as NonNullable<Status['reason']>, denied, details);
}
