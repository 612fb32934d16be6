/** ControllerRevision: a former template of a workload, kept for going back. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { ControllerRevision } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkImmutable, checkNotNegative, required } from './field-errors.ts';
import { oldVersion } from './old-versions.ts';

const use = 'apps/v1 ControllerRevision';

export const controllerRevisionKind: KindDefinition<ControllerRevision> = {
  group: 'apps',
  kind: 'ControllerRevision',
  plural: 'controllerrevisions',
  singular: 'controllerrevision',
  namespaced: true,
  versions: [
    { name: 'v1', schema: 'apps.v1.ControllerRevision' },
    oldVersion('apps', { name: 'v1beta2', schema: 'apps.v1beta2.ControllerRevision', releases: ['1.9', '1.16'], use }),
    oldVersion('apps', { name: 'v1beta1', schema: 'apps.v1beta1.ControllerRevision', releases: ['1.8', '1.16'], use }),
  ],
  hasStatus: false,
  generationFields: [],

  setDefaults(revision) {
    revision.revision ??= 0;
  },

  validate({ metadata, data, revision }) {
    const errors = validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain });
    if (data == null) errors.push(required('data', 'data is mandatory'));
    return [...errors, ...checkNotNegative('revision', revision)];
  },

  validateUpdate: (next, previous) => checkImmutable('data', next.data, previous.data),

  columns: [
    nameColumn,
    column('Controller', controllerCell, 'The workload that it belongs to.'),
    column('Revision', ({ revision }) => revision ?? 0, 'Counts the templates of the workload.'),
    ageColumn,
  ],
};

function controllerCell({ metadata }: ControllerRevision): string {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  if (!owner) return '<none>';
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : '';
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
}
