/** Deletes bootstrap tokens (Secrets of type bootstrap.kubernetes.io/token in kube-system) once they have expired. */
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Secret } from '../../machinery/types.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { queueController } from '../queue-controller.ts';

const type = 'bootstrap.kubernetes.io/token';
const namespace = 'kube-system';
/** Timers do not count further; it is looked at again then. */
const waitMsMax = 86_400_000;

export function tokenCleaner(context: ControllerContext): Controller {
  const { client, clock } = context;
  const secrets = context.informer(r.secrets);
  const controller = queueController(context, { name: 'token-cleaner', workers: 1, reconcile });
  secrets.onChange(({ object }) => isToken(object) && controller.queue.add(object.metadata.name));

  async function reconcile(name: string, signal: AbortSignal): Promise<void> {
    const secret = secrets.get(namespace, name);
    if (!secret || !isToken(secret) || secret.metadata.deletionTimestamp) return;
    const expiration = Buffer.from(secret.data?.expiration ?? '', 'base64').toString('utf8');
    if (expiration === '') return;
    const leftMs = Date.parse(expiration) - clock.wallMs();
    if (leftMs > 0) return controller.queue.addAfter(name, Math.min(leftMs, waitMsMax));
    try {
      const preconditions = { uid: secret.metadata.uid ?? '' };
      await client.delete(r.secrets, name, { namespace, preconditions, signal });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  return controller;
}

const isToken = (secret: Secret) => secret.type === type && secret.metadata.namespace === namespace;
