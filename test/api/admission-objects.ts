/** Objects and a registry for the tests of admission. */
import { kinds } from '../../src/api/kinds/index.ts';
import { groupOf } from '../../src/machinery/kind.ts';
import * as r from '../../src/machinery/resources.ts';
import type { KubeObject, Pod, PodSpec } from '../../src/machinery/types.ts';
import { failureOf, testRegistry } from './widgets.ts';

// biome-ignore lint/suspicious/noExplicitAny: the tests write what callers send, right or wrong
export type Fields = Record<string, any>;
export type Loose = KubeObject & Fields;

export const namespace = 'default';

/** A built-in resource by its Kind, in the newest version unless said. */
export function resourceOf(kindName: string, version?: string): r.Resource<Loose> {
  const kind = kinds.find((candidate) => candidate.kind === kindName);
  if (!kind) throw new Error(`no kind ${kindName}`);
  const served = kind.versions.find(({ name }) => name === (version ?? kind.versions[0].name)) ?? kind.versions[0];
  return {
    group: groupOf(kind, served),
    version: served.name,
    resource: kind.plural,
    kind: kindName,
    namespaced: kind.namespaced,
  };
}

export const container = (fields: Fields = {}) => ({ name: 'app', image: 'app:1', ...fields });
export const withResources = (requests: Fields, limits?: Fields) => ({ resources: { requests, ...(limits ? { limits } : {}) } });

/** A pod with one container of these fields. */
export function podOf(name: string, fields: Fields = {}, spec: Fields = {}): { metadata: { name: string }; spec: PodSpec } {
  return { metadata: { name }, spec: { containers: [container(fields)], ...spec } as PodSpec };
}

export async function admissionWorld() {
  const world = await testRegistry();
  const { client } = world;
  const make = (kind: string, object: Fields, into = namespace) => {
    const of = resourceOf(kind);
    return client.create(of, structuredClone(object) as Loose, of.namespaced ? { namespace: into } : {});
  };
  const run = (pod: ReturnType<typeof podOf> & Fields, into = namespace) =>
    client.create<Pod>(r.pods, structuredClone(pod) as never, { namespace: into });
  /** Why it was refused; the code is 403 unless said. */
  const refusedWith = async (attempt: Promise<unknown>, code = 403): Promise<string> => {
    const failure = await failureOf(attempt);
    if (failure.code !== code) throw new Error(`${failure.code} instead of ${code}: ${failure.message}`);
    return failure.message;
  };
  return { ...world, make, run, refusedWith };
}
