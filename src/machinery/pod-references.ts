/** The ConfigMaps and Secrets that a pod names. Pure. */
import type { PodSpec } from './types.ts';

/** Names of the objects a pod refers to. */
export interface References {
  configMaps: Set<string>;
  secrets: Set<string>;
}

/** Every ConfigMap and Secret a pod's volumes, environment and pull secrets name. Pure. */
export function referencesOf(spec: PodSpec): References {
  const found: References = { configMaps: new Set(), secrets: new Set() };
  const add = (set: Set<string>, name: string | undefined) => {
    if (name) set.add(name);
  };
  for (const volume of spec.volumes ?? []) {
    add(found.configMaps, volume.configMap?.name);
    add(found.secrets, volume.secret?.secretName);
    for (const source of volume.projected?.sources ?? []) {
      add(found.configMaps, source.configMap?.name);
      add(found.secrets, source.secret?.name);
    }
  }
  for (const container of [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])]) {
    for (const source of container.envFrom ?? []) {
      add(found.configMaps, source.configMapRef?.name);
      add(found.secrets, source.secretRef?.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      add(found.configMaps, valueFrom?.configMapKeyRef?.name);
      add(found.secrets, valueFrom?.secretKeyRef?.name);
    }
  }
  for (const { name } of spec.imagePullSecrets ?? []) add(found.secrets, name);
  return found;
}
