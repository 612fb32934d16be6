/** Every namespace has a ConfigMap with the certificate by which its pods know the API. */
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { queueController } from '../queue-controller.ts';
import { same } from '../same.ts';

const name = 'kube-root-ca.crt';
const workers = 2;
const annotations = {
  'kubernetes.io/description':
    "The certificate that signs the certificates of this cluster's API. Kept up to date by the cluster.",
};

export function rootCaPublisher(context: ControllerContext): Controller {
  const { client, namespaces, options } = context;
  const published = context.informer(r.configMaps);
  const controller = queueController(context, { name: 'root-ca-publisher', workers, reconcile });
  namespaces.onChange(({ object }) => controller.queue.add(object.metadata.name));
  published.onChange(({ object }) => {
    if (object.metadata.name === name) controller.queue.add(object.metadata.namespace ?? '');
  });

  async function reconcile(namespace: string, signal: AbortSignal): Promise<void> {
    const { rootCertificate } = options;
    const owner = namespaces.get(undefined, namespace);
    if (!rootCertificate || !owner || owner.metadata.deletionTimestamp || owner.status?.phase === 'Terminating') return;
    const data = { 'ca.crt': rootCertificate };
    const existing = published.get(namespace, name);
    if (existing) {
      if (!same(existing.data, data)) await client.update(r.configMaps, { ...existing, data }, { signal });
      return;
    }
    try {
      await client.create(r.configMaps, { metadata: { name, namespace, annotations }, data }, { namespace, signal });
    } catch (error) {
      if (!isReason(error, 'AlreadyExists') && !isReason(error, 'NotFound') && !isReason(error, 'Forbidden')) throw error;
    }
  }

  return controller;
}
