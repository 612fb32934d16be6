/** Every built-in kind, one file each. A new kind is a new file and a line here. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { KubeObject } from '../../machinery/types.ts';
import { apiServiceKind } from './api-service.ts';
import { certificateSigningRequestKind } from './certificate-signing-request.ts';
import { componentStatusKind } from './component-status.ts';
import { configMapKind } from './config-map.ts';
import { controllerRevisionKind } from './controller-revision.ts';
import { cronJobKind } from './cron-job.ts';
import { csiDriverKind, csiNodeKind, csiStorageCapacityKind } from './csi.ts';
import { customResourceDefinitionKind } from './custom-resource-definition.ts';
import { daemonSetKind } from './daemon-set.ts';
import { deploymentKind } from './deployment.ts';
import { endpointSliceKind } from './endpoint-slice.ts';
import { endpointsKind } from './endpoints.ts';
import { eventKind } from './event.ts';
import { flowSchemaKind, priorityLevelConfigurationKind } from './flow-control.ts';
import { horizontalPodAutoscalerKind } from './horizontal-pod-autoscaler.ts';
import { ingressKind } from './ingress.ts';
import { ingressClassKind } from './ingress-class.ts';
import { jobKind } from './job.ts';
import { leaseKind } from './lease.ts';
import { limitRangeKind } from './limit-range.ts';
import { namespaceKind } from './namespace.ts';
import { networkPolicyKind } from './network-policy.ts';
import { nodeKind } from './node.ts';
import { persistentVolumeKind } from './persistent-volume.ts';
import { persistentVolumeClaimKind } from './persistent-volume-claim.ts';
import { podKind } from './pod.ts';
import { podDisruptionBudgetKind } from './pod-disruption-budget.ts';
import { podPresetKind } from './pod-preset.ts';
import { podTemplateKind } from './pod-template.ts';
import { priorityClassKind } from './priority-class.ts';
import { replicaSetKind } from './replica-set.ts';
import { replicationControllerKind } from './replication-controller.ts';
import { resourceQuotaKind } from './resource-quota.ts';
import { reviewKinds } from './reviews.ts';
import { clusterRoleKind, roleKind } from './role.ts';
import { clusterRoleBindingKind, roleBindingKind } from './role-binding.ts';
import { runtimeClassKind } from './runtime-class.ts';
import { secretKind } from './secret.ts';
import { serviceKind } from './service.ts';
import { serviceAccountKind } from './service-account.ts';
import { ipAddressKind, serviceCidrKind } from './service-cidr.ts';
import { statefulSetKind } from './stateful-set.ts';
import { storageClassKind } from './storage-class.ts';
import { validatingAdmissionPolicyBindingKind, validatingAdmissionPolicyKind } from './validating-admission-policy.ts';
import { volumeAttachmentKind } from './volume-attachment.ts';
import { mutatingWebhookConfigurationKind, validatingWebhookConfigurationKind } from './webhook-configurations.ts';

/** The generic code hands each kind only objects of that kind. */
const generic = <T extends KubeObject>(kind: KindDefinition<T>): KindDefinition => kind as unknown as KindDefinition;

export const kinds: KindDefinition[] = [
  generic(namespaceKind),
  generic(nodeKind),
  generic(podKind),
  generic(serviceKind),
  generic(endpointsKind),
  generic(configMapKind),
  generic(secretKind),
  generic(serviceAccountKind),
  generic(eventKind),
  generic(deploymentKind),
  generic(replicaSetKind),
  generic(endpointSliceKind),
  generic(leaseKind),
  generic(persistentVolumeKind),
  generic(persistentVolumeClaimKind),
  generic(replicationControllerKind),
  generic(podTemplateKind),
  generic(limitRangeKind),
  generic(resourceQuotaKind),
  generic(statefulSetKind),
  generic(daemonSetKind),
  generic(controllerRevisionKind),
  generic(horizontalPodAutoscalerKind),
  generic(jobKind),
  generic(cronJobKind),
  generic(podDisruptionBudgetKind),
  generic(ingressKind),
  generic(ingressClassKind),
  generic(networkPolicyKind),
  generic(serviceCidrKind),
  generic(ipAddressKind),
  generic(storageClassKind),
  generic(csiDriverKind),
  generic(csiNodeKind),
  generic(csiStorageCapacityKind),
  generic(volumeAttachmentKind),
  generic(priorityClassKind),
  generic(runtimeClassKind),
  generic(certificateSigningRequestKind),
  generic(flowSchemaKind),
  generic(priorityLevelConfigurationKind),
  generic(mutatingWebhookConfigurationKind),
  generic(validatingWebhookConfigurationKind),
  generic(validatingAdmissionPolicyKind),
  generic(validatingAdmissionPolicyBindingKind),
  generic(apiServiceKind),
  generic(componentStatusKind),
  generic(podPresetKind),
  generic(roleKind),
  generic(roleBindingKind),
  generic(clusterRoleKind),
  generic(clusterRoleBindingKind),
  generic(customResourceDefinitionKind),
  ...reviewKinds,
];
