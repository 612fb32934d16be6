/** Small kinds that show one rule each, and a registry over them. */

import { AdmissionChain, standardPlugins } from '../../src/api/admission/index.ts';
import type { AdmissionPlugin } from '../../src/api/admission/types.ts';
import { systemUser } from '../../src/api/authentication.ts';
import { bootstrapCluster } from '../../src/api/bootstrap.ts';
import { KindTable } from '../../src/api/kind-table.ts';
import { kinds } from '../../src/api/kinds/index.ts';
import { LocalClient } from '../../src/api/local-client.ts';
import { rbacAuthorizer } from '../../src/api/rbac/authorizer.ts';
import { PodReferences } from '../../src/api/rbac/pod-references.ts';
import { RoleIndex } from '../../src/api/rbac/role-index.ts';
import { Registry } from '../../src/api/registry.ts';
import { ServiceClaims } from '../../src/api/service-claims.ts';
import { ServiceAccountTokens } from '../../src/api/tokens/service-account-tokens.ts';
import { SigningKeys } from '../../src/api/tokens/signing-keys.ts';
import type { User } from '../../src/api/types.ts';
import { seededRandom } from '../../src/lib/random.ts';
import type { KindDefinition } from '../../src/machinery/kind.ts';
import type { NodeHealth, NodeHealthView } from '../../src/machinery/node-health.ts';
import type { Resource } from '../../src/machinery/resources.ts';
import type { KubeObject } from '../../src/machinery/types.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { MemoryCluster } from './memory-cluster.ts';

export interface Widget extends KubeObject {
  spec?: { size?: number; color?: string; fixed?: string };
  status?: { seen?: number };
}

/** Graceful by `size` seconds, has a status and a scale. Its old version v1beta1 calls the color `paint`. */
export const widgetKind: KindDefinition<Widget> = {
  group: 'test.kontiki',
  kind: 'Widget',
  plural: 'widgets',
  singular: 'widget',
  namespaced: true,
  versions: [
    { name: 'v1', schema: 'test.v1.Widget' },
    {
      name: 'v1beta1',
      schema: 'test.v1beta1.Widget',
      deprecation: 'test.kontiki/v1beta1 Widget is deprecated; use test.kontiki/v1',
      toStorage: (object) => rename(object, 'paint', 'color'),
      fromStorage: (object) => rename(object, 'color', 'paint'),
    },
  ],
  hasStatus: true,
  createOnUpdate: true,
  scale: {
    get: ({ metadata, spec }) => ({
      apiVersion: 'autoscaling/v1',
      kind: 'Scale',
      metadata: { name: metadata.name },
      spec: { replicas: spec?.size ?? 0 },
    }),
    setReplicas: (object, size) => {
      object.spec = { ...object.spec, size };
    },
  },
  setDefaults(widget) {
    widget.spec ??= {};
    widget.spec.color ??= 'grey';
  },
  prepare(next, _, { creating }) {
    if (creating) next.status = {};
  },
  validate: ({ spec }) =>
    spec?.color === 'invisible' ? [{ type: 'Invalid', field: 'spec.color', value: spec.color, detail: 'must be visible' }] : [],
  validateUpdate: (next, previous) =>
    next.spec?.fixed === previous.spec?.fixed
      ? []
      : [{ type: 'Invalid', field: 'spec.fixed', value: next.spec?.fixed, detail: 'field is immutable' }],
  gracePeriodSeconds: ({ spec }, requested) => requested ?? spec?.size ?? 0,
  columns: [
    { name: 'Name', type: 'string', format: 'name', cell: ({ metadata }) => metadata.name },
    { name: 'Color', type: 'string', cell: ({ spec }) => spec?.color ?? '' },
  ],
  selectableFields: { 'spec.color': ({ spec }) => spec?.color ?? '' },
};

function rename(object: KubeObject, from: string, to: string): KubeObject {
  const { spec = {} } = object as unknown as { spec?: Record<string, unknown> };
  const { [from]: value, ...rest } = spec;
  return { ...object, spec: value === undefined ? rest : { ...rest, [to]: value } } as KubeObject;
}

export const widgets: Resource<Widget> = {
  group: 'test.kontiki',
  version: 'v1',
  resource: 'widgets',
  kind: 'Widget',
  namespaced: true,
};
export const oldWidgets: Resource<KubeObject & { spec?: { paint?: string } }> = {
  ...widgets,
  type: undefined,
  version: 'v1beta1',
};

export const testKinds: KindDefinition[] = [...kinds, widgetKind as unknown as KindDefinition];

export class TestHealth implements NodeHealth {
  readonly views: NodeHealthView[] = [];

  get(nodeName: string): NodeHealthView | undefined {
    return this.views.find((view) => view.nodeName === nodeName);
  }

  list(): NodeHealthView[] {
    return this.views;
  }

  onChange(): () => void {
    return () => {};
  }
}

/** A registry with the namespaces of a cluster, and clients of it. */
export async function testRegistry(
  options: { historyRevisionsMax?: number; serviceCidr?: string; plugins?: AdmissionPlugin[] } = {},
) {
  const store = await MemoryCluster.open(options);
  const clock = new ManualClock();
  const random = seededRandom(7);
  const nodeHealth = new TestHealth();
  const claims = new ServiceClaims({
    store,
    random,
    serviceCidr: options.serviceCidr ?? '10.43.0.0/16',
    nodePortRange: { from: 30_000, to: 30_003 },
  });
  const table = new KindTable(testKinds);
  const roles = new RoleIndex(store);
  const authorizer = rbacAuthorizer(roles, new PodReferences(store));
  const tokens = new ServiceAccountTokens({ keys: new SigningKeys(store), store, clock, random });
  await tokens.keys.ensure(AbortSignal.timeout(10_000));
  const access = { authorizer, roles };
  const admission = new AdmissionChain([...standardPlugins(), ...(options.plugins ?? [])]);
  const registry = new Registry({ store, table, clock, random, nodeHealth, claims, access, tokens, admission });
  const clientOf = (user: User = systemUser) => new LocalClient(registry, authorizer, user);
  const client = clientOf();
  await bootstrapCluster(client, claims.apiAddress, AbortSignal.timeout(10_000));
  return { store, clock, nodeHealth, claims, roles, authorizer, tokens, registry, client, clientOf };
}

/** The StatusError that `promise` rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<{ code: number; reason: string; message: string }> {
  try {
    await promise;
  } catch (error) {
    const { status } = error as { status?: { code: number; reason: string; message: string } };
    if (status) return status;
    throw error;
  }
  throw new Error('it did not fail');
}
