/** Node: one machine. Its agent writes the status; people write taints, labels and whether it takes pods. */
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { canonicalizeQuantities } from '../../machinery/pod-defaults.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { Node } from '../../machinery/types.ts';
import { ageColumn, column, nameColumn, wideColumn } from './columns.ts';
import { checkQuantity, duplicate, invalidValue, notPermitted } from './field-errors.ts';
import { validateTaints } from './placement-validation.ts';

const rolePrefix = 'node-role.kubernetes.io/';
const roleLabel = 'kubernetes.io/role';

export const nodeKind: KindDefinition<Node> = {
  group: '',
  kind: 'Node',
  plural: 'nodes',
  singular: 'node',
  shortNames: ['no'],
  namespaced: false,
  versions: [{ name: 'v1', schema: 'core.v1.Node' }],
  hasStatus: true,
  subresources: ['proxy'],
  generationFields: [],

  setDefaults(node) {
    node.spec ??= {};
    if (node.spec.podCIDR && !node.spec.podCIDRs?.length) node.spec.podCIDRs = [node.spec.podCIDR];
    else if (!node.spec.podCIDR && node.spec.podCIDRs?.[0]) node.spec.podCIDR = node.spec.podCIDRs[0];
    const { status } = node;
    if (!status) return;
    canonicalizeQuantities(status.capacity);
    canonicalizeQuantities(status.allocatable);
    if (status.capacity) status.allocatable ??= { ...status.capacity };
  },

  validate(node) {
    return [
      ...validateMetadata(node.metadata, { namespaced: false, nameCheck: isDns1123Subdomain }),
      ...validateTaints(node.spec?.taints, 'spec.taints'),
      ...validatePodCidrs(node.spec?.podCIDRs ?? []),
      ...validateStatus(node),
    ];
  },

  validateUpdate(next, previous) {
    const errors: FieldError[] = [];
    const [now, before] = [next.spec, previous.spec];
    if (before?.podCIDRs?.length) {
      if (now?.podCIDRs?.join() !== before.podCIDRs.join()) {
        errors.push(notPermitted('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'));
      }
    }
    if (before?.providerID && now?.providerID !== before.providerID) {
      errors.push(notPermitted('spec.providerID', 'node updates may not change providerID except from "" to valid'));
    }
    return errors;
  },

  validateStatusUpdate: (next) => validateStatus(next),

  columns: [
    nameColumn,
    column('Status', statusCell, 'Whether the node is ready and takes pods.'),
    column('Roles', rolesCell, 'The roles of the node.'),
    ageColumn,
    column('Version', ({ status }) => status?.nodeInfo?.kubeletVersion ?? '', 'The version of the agent.'),
    wideColumn('Internal-IP', (node) => address(node, 'InternalIP'), 'Address inside the cluster.'),
    wideColumn('External-IP', (node) => address(node, 'ExternalIP'), 'Address outside the cluster.'),
    wideColumn('OS-Image', ({ status }) => status?.nodeInfo?.osImage || '<unknown>', 'The operating system.'),
    wideColumn('Kernel-Version', ({ status }) => status?.nodeInfo?.kernelVersion || '<unknown>', 'The kernel.'),
    wideColumn(
      'Container-Runtime',
      ({ status }) => status?.nodeInfo?.containerRuntimeVersion || '<unknown>',
      'What runs containers.',
    ),
  ],

  selectableFields: { 'spec.unschedulable': ({ spec }) => String(spec?.unschedulable ?? false) },
};

function statusCell({ spec, status }: Node): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const words = [ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown'];
  if (spec?.unschedulable) words.push('SchedulingDisabled');
  return words.join(',');
}

function rolesCell({ metadata }: Node): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix) && key.length > rolePrefix.length) roles.add(key.slice(rolePrefix.length));
    else if (key === roleLabel && value) roles.add(value);
  }
  return roles.size ? [...roles].sort().join(',') : '<none>';
}

function address({ status }: Node, wanted: string): string {
  return status?.addresses?.find(({ type }) => type === wanted)?.address || '<none>';
}

const cidr = /^(\d{1,3}\.){3}\d{1,3}\/([0-9]|[12][0-9]|3[0-2])$|^[0-9a-fA-F:.]+\/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])$/;

function validatePodCidrs(cidrs: string[]): FieldError[] {
  const seen = new Set<string>();
  return cidrs.flatMap((range, index) => {
    const path = `spec.podCIDRs[${index}]`;
    if (!cidr.test(range)) return [invalidValue(path, range, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')];
    if (seen.has(range)) return [duplicate(path, range)];
    seen.add(range);
    return [];
  });
}

function validateStatus({ status }: Node): FieldError[] {
  const errors: FieldError[] = [];
  for (const list of ['capacity', 'allocatable'] as const) {
    for (const [name, quantity] of Object.entries(status?.[list] ?? {})) {
      errors.push(...checkQuantity(`status.${list}[${name}]`, quantity));
    }
  }
  const seen = new Set<string>();
  for (const [index, { type, address: value }] of (status?.addresses ?? []).entries()) {
    const identity = `${type}/${value}`;
    if (seen.has(identity)) errors.push(duplicate(`status.addresses[${index}]`, { type, address: value }));
    seen.add(identity);
  }
  return errors;
}
