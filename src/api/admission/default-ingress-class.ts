/** Admission: an ingress that names no class gets the default one; of several, the newest. */
import type { Ingress, IngressClass } from '../../machinery/kind-types.ts';
import { isAbout, newestFirst, storedList } from './lookups.ts';
import type { AdmissionPlugin } from './types.ts';

const group = 'networking.k8s.io';
const isDefaultAnnotation = 'ingressclass.kubernetes.io/is-default-class';
/** The form of the field before there was one. */
const classAnnotation = 'kubernetes.io/ingress.class';

/** Changes a new ingress in place. Several defaults are no error since Kubernetes 1.25. */
export const defaultIngressClass: AdmissionPlugin = {
  name: 'DefaultIngressClass',
  handles: (request) => isAbout(request, group, 'ingresses', ['CREATE']),
  mutate({ object }, { store }) {
    const { metadata, spec } = object as Ingress;
    if (!spec || spec.ingressClassName != null || metadata.annotations?.[classAnnotation] !== undefined) return;
    const [newest] = storedList<IngressClass>(store, `${group}/ingressclasses`)
      .filter((candidate) => candidate.metadata.annotations?.[isDefaultAnnotation] === 'true')
      .sort(newestFirst);
    if (newest) spec.ingressClassName = newest.metadata.name;
  },
};
