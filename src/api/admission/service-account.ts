/**
 * Admission of pods by their service account: it must exist, and unless somebody does not want it, every container gets the
 * folder with the account's token, the cluster's certificate and the namespace.
 */
import { delay } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { apiReferencesOf, isMirrorPod } from '../../machinery/mirror-pods.ts';
import { forbidden } from '../../machinery/status.ts';
import type { Container, Pod, PodSpec, ServiceAccount, Volume } from '../../machinery/types.ts';
import { groupResource } from '../kind-table.ts';
import { generateName } from '../object-metadata.ts';
import type { RegistryContext, Target } from '../registry-types.ts';
import { namespaceKey, objectOf } from '../stored-objects.ts';
import type { AdmissionPlugin } from './types.ts';

/** Changes a new pod in place. StatusError 403 when its account does not exist. */
export const serviceAccount: AdmissionPlugin = {
  name: 'ServiceAccount',
  handles({ operation, target: { resolved, subresource } }) {
    return operation === 'CREATE' && !subresource && resolved.kind.group === '' && resolved.kind.plural === 'pods';
  },
  async mutate({ object, target }, context) {
    if (isMirrorPod(object as Pod)) return admitMirror(target, object as Pod);
    await awaitServiceAccount(context, target, object as Pod);
    admitServiceAccount(context, target, object as Pod);
  },
};

export const rootCertificateName = 'kube-root-ca.crt';
const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const volumePrefix = 'kube-api-access-';
/** One hour and some seconds: agents ask again long before. */
const tokenSeconds = 3_607;
const accountName = 'default';
/** A new namespace gets its account a moment after it was made. */
const accountWaitMs = 1_000;
const newNamespaceMs = 10_000;

const accountKey = (namespace: string, name: string) => `/registry/core/serviceaccounts/${namespace}/${name}`;

/** A static pod runs without the API, so it can have nothing that only the API gives. */
function admitMirror({ resolved }: Target, { metadata, spec }: Pod): void {
  const what = spec && apiReferencesOf(spec)[0];
  if (what) throw forbidden(groupResource(resolved.kind), metadata.name, `a mirror pod may not reference ${what}`);
}

function accountOf(spec: Partial<PodSpec> | undefined): string {
  return spec?.serviceAccountName || spec?.serviceAccount || accountName;
}

/** Gives the default account of a namespace that is just being made a moment to appear. Never rejects for its absence. */
async function awaitServiceAccount(context: RegistryContext, target: Target, pod: Pod): Promise<void> {
  const { namespace, signal } = target;
  if (!namespace || accountOf(pod.spec) !== accountName) return;
  const key = accountKey(namespace, accountName);
  const { store, clock } = context;
  if (store.get(key)) return;
  await store.barrier(signal);
  const owner = store.get(namespaceKey(namespace));
  if (store.get(key) || !owner) return;
  const ageMs = clock.wallMs() - Date.parse(objectOf(owner).metadata.creationTimestamp ?? '');
  if (ageMs > newNamespaceMs) return;
  const done = new AbortController();
  const watch = store.watch(key, store.revision, { onEvents: () => done.abort(), onEnd: () => done.abort() });
  try {
    await delay(clock, accountWaitMs, signal ? AbortSignal.any([done.signal, signal]) : done.signal);
  } catch (error) {
    if (!done.signal.aborted) throw error;
  } finally {
    watch.cancel();
  }
}

function admitServiceAccount(context: RegistryContext, target: Target, pod: Pod): void {
  const { name, namespace = '' } = pod.metadata;
  const { spec } = pod;
  // Without containers it is not valid; validation says so.
  if (!spec || !Array.isArray(spec.containers)) return;
  spec.serviceAccountName = accountOf(spec);
  const account = spec.serviceAccountName;
  const record = context.store.get(accountKey(namespace, account));
  if (!record) {
    const why = `error looking up service account ${namespace}/${account}: serviceaccount "${account}" not found`;
    throw forbidden(groupResource(target.resolved.kind), name, why);
  }
  const { automountServiceAccountToken, imagePullSecrets } = objectOf(record) as ServiceAccount;
  if (spec.automountServiceAccountToken ?? automountServiceAccountToken ?? true) addTokenVolume(spec, context.random);
  if (!spec.imagePullSecrets?.length && imagePullSecrets?.length) spec.imagePullSecrets = structuredClone(imagePullSecrets);
}

function addTokenVolume(spec: PodSpec, random: Random): void {
  const mounted = ({ volumeMounts }: Container) => volumeMounts?.some((mount) => mount.mountPath === mountPath);
  const without = [...spec.containers, ...(spec.initContainers ?? [])].filter((container) => !mounted(container));
  if (without.length === 0) return;
  let name = spec.volumes?.find((volume) => volume.name?.startsWith(volumePrefix))?.name;
  if (name === undefined) {
    name = generateName(volumePrefix, random);
    spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
  }
  for (const container of without) {
    container.volumeMounts = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath }];
  }
}

function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      defaultMode: 0o644,
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
        { configMap: { name: rootCertificateName, items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
      ],
    },
  };
}
