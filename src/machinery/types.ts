/**
 * The wire form of the built-in kinds: what JSON holds, with times as strings. Derived from the official client's models,
 * which are a build-time dependency only.
 */
import type * as k8s from '@kubernetes/client-node';

/** A model as it stands in JSON: dates are RFC 3339 strings. */
export type Wire<T> = T extends Date
  ? string
  : T extends (infer Item)[]
    ? Wire<Item>[]
    : T extends object
      ? { [Key in keyof T]: Wire<T[Key]> }
      : T;

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** Metadata as stored and served. `name` and `uid` are set on everything that is stored. */
export interface ObjectMeta {
  name: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string | null;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: readonly unknown[];
  selfLink?: string;
}

/** Anything the API stores. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** A stored object of a model: apiVersion, kind and metadata are always there. */
export type Stored<T> = Omit<Wire<T>, 'apiVersion' | 'kind' | 'metadata'> & KubeObject;

export type Namespace = Stored<k8s.V1Namespace>;
export type Node = Stored<k8s.V1Node>;
export type Pod = Stored<k8s.V1Pod>;
export type ReplicaSet = Stored<k8s.V1ReplicaSet>;
export type Deployment = Stored<k8s.V1Deployment>;
export type Service = Stored<k8s.V1Service>;
export type Endpoints = Stored<k8s.V1Endpoints>;
export type EndpointSlice = Stored<k8s.V1EndpointSlice>;
export type ConfigMap = Stored<k8s.V1ConfigMap>;
export type Secret = Stored<k8s.V1Secret>;
export type ServiceAccount = Stored<k8s.V1ServiceAccount>;
export type Event = Stored<k8s.CoreV1Event>;
export type Lease = Stored<k8s.V1Lease>;
export type Scale = Stored<k8s.V1Scale>;
export type Role = Stored<k8s.V1Role>;
export type RoleBinding = Stored<k8s.V1RoleBinding>;
export type ClusterRole = Stored<k8s.V1ClusterRole>;
export type ClusterRoleBinding = Stored<k8s.V1ClusterRoleBinding>;
export type TokenRequest = Stored<k8s.AuthenticationV1TokenRequest>;

export type PodSpec = Wire<k8s.V1PodSpec>;
export type PodStatus = Wire<k8s.V1PodStatus>;
export type PodTemplateSpec = Wire<k8s.V1PodTemplateSpec>;
export type PodCondition = Wire<k8s.V1PodCondition>;
export type Container = Wire<k8s.V1Container>;
export type ContainerStatus = Wire<k8s.V1ContainerStatus>;
export type ContainerState = Wire<k8s.V1ContainerState>;
export type Volume = Wire<k8s.V1Volume>;
export type Probe = Wire<k8s.V1Probe>;
export type Taint = Wire<k8s.V1Taint>;
export type Toleration = Wire<k8s.V1Toleration>;
export type NodeCondition = Wire<k8s.V1NodeCondition>;
export type LabelSelector = Wire<k8s.V1LabelSelector>;
export type ObjectReference = Wire<k8s.V1ObjectReference>;
export type PolicyRule = Wire<k8s.V1PolicyRule>;
export type RoleRef = Wire<k8s.V1RoleRef>;
export type Subject = Wire<k8s.RbacV1Subject>;
