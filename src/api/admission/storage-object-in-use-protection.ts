/** Admission: claims and volumes stay while something uses them. Controllers take the finalizers away again. */
import { claimProtection, volumeProtection } from '../../machinery/finalizers.ts';
import { isAbout } from './lookups.ts';
import type { AdmissionPlugin } from './types.ts';

/** Changes a new claim or volume in place. */
export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  handles: (request) =>
    isAbout(request, '', 'persistentvolumeclaims', ['CREATE']) || isAbout(request, '', 'persistentvolumes', ['CREATE']),
  mutate({ object, target }) {
    if (!object) return;
    const finalizer = target.resolved.kind.plural === 'persistentvolumes' ? volumeProtection : claimProtection;
    const { finalizers = [] } = object.metadata;
    if (!finalizers.includes(finalizer)) object.metadata.finalizers = [...finalizers, finalizer];
  },
};
