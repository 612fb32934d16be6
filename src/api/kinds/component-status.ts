/** ComponentStatus: whether the parts of the control plane work. Never stored; the answers are made in src/api/component-statuses.ts. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { ComponentStatus } from '../../machinery/kind-types.ts';
import { column, nameColumn } from './columns.ts';

const healthWords: Record<string, string> = { True: 'Healthy', False: 'Unhealthy' };
const health = ({ conditions = [] }: ComponentStatus) => conditions.find(({ type }) => type === 'Healthy');

export const componentStatusKind: KindDefinition<ComponentStatus> = {
  group: '',
  kind: 'ComponentStatus',
  plural: 'componentstatuses',
  singular: 'componentstatus',
  shortNames: ['cs'],
  namespaced: false,
  versions: [{ name: 'v1', schema: 'core.v1.ComponentStatus', deprecation: 'v1 ComponentStatus is deprecated in v1.19+' }],
  verbs: ['get', 'list'],
  hasStatus: false,
  generationFields: [],
  setDefaults() {},
  validate: () => [],
  columns: [
    nameColumn,
    column('Status', (status) => healthWords[health(status)?.status ?? ''] ?? 'Unknown', 'Whether the component works.'),
    column('Message', (status) => health(status)?.message ?? '', 'What it says.'),
    column('Error', (status) => health(status)?.error ?? '', 'Why it does not work.'),
  ],
};
