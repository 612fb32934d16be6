/** What storage drivers tell about themselves: CSIDriver, CSINode, CSIStorageCapacity. Drivers write them, not people. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { CsiDriver, CsiNode, CsiStorageCapacity } from '../../machinery/kind-types.ts';
import { validateLabelSelector, validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { canonicalQuantity, isQuantity } from '../../machinery/quantity.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { LabelSelector } from '../../machinery/types.ts';
import { ageColumn, column, integerColumn, nameColumn } from './columns.ts';
import { checkImmutable, checkNotNegative, checkOneOf, checkQuantity, duplicate, invalidWhen, required } from './field-errors.ts';
import { oldVersion } from './old-versions.ts';

const group = 'storage.k8s.io';
const driverNameMax = 63;
const lifecycleModes = ['Ephemeral', 'Persistent'];
const groupPolicies = ['File', 'None', 'ReadWriteOnceWithFSType'];

export const csiDriverKind: KindDefinition<CsiDriver> = {
  group,
  kind: 'CSIDriver',
  plural: 'csidrivers',
  singular: 'csidriver',
  namespaced: false,
  versions: [
    { name: 'v1', schema: 'storage.v1.CSIDriver' },
    oldVersion(group, {
      name: 'v1beta1',
      schema: 'storage.v1beta1.CSIDriver',
      releases: ['1.19', '1.22'],
      use: 'storage.k8s.io/v1 CSIDriver',
    }),
  ],
  hasStatus: false,

  setDefaults(driver) {
    driver.spec ??= {};
    const { spec } = driver;
    spec.attachRequired ??= true;
    spec.podInfoOnMount ??= false;
    spec.storageCapacity ??= false;
    spec.fsGroupPolicy ||= 'ReadWriteOnceWithFSType';
    spec.requiresRepublish ??= false;
    spec.seLinuxMount ??= false;
    if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ['Persistent'];
  },

  validate({ metadata, spec }) {
    const errors = [
      ...validateMetadata(metadata, { namespaced: false, nameCheck: isDns1123Subdomain }),
      ...validateDriverName(metadata.name, 'metadata.name'),
      ...checkOneOf('spec.fsGroupPolicy', spec.fsGroupPolicy, groupPolicies),
    ];
    const audiences = new Set<string>();
    for (const [index, { audience }] of (spec.tokenRequests ?? []).entries()) {
      if (audiences.has(audience)) errors.push(duplicate(`spec.tokenRequests[${index}].audience`, audience));
      audiences.add(audience);
    }
    for (const mode of spec.volumeLifecycleModes ?? []) {
      errors.push(...checkOneOf('spec.volumeLifecycleModes', mode, lifecycleModes));
    }
    return errors;
  },

  validateUpdate: (next, previous) =>
    (['attachRequired', 'volumeLifecycleModes'] as const).flatMap((name) =>
      checkImmutable(`spec.${name}`, next.spec[name], previous.spec[name]),
    ),

  columns: [
    nameColumn,
    { ...column('AttachRequired', ({ spec }) => spec.attachRequired ?? true, 'Volumes are attached to nodes.'), type: 'boolean' },
    { ...column('PodInfoOnMount', ({ spec }) => spec.podInfoOnMount ?? false, 'It is told about pods.'), type: 'boolean' },
    { ...column('StorageCapacity', ({ spec }) => spec.storageCapacity ?? false, 'It tells its room.'), type: 'boolean' },
    column(
      'TokenRequests',
      ({ spec }) => (spec.tokenRequests ?? []).map(({ audience }) => audience).join(',') || '<unset>',
      'Audiences of the tokens that it gets.',
    ),
    { ...column('RequiresRepublish', ({ spec }) => spec.requiresRepublish ?? false, 'It is called again.'), type: 'boolean' },
    column('Modes', ({ spec }) => spec.volumeLifecycleModes?.join(',') || '<none>', 'Sorts of volumes that it has.'),
    ageColumn,
  ],
};

export const csiNodeKind: KindDefinition<CsiNode> = {
  group,
  kind: 'CSINode',
  plural: 'csinodes',
  singular: 'csinode',
  namespaced: false,
  versions: [
    { name: 'v1', schema: 'storage.v1.CSINode' },
    oldVersion(group, {
      name: 'v1beta1',
      schema: 'storage.v1beta1.CSINode',
      releases: ['1.17', '1.22'],
      use: 'storage.k8s.io/v1 CSINode',
    }),
  ],
  hasStatus: false,
  generationFields: [],

  setDefaults(node) {
    node.spec ??= { drivers: [] };
    node.spec.drivers ??= [];
  },

  validate({ metadata, spec }) {
    const errors = validateMetadata(metadata, { namespaced: false, nameCheck: isDns1123Subdomain });
    const names = new Set<string>();
    for (const [index, driver] of spec.drivers.entries()) {
      const path = `spec.drivers[${index}]`;
      errors.push(...validateDriverName(driver.name, `${path}.name`));
      if (!driver.nodeID) errors.push(required(`${path}.nodeID`));
      if (names.has(driver.name)) errors.push(duplicate(`${path}.name`, driver.name));
      names.add(driver.name);
      errors.push(...checkNotNegative(`${path}.allocatable.count`, driver.allocatable?.count));
    }
    return errors;
  },

  columns: [nameColumn, integerColumn('Drivers', ({ spec }) => spec.drivers.length, 'Drivers on the node.'), ageColumn],
};

export const csiStorageCapacityKind: KindDefinition<CsiStorageCapacity> = {
  group,
  kind: 'CSIStorageCapacity',
  plural: 'csistoragecapacities',
  singular: 'csistoragecapacity',
  namespaced: true,
  versions: [{ name: 'v1', schema: 'storage.v1.CSIStorageCapacity' }],
  hasStatus: false,
  generationFields: [],

  setDefaults(capacity) {
    for (const name of ['capacity', 'maximumVolumeSize'] as const) {
      const amount = capacity[name];
      if (isQuantity(amount)) capacity[name] = canonicalQuantity(amount as string);
    }
  },

  validate({ metadata, storageClassName, capacity, maximumVolumeSize, nodeTopology }) {
    const errors = validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain });
    if (!storageClassName) errors.push(required('storageClassName'));
    else errors.push(...invalidWhen('storageClassName', storageClassName, isDns1123Subdomain));
    if (capacity != null) errors.push(...checkQuantity('capacity', capacity));
    if (maximumVolumeSize != null) errors.push(...checkQuantity('maximumVolumeSize', maximumVolumeSize));
    return [...errors, ...validateLabelSelector(nodeTopology as LabelSelector | undefined, 'nodeTopology')];
  },

  validateUpdate: (next, previous) => [
    ...checkImmutable('nodeTopology', next.nodeTopology, previous.nodeTopology),
    ...checkImmutable('storageClassName', next.storageClassName, previous.storageClassName),
  ],

  columns: [
    nameColumn,
    column('StorageClassName', ({ storageClassName }) => storageClassName ?? '', 'The class that it is about.'),
    column('Capacity', ({ capacity }) => capacity ?? '<unset>', 'Room that is left.'),
  ],
};

function validateDriverName(name: string | undefined, path: string): FieldError[] {
  if (!name) return [required(path)];
  if (name.length > driverNameMax) {
    return [{ type: 'TooLong', field: path, detail: `may not be more than ${driverNameMax} bytes` }];
  }
  return invalidWhen(path, name.toLowerCase(), isDns1123Subdomain);
}
