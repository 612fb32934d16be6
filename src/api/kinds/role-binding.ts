/** RoleBinding and ClusterRoleBinding: who has a role, in one namespace or everywhere. */
import type { Column, KindDefinition } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import type { ClusterRoleBinding, RoleBinding } from '../../machinery/types.ts';
import { ageColumn, column, nameColumn, wideColumn } from './columns.ts';
import {
  firstRbac,
  isPathSegment,
  rbacGroup,
  roleText,
  setBindingDefaults,
  subjectsText,
  validateBinding,
  validateRoleRefUpdate,
} from './rbac-validation.ts';

const columns: Column<RoleBinding | ClusterRoleBinding>[] = [
  nameColumn,
  column('Role', roleText, 'The role that is given.'),
  ageColumn,
  wideColumn('Users', (binding) => subjectsText(binding, 'User'), 'Users that have it.'),
  wideColumn('Groups', (binding) => subjectsText(binding, 'Group'), 'Groups that have it.'),
  wideColumn('ServiceAccounts', (binding) => subjectsText(binding, 'ServiceAccount'), 'Service accounts that have it.'),
];

export const roleBindingKind: KindDefinition<RoleBinding> = {
  group: rbacGroup,
  kind: 'RoleBinding',
  plural: 'rolebindings',
  singular: 'rolebinding',
  namespaced: true,
  versions: [{ name: 'v1', schema: 'rbac.v1.RoleBinding' }, firstRbac('RoleBinding')],
  hasStatus: false,
  createOnUpdate: true,
  generationFields: [],
  setDefaults: setBindingDefaults,
  validate: (binding) => [
    ...validateMetadata(binding.metadata, { namespaced: true, nameCheck: isPathSegment }),
    ...validateBinding(binding, { namespaced: true }),
  ],
  validateUpdate: validateRoleRefUpdate,
  columns,
};

export const clusterRoleBindingKind: KindDefinition<ClusterRoleBinding> = {
  group: rbacGroup,
  kind: 'ClusterRoleBinding',
  plural: 'clusterrolebindings',
  singular: 'clusterrolebinding',
  namespaced: false,
  versions: [{ name: 'v1', schema: 'rbac.v1.ClusterRoleBinding' }, firstRbac('ClusterRoleBinding')],
  hasStatus: false,
  createOnUpdate: true,
  generationFields: [],
  setDefaults: setBindingDefaults,
  validate: (binding) => [
    ...validateMetadata(binding.metadata, { namespaced: false, nameCheck: isPathSegment }),
    ...validateBinding(binding, { namespaced: false }),
  ],
  validateUpdate: validateRoleRefUpdate,
  columns,
};
