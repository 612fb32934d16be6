/** CustomResourceDefinition as it is stored (apiextensions.k8s.io/v1). */
import type { KubeObject } from '../types.ts';
import type { JsonSchema } from './json-schema.ts';

export const definitionGroup = 'apiextensions.k8s.io';
/** Held by a definition that is being deleted until its objects are gone. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

export interface DefinitionNames {
  plural: string;
  singular?: string;
  shortNames?: string[];
  kind: string;
  listKind?: string;
  categories?: string[];
}

export interface PrinterColumn {
  name: string;
  type: string;
  format?: string;
  description?: string;
  priority?: number;
  jsonPath: string;
}

export interface ScalePaths {
  specReplicasPath: string;
  statusReplicasPath: string;
  labelSelectorPath?: string;
}

export interface DefinitionVersion {
  name: string;
  served: boolean;
  storage: boolean;
  deprecated?: boolean;
  deprecationWarning?: string;
  schema?: { openAPIV3Schema?: JsonSchema };
  subresources?: { status?: object; scale?: ScalePaths };
  additionalPrinterColumns?: PrinterColumn[];
  selectableFields?: { jsonPath: string }[];
}

export interface WebhookConversion {
  clientConfig?: {
    url?: string;
    service?: { namespace: string; name: string; path?: string; port?: number };
    caBundle?: string;
  };
  conversionReviewVersions?: string[];
}

export interface DefinitionCondition {
  type: string;
  status: string;
  lastTransitionTime?: string;
  reason?: string;
  message?: string;
}

export interface CustomResourceDefinition extends KubeObject {
  spec: {
    group: string;
    names: DefinitionNames;
    scope: 'Namespaced' | 'Cluster';
    versions: DefinitionVersion[];
    conversion?: { strategy: string; webhook?: WebhookConversion };
    preserveUnknownFields?: boolean;
  };
  status?: {
    conditions?: DefinitionCondition[];
    acceptedNames?: DefinitionNames;
    storedVersions?: string[];
  };
}

export function conditionOf({ status }: CustomResourceDefinition, type: string): DefinitionCondition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

export function isEstablished(definition: CustomResourceDefinition): boolean {
  return conditionOf(definition, 'Established')?.status === 'True';
}

/** The version in which objects are stored; validation has seen to it that there is one. */
export function storageVersionOf({ spec }: CustomResourceDefinition): DefinitionVersion | undefined {
  return spec.versions.find(({ storage }) => storage);
}

const versionShape = /^v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?$/;

/** Order of versions in discovery: GA before beta before alpha, newer first; other names last, by the alphabet. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [rankOf(a), rankOf(b)];
  for (let index = 0; index < 3; index++) {
    const difference = (right[index] ?? 0) - (left[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

function rankOf(version: string): number[] {
  const parsed = versionShape.exec(version);
  if (!parsed) return [0, 0, 0];
  const stability = parsed[2] === undefined ? 3 : parsed[2] === 'beta' ? 2 : 1;
  return [stability, Number(parsed[1]), Number(parsed[3] ?? 0)];
}

/** Groups of the Kubernetes community need the word of its reviewers in this annotation. */
export const approvalAnnotation = 'api-approved.kubernetes.io';
const approvalSource = 'see https://github.com/kubernetes/enhancements/pull/1111';

type Approval = 'Missing' | 'Approved' | 'Bypassed' | 'Invalid';

/** What the annotation says; only groups of the Kubernetes community need one. */
export function approvalOf({ metadata }: CustomResourceDefinition): { state: Approval; reason: string } {
  const text = metadata.annotations?.[approvalAnnotation] ?? '';
  const must = `protected groups must have approval annotation ${JSON.stringify(approvalAnnotation)}`;
  if (text === '') return { state: 'Missing', reason: `${must}, ${approvalSource}` };
  if (text.startsWith('unapproved')) return { state: 'Bypassed', reason: `not approved: ${JSON.stringify(text)}` };
  if (URL.canParse(text) && new URL(text).host !== '') return { state: 'Approved', reason: `approved in ${text}` };
  return {
    state: 'Invalid',
    reason: `${must} with either a URL or a reason starting with "unapproved", ${approvalSource}`,
  };
}

export function isProtectedGroup(group: string): boolean {
  return /(^|\.)(k8s|kubernetes)\.io$/.test(group);
}
