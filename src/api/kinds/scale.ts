/** The `scale` subresource of workloads that have a number of replicas and a selector. */
import type { ScaleMapping } from '../../machinery/kind.ts';
import { formatLabelSelector } from '../../machinery/selectors.ts';
import type { KubeObject, LabelSelector } from '../../machinery/types.ts';

interface Scalable extends KubeObject {
  spec?: { replicas?: number; selector: LabelSelector };
  status?: { replicas?: number };
}

export const replicasScale: ScaleMapping<Scalable> = {
  get({ metadata, spec, status }) {
    const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata;
    return {
      apiVersion: 'autoscaling/v1',
      kind: 'Scale',
      metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
      spec: { replicas: spec?.replicas ?? 0 },
      status: { replicas: status?.replicas ?? 0, selector: formatLabelSelector(spec?.selector) },
    };
  },
  setReplicas(object, replicas) {
    if (object.spec) object.spec.replicas = replicas;
  },
};
