/** Admission: how long a pod stays on a machine that is not ready or not there, unless the pod says so itself. */
import { addDefaultTolerations } from '../../machinery/tolerations.ts';
import type { Pod } from '../../machinery/types.ts';
import { isAbout } from './lookups.ts';
import type { AdmissionPlugin } from './types.ts';

/** Changes the pod in place. */
export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  handles: (request) => isAbout(request, '', 'pods', ['CREATE', 'UPDATE']),
  mutate({ object }) {
    const { spec } = object as Pod;
    if (spec) addDefaultTolerations(spec);
  },
};
