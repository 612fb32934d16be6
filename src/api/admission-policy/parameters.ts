/** The parameters of a policy that a binding names. */
import { groupOf } from '../../machinery/kind.ts';
import type { ValidatingAdmissionPolicyBinding } from '../../machinery/kind-types.ts';
import { labelSelectorMatches } from '../../machinery/selectors.ts';
import type { KubeObject, LabelSelector } from '../../machinery/types.ts';
import type { KindTable, ResolvedKind } from '../kind-table.ts';
import type { RegistryContext } from '../registry-types.ts';
import { fromStorage, keyOf, objectOf, prefixOf } from '../stored-objects.ts';
import type { PolicySpec } from './expressions.ts';

type ParamRef = NonNullable<NonNullable<ValidatingAdmissionPolicyBinding['spec']>['paramRef']>;

/** A policy or binding that cannot be followed as it stands. */
export class ConfigurationProblem extends Error {}

/**
 * The objects that the rules run with, one after the other: null for none. Empty when the binding finds nothing and says that
 * this is fine. Throws ConfigurationProblem.
 */
export function parametersOf(
  { paramKind }: PolicySpec,
  reference: ParamRef | undefined,
  namespace: string | undefined,
  { store, table }: Pick<RegistryContext, 'store' | 'table'>,
): (KubeObject | null)[] {
  if (!paramKind || !reference) return [null];
  const resolved = kindOf(table, paramKind);
  const { kind } = resolved;
  if (!kind.namespaced && reference.namespace) {
    throw new ConfigurationProblem('paramRef.namespace must not be provided for a cluster-scoped `paramKind`');
  }
  const within = kind.namespaced ? reference.namespace || namespace : undefined;
  if (kind.namespaced && !within) {
    throw new ConfigurationProblem('cannot use namespaced paramRef in policy binding that matches cluster-scoped resources');
  }
  const found = recordsOf().map((record) => fromStorage(resolved, objectOf(record)));
  if (found.length > 0 || reference.parameterNotFoundAction === 'Allow') return found;
  throw new ConfigurationProblem('no params found for policy binding with `Deny` parameterNotFoundAction');

  function recordsOf() {
    if (reference?.name) {
      const record = store.get(keyOf(kind, within, reference.name));
      return record ? [record] : [];
    }
    const selector = reference?.selector as LabelSelector | undefined;
    return store
      .list(prefixOf(kind, within))
      .records.filter((record) => labelSelectorMatches(selector, objectOf(record).metadata.labels));
  }
}

function kindOf(table: KindTable, wanted: NonNullable<PolicySpec['paramKind']>): ResolvedKind {
  const found = findByKind(table, wanted);
  if (found) return found;
  const { apiVersion = '', kind = '' } = wanted;
  throw new ConfigurationProblem(`failed to find resource referenced by paramKind: '${apiVersion}, Kind=${kind}'`);
}

/** Undefined when no such kind is served. */
export function findByKind(
  table: KindTable,
  { apiVersion = '', kind: name = '' }: NonNullable<PolicySpec['paramKind']>,
): ResolvedKind | undefined {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  for (const kind of table.kinds) {
    const served =
      kind.kind === name ? kind.versions.find((one) => one.name === version && groupOf(kind, one) === group) : undefined;
    if (served) return { kind, version: served };
  }
  return undefined;
}
