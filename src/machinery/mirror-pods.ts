/**
 * Static pods: what a machine runs from a folder of its own, and the mirror of each in the API, by which others see it. Names
 * of the annotations and what a pod without the API may refer to are those of Kubernetes. Pure.
 */
import { referencesOf } from './pod-references.ts';
import type { Pod, PodSpec } from './types.ts';

/** Holds the hash of the static pod that the object mirrors. */
export const mirrorAnnotation = 'kubernetes.io/config.mirror';
export const configHashAnnotation = 'kubernetes.io/config.hash';
export const configSourceAnnotation = 'kubernetes.io/config.source';
/** When the agent saw the manifest first; RFC 3339. */
export const configSeenAnnotation = 'kubernetes.io/config.seen';

export function isMirrorPod({ metadata }: Pod): boolean {
  return metadata.annotations?.[mirrorAnnotation] !== undefined;
}

/** What the spec names that only the API can give, in plural; empty for a pod that can run without it. */
export function apiReferencesOf(spec: PodSpec): string[] {
  const { secrets, configMaps } = referencesOf(spec);
  const volumes = spec.volumes ?? [];
  const sources = volumes.flatMap(({ projected }) => projected?.sources ?? []);
  const found: [boolean, string][] = [
    [!!(spec.serviceAccountName || spec.serviceAccount), 'a service account'],
    [secrets.size > 0, 'secrets'],
    [configMaps.size > 0, 'configmaps'],
    [volumes.some((volume) => volume.persistentVolumeClaim || volume.ephemeral), 'persistentvolumeclaims'],
    [sources.some((source) => source.serviceAccountToken), 'service account tokens'],
    [sources.some((source) => source.clusterTrustBundle), 'clustertrustbundles'],
    [(spec.resourceClaims?.length ?? 0) > 0, 'resourceclaims'],
    [(spec.ephemeralContainers?.length ?? 0) > 0, 'ephemeral containers'],
  ];
  return found.flatMap(([named, what]) => (named ? [what] : []));
}
