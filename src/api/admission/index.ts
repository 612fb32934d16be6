/** The plugins that every cluster has, in the order in which they run, which is Kubernetes'. */
import { validatingAdmissionPolicy } from '../admission-policy/plugin.ts';
import { certificateApproval, certificateSigning, certificateSubjectRestriction } from './certificates.ts';
import { defaultIngressClass } from './default-ingress-class.ts';
import { defaultStorageClass } from './default-storage-class.ts';
import { defaultTolerationSeconds } from './default-toleration-seconds.ts';
import { limitRanger } from './limit-ranger.ts';
import { nodeRestriction } from './node-restriction.ts';
import { persistentVolumeClaimResize } from './persistent-volume-claim-resize.ts';
import { podPreset } from './pod-preset.ts';
import { podSecurity } from './pod-security/index.ts';
import { priority } from './priority.ts';
import { resourceQuota } from './resource-quota.ts';
import { runtimeClass } from './runtime-class.ts';
import { serviceAccount } from './service-account.ts';
import { storageObjectInUseProtection } from './storage-object-in-use-protection.ts';
import type { AdmissionPlugin } from './types.ts';

export { AdmissionChain } from './chain.ts';

/** What the cluster itself knows about its kinds. NamespaceLifecycle comes before all: create.ts asks namespace-lifecycle.ts. */
const builtIn: readonly AdmissionPlugin[] = [
  nodeRestriction,
  limitRanger,
  serviceAccount,
  podSecurity,
  priority,
  defaultTolerationSeconds,
  podPreset,
  defaultStorageClass,
  storageObjectInUseProtection,
  persistentVolumeClaimResize,
  runtimeClass,
  certificateApproval,
  certificateSigning,
  certificateSubjectRestriction,
  defaultIngressClass,
];

/** What counts what is written: it must see the object as it will be stored, and so comes after everything that may change it. */
const counting: readonly AdmissionPlugin[] = [resourceQuota];

/** Webhooks and policies of users have their place between what the cluster knows and what it counts. */
export function standardPlugins(webhooks?: { mutating: AdmissionPlugin[]; validating: AdmissionPlugin[] }): AdmissionPlugin[] {
  const { mutating = [], validating = [] } = webhooks ?? {};
  return [...builtIn, ...mutating, validatingAdmissionPolicy, ...validating, ...counting];
}
