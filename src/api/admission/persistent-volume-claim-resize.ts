/** Admission: a claim may grow only when it has a volume, and its storage class lets claims grow. */
import type { PersistentVolumeClaim, StorageClass } from '../../machinery/kind-types.ts';
import { compareQuantities } from '../../machinery/quantity.ts';
import { storageClassOf } from '../kinds/persistent-volume-claim.ts';
import { isAbout, refusal, storedObject } from './lookups.ts';
import type { AdmissionPlugin } from './types.ts';

/** StatusError 403. */
export const persistentVolumeClaimResize: AdmissionPlugin = {
  name: 'PersistentVolumeClaimResize',
  handles: (request) => isAbout(request, '', 'persistentvolumeclaims', ['UPDATE']),
  validate(request, { store }) {
    const [claim, before] = [request.object as PersistentVolumeClaim, request.oldObject as PersistentVolumeClaim];
    const sizeOf = ({ spec }: PersistentVolumeClaim) => spec?.resources?.requests?.storage ?? '0';
    if (compareQuantities(sizeOf(claim), sizeOf(before)) <= 0) return;
    if (before.status?.phase !== 'Bound') throw refusal(request, 'Only bound persistent volume claims can be expanded');
    const name = storageClassOf(claim);
    const storageClass =
      name !== '' && name === storageClassOf(before)
        ? storedObject<StorageClass>(store, 'storage.k8s.io/storageclasses', name)
        : undefined;
    if (storageClass?.allowVolumeExpansion) return;
    const why =
      'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize';
    throw refusal(request, why);
  },
};
