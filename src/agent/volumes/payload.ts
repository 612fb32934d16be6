/**
 * What the files of a configMap, secret, downwardAPI or projected volume hold. Pure: the objects referred to come in as
 * functions. AgentError 'Volume' when something that is not optional is missing.
 */
import type { ConfigMap, Pod, Secret, Volume } from '../../machinery/types.ts';
import { AgentError } from '../errors.ts';
import { type FieldValues, podField, resourceField } from '../runtime/pod-fields.ts';
import type { VolumeFile, VolumeFiles } from './atomic-writer.ts';

export interface VolumeSources {
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
  /** The service account token that belongs at a path of a projected volume. */
  token(volume: string, path: string): string | undefined;
}

interface Item {
  key: string;
  path: string;
  mode?: number;
}

const defaultFileMode = 0o644;

/** Undefined for volumes that are not made of files written by the agent. */
export function volumeFiles(volume: Volume, pod: Pod, sources: VolumeSources, values: FieldValues): VolumeFiles | undefined {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap) {
    const mode = configMap.defaultMode ?? defaultFileMode;
    return configMapFiles({ ...configMap, name: configMap.name ?? '' }, mode, sources);
  }
  if (secret) {
    const mode = secret.defaultMode ?? defaultFileMode;
    return secretFiles({ ...secret, name: secret.secretName ?? '' }, mode, sources);
  }
  if (downwardAPI) return downwardFiles(downwardAPI.items ?? [], pod, downwardAPI.defaultMode ?? defaultFileMode, values);
  if (!projected) return undefined;
  const mode = projected.defaultMode ?? defaultFileMode;
  const files: VolumeFiles = new Map();
  for (const source of projected.sources ?? []) {
    let part: VolumeFiles;
    if (source.configMap) part = configMapFiles({ ...source.configMap, name: source.configMap.name ?? '' }, mode, sources);
    else if (source.secret) part = secretFiles({ ...source.secret, name: source.secret.name ?? '' }, mode, sources);
    else if (source.downwardAPI) part = downwardFiles(source.downwardAPI.items ?? [], pod, mode, values);
    else if (source.serviceAccountToken) part = tokenFiles(volume.name, source.serviceAccountToken.path, pod, mode, sources);
    else if (source.clusterTrustBundle) part = trustBundleFiles(source.clusterTrustBundle, mode);
    else
      throw new AgentError(
        'Volume',
        `projected source of volume "${volume.name}" is not supported: ${Object.keys(source).join(', ')}`,
      );
    for (const [path, file] of part) files.set(path, file);
  }
  return files;
}

interface ObjectSource {
  name: string;
  items?: Item[];
  optional?: boolean;
}

function configMapFiles(source: ObjectSource, mode: number, sources: VolumeSources): VolumeFiles {
  const object = sources.configMap(source.name);
  if (!object && !source.optional) throw new AgentError('Volume', `configmap "${source.name}" not found`);
  const data = new Map<string, Buffer>();
  for (const [key, text] of Object.entries(object?.data ?? {})) data.set(key, Buffer.from(text, 'utf8'));
  for (const [key, base64] of Object.entries(object?.binaryData ?? {})) data.set(key, Buffer.from(base64, 'base64'));
  return select(data, source, mode, 'configmap references non-existent config key');
}

function secretFiles(source: ObjectSource, mode: number, sources: VolumeSources): VolumeFiles {
  const object = sources.secret(source.name);
  if (!object && !source.optional) throw new AgentError('Volume', `secret "${source.name}" not found`);
  const data = new Map(Object.entries(object?.data ?? {}).map(([key, base64]) => [key, Buffer.from(base64, 'base64')]));
  return select(data, source, mode, 'references non-existent secret key');
}

function select(data: Map<string, Buffer>, source: ObjectSource, mode: number, complaint: string): VolumeFiles {
  const files: VolumeFiles = new Map();
  if (!source.items?.length) {
    for (const [key, bytes] of data) files.set(key, { data: bytes, mode });
    return files;
  }
  for (const item of source.items) {
    const bytes = data.get(item.key);
    if (bytes) files.set(safePath(item.path), { data: bytes, mode: item.mode ?? mode });
    else if (!source.optional) throw new AgentError('Volume', `${complaint}: ${item.key}`);
  }
  return files;
}

/** Of the owner and the pod's group alone, where there is such a group. */
const ownTokenMode = 0o600;

function tokenFiles(volume: string, path: string, pod: Pod, mode: number, sources: VolumeSources): VolumeFiles {
  const token = sources.token(volume, path);
  if (token === undefined) throw new AgentError('Volume', 'failed to fetch token: there is none yet');
  const ofGroup = pod.spec?.securityContext?.fsGroup !== undefined;
  return new Map([[safePath(path), { data: Buffer.from(token), mode: ofGroup ? ownTokenMode : mode }]]);
}

type TrustBundle = NonNullable<NonNullable<NonNullable<Volume['projected']>['sources']>[number]['clusterTrustBundle']>;

/** The cluster keeps no ClusterTrustBundles (Kubernetes 1.33 serves them only when asked to): what is optional is empty. */
function trustBundleFiles({ name, signerName, optional, path }: TrustBundle, mode: number): VolumeFiles {
  if (optional) return new Map([[safePath(path), { data: Buffer.alloc(0), mode }]]);
  const wanted = name == null ? `of signer "${signerName}"` : `"${name}"`;
  throw new AgentError(
    'Volume',
    `clustertrustbundle ${wanted} not found: this cluster does not serve ClusterTrustBundle objects`,
  );
}

type DownwardItem = NonNullable<NonNullable<Volume['downwardAPI']>['items']>[number];

function downwardFiles(items: DownwardItem[], pod: Pod, mode: number, values: FieldValues): VolumeFiles {
  const files: VolumeFiles = new Map();
  for (const item of items) {
    const text = item.fieldRef
      ? podField(pod, item.fieldRef.fieldPath, values)
      : item.resourceFieldRef
        ? resourceField(pod, undefined, item.resourceFieldRef, values)
        : '';
    const file: VolumeFile = { data: Buffer.from(text, 'utf8'), mode: item.mode ?? mode };
    files.set(safePath(item.path), file);
  }
  return files;
}

/** The API validates paths; this is the last line before they become files on the host. */
function safePath(path: string): string {
  const parts = path.split('/');
  if (path === '' || path.startsWith('/') || parts.includes('..') || parts[0]!.startsWith('..')) {
    throw new AgentError('Volume', `invalid path "${path}"`);
  }
  return parts.filter((part) => part && part !== '.').join('/');
}
