/** Namespace: a room for names. It goes away after its content, when its finalizers have been removed. */
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Label } from '../../machinery/names.ts';
import type { Namespace } from '../../machinery/types.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkName, invalidValue } from './field-errors.ts';

const nameLabel = 'kubernetes.io/metadata.name';
const contentFinalizer = 'kubernetes';

export const namespaceKind: KindDefinition<Namespace> = {
  group: '',
  kind: 'Namespace',
  plural: 'namespaces',
  singular: 'namespace',
  shortNames: ['ns'],
  namespaced: false,
  versions: [{ name: 'v1', schema: 'core.v1.Namespace' }],
  verbs: ['create', 'get', 'list', 'watch', 'update', 'patch', 'delete'],
  hasStatus: true,
  subresources: ['finalize'],
  generationFields: [],

  setDefaults(namespace) {
    if (namespace.metadata.name) {
      namespace.metadata.labels ??= {};
      namespace.metadata.labels[nameLabel] ??= namespace.metadata.name;
    }
    namespace.status ??= {};
    namespace.status.phase ||= 'Active';
  },

  prepare(next, previous, { creating }) {
    next.spec ??= {};
    if (creating) {
      next.status = { phase: 'Active' };
      next.spec.finalizers = [...new Set([...(next.spec.finalizers ?? []), contentFinalizer])];
    } else {
      // Only `/finalize` changes them.
      next.spec = structuredClone(previous?.spec ?? {});
    }
  },

  validate(namespace) {
    const { name, labels } = namespace.metadata;
    const errors = validateMetadata(namespace.metadata, { namespaced: false, nameCheck: isDns1123Label });
    for (const [index, finalizer] of (namespace.spec?.finalizers ?? []).entries()) {
      errors.push(...checkFinalizer(finalizer, `spec.finalizers[${index}]`));
    }
    const label = labels?.[nameLabel];
    if (label !== name) {
      errors.push(invalidValue(`metadata.labels[${nameLabel}]`, label ?? '', `must be ${name}`));
    }
    return errors;
  },

  validateStatusUpdate(next) {
    const { deletionTimestamp } = next.metadata;
    const phase = next.status?.phase;
    if (!deletionTimestamp && phase !== 'Active') {
      return [invalidValue('status.Phase', phase, "may only be 'Active' if `deletionTimestamp` is empty")];
    }
    if (deletionTimestamp && phase !== 'Terminating') {
      return [invalidValue('status.Phase', phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")];
    }
    return [];
  },

  columns: [
    nameColumn,
    column('Status', ({ status }) => status?.phase ?? '', 'Whether the namespace is being deleted.'),
    ageColumn,
  ],
  selectableFields: { 'status.phase': ({ status }) => status?.phase ?? '' },
};

function checkFinalizer(finalizer: string, path: string) {
  if (finalizer === contentFinalizer) return [];
  const errors = checkName(path, finalizer, (value) =>
    value.includes('/') ? [] : ['name is neither a standard finalizer name nor is it fully qualified'],
  );
  return errors;
}
