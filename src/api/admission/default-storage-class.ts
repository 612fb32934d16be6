/** Admission: a claim that names no storage class gets the default one; of several, the newest. */
import type { PersistentVolumeClaim, StorageClass } from '../../machinery/kind-types.ts';
import { classAnnotation } from '../kinds/persistent-volume-claim.ts';
import { defaultAnnotations } from '../kinds/storage-class.ts';
import { isAbout, newestFirst, storedList } from './lookups.ts';
import type { AdmissionPlugin } from './types.ts';

/** Changes a new claim in place. An empty name is a name: that of no class. */
export const defaultStorageClass: AdmissionPlugin = {
  name: 'DefaultStorageClass',
  handles: (request) => isAbout(request, '', 'persistentvolumeclaims', ['CREATE']),
  mutate({ object }, { store }) {
    const { metadata, spec } = object as PersistentVolumeClaim;
    if (!spec || spec.storageClassName != null || metadata.annotations?.[classAnnotation] !== undefined) return;
    const isDefault = ({ metadata: { annotations } }: StorageClass) =>
      defaultAnnotations.some((name) => annotations?.[name] === 'true');
    const [newest] = storedList<StorageClass>(store, 'storage.k8s.io/storageclasses').filter(isDefault).sort(newestFirst);
    if (newest) spec.storageClassName = newest.metadata.name;
  },
};
