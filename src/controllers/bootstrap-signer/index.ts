/** Keeps the signatures in ConfigMap cluster-info of kube-public in step with its configuration and with the bootstrap tokens. */
import * as r from '../../machinery/resources.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { queueController } from '../queue-controller.ts';
import { signedData, tokenType } from './plan.ts';

const name = 'cluster-info';
const namespace = 'kube-public';
const tokenNamespace = 'kube-system';

export function bootstrapSigner(context: ControllerContext): Controller {
  const { client, clock } = context;
  const configMaps = context.informer(r.configMaps);
  const secrets = context.informer(r.secrets);
  const controller = queueController(context, { name: 'bootstrap-signer', workers: 1, reconcile });
  configMaps.onChange(({ object: { metadata } }) => {
    if (metadata.name === name && metadata.namespace === namespace) controller.queue.add(name);
  });
  // An expired token is deleted by the token cleaner, which is heard of here.
  secrets.onChange(({ object }) => {
    if (object.type === tokenType && object.metadata.namespace === tokenNamespace) controller.queue.add(name);
  });

  async function reconcile(_name: string, signal: AbortSignal): Promise<void> {
    const found = configMaps.get(namespace, name);
    if (!found || found.metadata.deletionTimestamp) return;
    const tokens = secrets.list().filter(({ metadata }) => metadata.namespace === tokenNamespace);
    const data = signedData(found.data ?? {}, tokens, clock.wallMs());
    if (data) await client.update(r.configMaps, { ...found, data }, { signal });
  }

  return controller;
}
