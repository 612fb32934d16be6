/**
 * Versions of kinds that Kubernetes has given up and tutorials still use. They are served from the current objects; who asks
 * for one is warned. Most have the current form, the others convert.
 */
import type { KindVersion } from '../../machinery/kind.ts';
import type { KubeObject } from '../../machinery/types.ts';

export interface OldVersion {
  group?: string;
  name: string;
  schema: string;
  /** The releases in which it became deprecated and went away, for example `['1.8', '1.16']`. */
  releases: [deprecated: string, removed: string];
  /** For example `apps/v1 Deployment`. */
  use: string;
  toStorage?(object: KubeObject): KubeObject;
  fromStorage?(object: KubeObject): KubeObject;
}

/** `ownGroup` is that of the kind. */
export function oldVersion(ownGroup: string, { releases, use, ...version }: OldVersion): KindVersion {
  const [deprecated, removed] = releases;
  const group = version.group ?? ownGroup;
  const kind = version.schema.slice(version.schema.lastIndexOf('.') + 1);
  const deprecation = `${group}/${version.name} ${kind} is deprecated in v${deprecated}+, unavailable in v${removed}+; use ${use}`;
  return { ...version, deprecation };
}

export type Json = Record<string, unknown>;

interface Workload extends KubeObject {
  spec?: Json & { selector?: unknown; template?: { metadata?: { labels?: Record<string, string> } } };
}

/**
 * The first versions of workloads chose the pods of their template when they had no selector, and had fields and defaults of
 * their own: `dropped` are fields that are gone, `defaults` what an unset field of the spec meant.
 */
export function fromFirstWorkload(object: KubeObject, { dropped = [] as string[], defaults = {} as Json } = {}): KubeObject {
  const { spec } = object as Workload;
  if (!spec) return object;
  for (const field of dropped) delete spec[field];
  const labels = spec.template?.metadata?.labels;
  if (spec.selector === undefined && labels) spec.selector = { matchLabels: { ...labels } };
  for (const [field, value] of Object.entries(defaults)) spec[field] ??= structuredClone(value);
  return object;
}
