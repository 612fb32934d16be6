/** PodTemplate: a template that stands by itself. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { PodTemplate } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { setPodSpecDefaults } from '../../machinery/pod-defaults.ts';
import { column, containerImages, containerNames, formatMap, nameColumn } from './columns.ts';
import { validateTemplateParts } from './pod-spec-validation.ts';

export const podTemplateKind: KindDefinition<PodTemplate> = {
  group: '',
  kind: 'PodTemplate',
  plural: 'podtemplates',
  singular: 'podtemplate',
  namespaced: true,
  versions: [{ name: 'v1', schema: 'core.v1.PodTemplate' }],
  hasStatus: false,
  generationFields: ['template'],

  setDefaults({ template }) {
    if (template?.spec) setPodSpecDefaults(template.spec);
  },

  validate: ({ metadata, template }) => [
    ...validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
    ...validateTemplateParts(template ?? {}, 'template'),
  ],

  columns: [
    nameColumn,
    column('Containers', ({ template }) => containerNames(template), 'Names of the containers in the template.'),
    column('Images', ({ template }) => containerImages(template), 'Images of the containers in the template.'),
    column('Pod Labels', ({ template }) => formatMap(template?.metadata?.labels), 'Labels of the pods made from it.'),
  ],
};
