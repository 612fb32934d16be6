/**
 * A manifest of the machine's own folder becomes a pod: named after the machine, with the defaults that the API would fill in, and
 * with a uid that is a function of what is written, so that an unchanged manifest is the same pod after every start. Pure.
 */
import { createHash } from 'node:crypto';
import { parse } from 'yaml';
import { errorMessage } from '../../lib/errors.ts';
import {
  apiReferencesOf,
  configHashAnnotation,
  configSeenAnnotation,
  configSourceAnnotation,
} from '../../machinery/mirror-pods.ts';
import { isDns1123Label, isDns1123Subdomain } from '../../machinery/names.ts';
import { setPodOnlyDefaults, setPodSpecDefaults } from '../../machinery/pod-defaults.ts';
import { qosClassOf } from '../../machinery/qos.ts';
import { checkObject, pruneUnknown } from '../../machinery/schemas.ts';
import type { Container, Pod } from '../../machinery/types.ts';

export interface ManifestPlace {
  /** As it is told in logs; counts for the uid. */
  file: string;
  nodeName: string;
  nowMs: number;
}

const schemaName = 'core.v1.Pod';

/** Throws an Error that says what is wrong with it. */
export function podOfManifest(text: string, { file, nodeName, nowMs }: ManifestPlace): Pod {
  const read = parse(text) as Pod | null;
  if (typeof read !== 'object' || read === null || read.apiVersion !== 'v1' || read.kind !== 'Pod') {
    throw new Error('it does not hold a Pod of v1');
  }
  const { errors } = checkObject(read, schemaName);
  if (errors.length > 0) throw new Error(errors.join(', '));
  pruneUnknown(read, schemaName);
  const written = JSON.stringify(read);
  const { name = '', namespace = 'default', labels, annotations } = read.metadata ?? {};
  const spec = read.spec;
  if (!spec) throw new Error('spec: Required value');
  spec.nodeName = nodeName;
  // A machine that is not ready, or is being emptied, still runs what its own folder asks for.
  spec.tolerations = [...(spec.tolerations ?? []), { operator: 'Exists', effect: 'NoExecute' }];
  setPodSpecDefaults(spec);
  setPodOnlyDefaults(spec, { account: false });
  const full = `${name}-${nodeName}`;
  const problems = problemsOf(
    full,
    namespace,
    [...(spec.initContainers ?? []), ...spec.containers],
    new Set(namesIn(spec.volumes)),
  );
  if (spec.containers.length === 0) problems.push('spec.containers: Required value');
  for (const what of apiReferencesOf(spec)) problems.push(`static pods may not reference ${what}`);
  if (problems.length > 0) throw new Error(problems.join('; '));
  const uid = createHash('sha256').update(`${nodeName}\n${file}\n${written}`).digest('hex').slice(0, 32);
  const seen = new Date(nowMs).toISOString();
  const own = { [configHashAnnotation]: uid, [configSourceAnnotation]: 'file', [configSeenAnnotation]: seen };
  const scheduled = { type: 'PodScheduled', status: 'True', lastTransitionTime: `${seen.slice(0, 19)}Z` };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: full, namespace, uid, ...(labels ? { labels } : {}), annotations: { ...annotations, ...own } },
    spec,
    status: { phase: 'Pending', qosClass: qosClassOf(spec), conditions: [scheduled] },
  };
}

const namesIn = (list: { name: string }[] | undefined) => (list ?? []).map(({ name }) => name);

/** What would break the agent or leave a container without what it names; the mirror in the API is checked in full. */
function problemsOf(name: string, namespace: string, containers: Container[], volumes: ReadonlySet<string>): string[] {
  const problems = isDns1123Subdomain(name).map((detail) => `metadata.name: ${detail}`);
  problems.push(...isDns1123Label(namespace).map((detail) => `metadata.namespace: ${detail}`));
  const seen = new Set<string>();
  for (const container of containers) {
    problems.push(...isDns1123Label(container.name ?? '').map((detail) => `container name: ${detail}`));
    if (seen.has(container.name)) problems.push(`container ${container.name}: Duplicate value`);
    seen.add(container.name);
    if (!container.image) problems.push(`container ${container.name}: image: Required value`);
    for (const mount of container.volumeMounts ?? []) {
      if (!volumes.has(mount.name)) problems.push(`container ${container.name}: volume ${mount.name} not found`);
    }
  }
  return problems;
}

/** As podOfManifest, with the reason as a text. */
export function readManifest(text: string, place: ManifestPlace): { pod: Pod } | { problem: string } {
  try {
    return { pod: podOfManifest(text, place) };
  } catch (error) {
    return { problem: errorMessage(error) };
  }
}
