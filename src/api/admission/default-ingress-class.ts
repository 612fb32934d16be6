/** Admission: an ingress that names no class gets the default one, of which there may be only one. */
import type { Ingress, IngressClass } from '../../machinery/kind-types.ts';
import { isAbout, refusal, storedList } from './lookups.ts';
import type { AdmissionPlugin } from './types.ts';

const group = 'networking.k8s.io';
const isDefaultAnnotation = 'ingressclass.kubernetes.io/is-default-class';
/** The form of the field before there was one. */
const classAnnotation = 'kubernetes.io/ingress.class';

/** Changes a new ingress in place. StatusError 403 when several classes are the default. */
export const defaultIngressClass: AdmissionPlugin = {
  name: 'DefaultIngressClass',
  handles: (request) => isAbout(request, group, 'ingresses', ['CREATE']),
  mutate(request, { store }) {
    const { metadata, spec } = request.object as Ingress;
    if (!spec || spec.ingressClassName != null || metadata.annotations?.[classAnnotation] !== undefined) return;
    const defaults = storedList<IngressClass>(store, `${group}/ingressclasses`).filter(
      (candidate) => candidate.metadata.annotations?.[isDefaultAnnotation] === 'true',
    );
    if (defaults.length > 1) {
      const why = `${defaults.length} default IngressClasses were found, only 1 allowed`;
      throw refusal(request, `Internal error occurred: ${why}`);
    }
    if (defaults[0]) spec.ingressClassName = defaults[0].metadata.name;
  },
};
