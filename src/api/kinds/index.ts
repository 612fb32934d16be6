/** Every built-in kind, one file each. A new kind is a new file and a line here. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { KubeObject } from '../../machinery/types.ts';
import { configMapKind } from './config-map.ts';
import { deploymentKind } from './deployment.ts';
import { endpointSliceKind } from './endpoint-slice.ts';
import { endpointsKind } from './endpoints.ts';
import { eventKind } from './event.ts';
import { leaseKind } from './lease.ts';
import { namespaceKind } from './namespace.ts';
import { nodeKind } from './node.ts';
import { podKind } from './pod.ts';
import { replicaSetKind } from './replica-set.ts';
import { reviewKinds } from './reviews.ts';
import { clusterRoleKind, roleKind } from './role.ts';
import { clusterRoleBindingKind, roleBindingKind } from './role-binding.ts';
import { secretKind } from './secret.ts';
import { serviceKind } from './service.ts';
import { serviceAccountKind } from './service-account.ts';

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
  generic(roleKind),
  generic(roleBindingKind),
  generic(clusterRoleKind),
  generic(clusterRoleBindingKind),
  ...reviewKinds,
];
