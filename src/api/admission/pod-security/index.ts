/**
 * Admission by the Pod Security Standards that a namespace's labels ask for: pods that violate what is enforced are refused; of what
 * is only warned of, and of workloads whose pods would be refused, the caller is told; the audit log of what is audited. Source: Kubernetes documentation, "Pod Security
 * Admission".
 */
import { invalid } from '../../../machinery/status.ts';
import type { KubeObject, Namespace, Pod, PodSpec, PodTemplateSpec } from '../../../machinery/types.ts';
import type { StoreReader } from '../../../store/types.ts';
import { sameJson } from '../../kinds/field-errors.ts';
import { isAbout, refusal, storedList, storedObject, warn } from '../lookups.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../types.ts';
import { evaluate, withDetails } from './evaluate.ts';
import { existingViolations } from './existing-pods.ts';
import { everyContainer, type Subject } from './findings.ts';
import { domain, formatStandard, isFree, type Policy, policyOf, type Standard, sameStandard, strictness } from './policy.ts';

/** Where workloads have the template of their pods. */
const templatePaths: Record<string, readonly string[]> = {
  '/podtemplates': ['template'],
  '/replicationcontrollers': ['spec', 'template'],
  'apps/replicasets': ['spec', 'template'],
  'apps/deployments': ['spec', 'template'],
  'apps/statefulsets': ['spec', 'template'],
  'apps/daemonsets': ['spec', 'template'],
  'batch/jobs': ['spec', 'template'],
  'batch/cronjobs': ['spec', 'jobTemplate', 'spec', 'template'],
};
/** Writes to pods that change nothing that is looked at. */
const harmlessSubresources = new Set(['exec', 'attach', 'binding', 'eviction', 'log', 'portforward', 'proxy', 'status']);

/** StatusError 403 for a pod that violates what is enforced, 422 for labels that say nothing. */
export const podSecurity: AdmissionPlugin = {
  name: 'PodSecurity',
  handles: (request) => isNamespace(request) || isPod(request) || templatePathOf(request) !== undefined,
  validate(request, { store }) {
    if (isNamespace(request)) admitNamespace(request, store);
    else if (isPod(request)) admitPod(request, policyAround(request, store));
    else admitWorkload(request, policyAround(request, store));
  },
};

const isNamespace = (request: AdmissionRequest) => isAbout(request, '', 'namespaces', ['CREATE', 'UPDATE']);

function isPod({ operation, target: { resolved, subresource } }: AdmissionRequest): boolean {
  const { group, plural } = resolved.kind;
  if (group !== '' || plural !== 'pods' || harmlessSubresources.has(subresource ?? '')) return false;
  return operation === 'CREATE' || operation === 'UPDATE';
}

function templatePathOf(request: AdmissionRequest): readonly string[] | undefined {
  const { group, plural } = request.target.resolved.kind;
  return isAbout(request, group, plural, ['CREATE', 'UPDATE']) ? templatePaths[`${group}/${plural}`] : undefined;
}

function policyAround({ target }: AdmissionRequest, store: StoreReader): Policy {
  const namespace = storedObject<Namespace>(store, 'core/namespaces', target.namespace ?? '');
  return policyOf(namespace?.metadata.labels).policy;
}

function admitPod(request: AdmissionRequest, policy: Policy): void {
  const { enforce, audit, warn: told } = policy;
  const { metadata, spec } = request.object as Pod;
  const before = (request.oldObject as Pod | undefined)?.spec;
  if (before && sameJson(imagesOf(spec as PodSpec), imagesOf(before))) return;
  request.notes.add(`${domain}/enforce-policy`, formatStandard(enforce));
  if (isFree(enforce) && isFree(audit) && isFree(told)) return;
  const subject = { metadata, spec: spec as PodSpec };
  noteOf(request, audit, subject);
  const violations = evaluate(enforce, subject);
  if (violations.length > 0) {
    throw refusal(request, `violates PodSecurity ${named(enforce)}: ${withDetails(violations)}`);
  }
  warnOf(request, told, subject);
}

/** What of a pod may change and be looked at: images, and containers that are added to debug it. */
const imagesOf = (spec: PodSpec) => everyContainer(spec).map(({ name, image }) => [name, image]);

function admitWorkload(request: AdmissionRequest, { audit, warn: told }: Policy): void {
  if (isFree(audit) && isFree(told)) return;
  const path = templatePathOf(request) ?? [];
  const at = (object: unknown, name: string) => (object as Record<string, unknown> | undefined)?.[name];
  const template = path.reduce<unknown>(at, request.object as KubeObject) as PodTemplateSpec | undefined;
  if (!template?.spec) return;
  const subject = { metadata: template.metadata ?? {}, spec: template.spec };
  noteOf(request, audit, subject);
  warnOf(request, told, subject);
}

function warnOf(request: AdmissionRequest, standard: Standard, subject: Subject): void {
  const complaint = wouldViolate(standard, subject);
  if (complaint) warn(request, complaint);
}

function noteOf(request: AdmissionRequest, standard: Standard, subject: Subject): void {
  const complaint = wouldViolate(standard, subject);
  if (complaint) request.notes.add(`${domain}/audit-violations`, complaint);
}

function wouldViolate(standard: Standard, subject: Subject): string | undefined {
  const violations = evaluate(standard, subject);
  return violations.length > 0 ? `would violate PodSecurity ${named(standard)}: ${withDetails(violations)}` : undefined;
}

const named = (standard: Standard) => JSON.stringify(formatStandard(standard));

function admitNamespace(request: AdmissionRequest, store: StoreReader): void {
  const { metadata } = request.object as KubeObject;
  const next = policyOf(metadata.labels);
  const before = request.oldObject && policyOf(request.oldObject.metadata.labels);
  // Labels that were wrong before may stay: somebody else may want to change something else.
  if (next.errors.length > 0 && !sameJson(next.errors, before?.errors)) {
    throw invalid('', 'Namespace', metadata.name, next.errors);
  }
  if (!before) return;
  const [now, former] = [next.policy.enforce, before.policy.enforce];
  if (isFree(now) || sameStandard(now, former)) return;
  if (now.version === former.version && strictness(now) <= strictness(former)) return;
  const pods = storedList<Pod>(store, 'core/pods', metadata.name);
  for (const text of existingViolations(metadata.name, now, pods)) warn(request, text);
}
