/** What extension API servers read before they serve: whose certificates to believe, and who may read that. */
import type { Client } from '../../machinery/client.ts';
import { configMaps, roles } from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { FrontProxyFiles } from './extension-servers.ts';

const namespace = 'kube-system';
const configName = 'extension-apiserver-authentication';
const readerName = 'extension-apiserver-authentication-reader';
export const frontProxyName = 'front-proxy-client';

/** Idempotent; what is there and differs is put right. */
export async function publishFrontProxy(client: Client, { ca }: FrontProxyFiles, signal: AbortSignal): Promise<void> {
  const data = {
    'client-ca-file': ca,
    'requestheader-client-ca-file': ca,
    'requestheader-allowed-names': JSON.stringify([frontProxyName]),
    'requestheader-username-headers': '["X-Remote-User"]',
    'requestheader-group-headers': '["X-Remote-Group"]',
    'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
    'requestheader-uid-headers': '["X-Remote-Uid"]',
  };
  const reading = { apiGroups: [''], resources: ['configmaps'], resourceNames: [configName], verbs: ['get', 'list', 'watch'] };
  const labels = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
  await unlessThere(client.create(roles, { metadata: { name: readerName, labels }, rules: [reading] }, { namespace, signal }));
  const made = await unlessThere(client.create(configMaps, { metadata: { name: configName }, data }, { namespace, signal }));
  if (!made) await client.patch(configMaps, configName, 'merge', { data }, { namespace, signal });
}

/** False when it exists. */
async function unlessThere(creation: Promise<unknown>): Promise<boolean> {
  try {
    await creation;
    return true;
  } catch (error) {
    if (isReason(error, 'AlreadyExists')) return false;
    throw error;
  }
}
