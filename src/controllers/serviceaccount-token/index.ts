/**
 * Secrets of type kubernetes.io/service-account-token: they are filled with a token that lives as long as the secret, and go
 * when their account goes.
 */
import { requestAccountToken } from '../../machinery/account-tokens.ts';
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Secret, ServiceAccount } from '../../machinery/types.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { queueController } from '../queue-controller.ts';
import { same } from '../same.ts';

const type = 'kubernetes.io/service-account-token';
const nameAnnotation = 'kubernetes.io/service-account.name';
const uidAnnotation = 'kubernetes.io/service-account.uid';
const workers = 2;
/** As long as a token can last: it ends with its secret. */
const tokenSeconds = 2 ** 32;

export function serviceAccountTokenController(context: ControllerContext): Controller {
  const { client, options } = context;
  const accounts = context.informer(r.serviceAccounts);
  const secrets = context.informer(r.secrets);
  const controller = queueController(context, { name: 'serviceaccount-token', workers, reconcile });
  const add = ({ metadata }: Secret) => controller.queue.add(`${metadata.namespace}/${metadata.name}`);
  secrets.onChange(({ object }) => object.type === type && add(object));
  accounts.onChange(({ object: { metadata } }) => {
    for (const secret of secrets.list()) {
      if (secret.type === type && secret.metadata.namespace === metadata.namespace && accountOf(secret) === metadata.name) {
        add(secret);
      }
    }
  });

  async function reconcile(key: string, signal: AbortSignal): Promise<void> {
    const [namespace = '', name = ''] = key.split('/');
    const secret = secrets.get(namespace, name);
    if (!secret || secret.type !== type || secret.metadata.deletionTimestamp) return;
    const account = accounts.get(namespace, accountOf(secret));
    const uid = secret.metadata.annotations?.[uidAnnotation];
    try {
      // Its account is gone for good, or another one has the name.
      if (uid && account?.metadata.uid !== uid) return await remove(secret, namespace, signal);
      if (account) await fill(secret, account, namespace, signal);
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  async function remove({ metadata }: Secret, namespace: string, signal: AbortSignal): Promise<void> {
    await client.delete(r.secrets, metadata.name, { namespace, preconditions: { uid: metadata.uid }, signal });
  }

  async function fill(secret: Secret, account: ServiceAccount, namespace: string, signal: AbortSignal): Promise<void> {
    const { name, uid, annotations } = secret.metadata;
    const encoded = (text: string) => Buffer.from(text).toString('base64');
    const data: Record<string, string> = { ...secret.data, namespace: encoded(namespace) };
    if (options.rootCertificate) data['ca.crt'] = encoded(options.rootCertificate);
    if (!data.token) {
      const spec = {
        audiences: [],
        expirationSeconds: tokenSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name, uid },
      };
      const { token } = await requestAccountToken(client, { namespace, account: account.metadata.name, spec, signal });
      data.token = encoded(token);
    }
    const next = { ...annotations, [uidAnnotation]: account.metadata.uid ?? '' };
    if (same(data, secret.data) && same(next, annotations)) return;
    const metadata = { ...secret.metadata, annotations: next };
    await client.update(r.secrets, { ...secret, metadata, data }, { namespace, signal });
  }

  return controller;
}

function accountOf({ metadata }: Secret): string {
  return metadata.annotations?.[nameAnnotation] ?? '';
}
