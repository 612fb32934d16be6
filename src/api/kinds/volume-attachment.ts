/** VolumeAttachment: the wish to have a volume attached to a node, between the attaching controller and a driver. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { VolumeAttachment } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkImmutable, invalidWhen, required } from './field-errors.ts';
import { oldVersion } from './old-versions.ts';

export const volumeAttachmentKind: KindDefinition<VolumeAttachment> = {
  group: 'storage.k8s.io',
  kind: 'VolumeAttachment',
  plural: 'volumeattachments',
  singular: 'volumeattachment',
  namespaced: false,
  versions: [
    { name: 'v1', schema: 'storage.v1.VolumeAttachment' },
    oldVersion('storage.k8s.io', {
      name: 'v1beta1',
      schema: 'storage.v1beta1.VolumeAttachment',
      releases: ['1.19', '1.22'],
      use: 'storage.k8s.io/v1 VolumeAttachment',
    }),
  ],
  hasStatus: true,
  generationFields: [],

  setDefaults({ status }) {
    if (status) status.attached ??= false;
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = { attached: false };
  },

  validate({ metadata, spec }) {
    const errors = validateMetadata(metadata, { namespaced: false, nameCheck: isDns1123Subdomain });
    if (!spec?.attacher) errors.push(required('spec.attacher'));
    else errors.push(...invalidWhen('spec.attacher', spec.attacher.toLowerCase(), isDns1123Subdomain));
    if (!spec?.source?.persistentVolumeName && !spec?.source?.inlineVolumeSpec) {
      errors.push(required('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'));
    }
    if (!spec?.nodeName) errors.push(required('spec.nodeName'));
    return errors;
  },

  validateUpdate: (next, previous) => checkImmutable('spec', next.spec, previous.spec),

  columns: [
    nameColumn,
    { ...column('Attacher', ({ spec }) => spec?.attacher ?? '', 'The driver that attaches it.'), format: 'name' },
    column('PV', ({ spec }) => spec?.source?.persistentVolumeName ?? '', 'The volume.'),
    column('Node', ({ spec }) => spec?.nodeName ?? '', 'The node.'),
    { ...column('Attached', ({ status }) => status?.attached ?? false, 'Whether it is.'), type: 'boolean' },
    ageColumn,
  ],
};
