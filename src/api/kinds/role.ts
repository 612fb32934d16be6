/** Role and ClusterRole: what may be done, in one namespace or everywhere. */
import type { Column, KindDefinition } from '../../machinery/kind.ts';
import { validateLabelSelector, validateMetadata } from '../../machinery/metadata.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { ClusterRole, KubeObject, Role } from '../../machinery/types.ts';
import { nameColumn } from './columns.ts';
import { required } from './field-errors.ts';
import { firstRbac, isPathSegment, rbacGroup, validateRules } from './rbac-validation.ts';

const columns: Column<KubeObject>[] = [
  nameColumn,
  {
    name: 'Created At',
    type: 'date',
    priority: 0,
    description: 'When the object was made.',
    cell: ({ metadata }) => metadata.creationTimestamp ?? '<unknown>',
  },
];

export const roleKind: KindDefinition<Role> = {
  group: rbacGroup,
  kind: 'Role',
  plural: 'roles',
  singular: 'role',
  namespaced: true,
  versions: [{ name: 'v1', schema: 'rbac.v1.Role' }, firstRbac('Role')],
  hasStatus: false,
  createOnUpdate: true,
  generationFields: [],
  setDefaults(role) {
    role.rules ??= [];
  },
  validate: ({ metadata, rules }) => [
    ...validateMetadata(metadata, { namespaced: true, nameCheck: isPathSegment }),
    ...validateRules(rules, { namespaced: true }),
  ],
  columns,
};

export const clusterRoleKind: KindDefinition<ClusterRole> = {
  group: rbacGroup,
  kind: 'ClusterRole',
  plural: 'clusterroles',
  singular: 'clusterrole',
  namespaced: false,
  versions: [{ name: 'v1', schema: 'rbac.v1.ClusterRole' }, firstRbac('ClusterRole')],
  hasStatus: false,
  createOnUpdate: true,
  generationFields: [],
  setDefaults(role) {
    role.rules ??= [];
  },
  validate: (role) => [
    ...validateMetadata(role.metadata, { namespaced: false, nameCheck: isPathSegment }),
    ...validateRules(role.rules, { namespaced: false }),
    ...validateAggregation(role),
  ],
  columns,
};

function validateAggregation({ aggregationRule }: ClusterRole): FieldError[] {
  if (!aggregationRule) return [];
  const path = 'aggregationRule.clusterRoleSelectors';
  const selectors = aggregationRule.clusterRoleSelectors ?? [];
  if (selectors.length === 0) {
    return [required(path, 'at least one clusterRoleSelector required if aggregationRule is non-nil')];
  }
  return selectors.flatMap((selector, index) => validateLabelSelector(selector, `${path}[${index}]`));
}
