/** The endpoint of this machine: certificates, the agent's socket, and the administrator's kubeconfig. */
import { frontProxyName } from '../api/aggregation/front-proxy.ts';
import type { Api, User } from '../api/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { AuthorityRecord, SettingsRecord } from './cluster-records.ts';
import type { NodeConfig, NodePaths } from './config.ts';
import { readIfExists, writeDurably } from './durable-file.ts';
import { adminKubeconfig, issueCertificate } from './pki.ts';

const serverCertificateDays = 365;
const frontProxyDays = 365;

/** Extension API servers believe whoever shows this when it says for whom it asks. */
export async function frontProxyOf(authority: AuthorityRecord, clock: Clock) {
  const request = { commonName: frontProxyName, organizations: [], usage: 'client' as const, days: frontProxyDays };
  return { ca: authority.cert, ...(await issueCertificate(authority, request, clock)) };
}

/** Of a machine that holds the state. */
export async function openApi(context: {
  api: Api;
  config: NodeConfig;
  settings: SettingsRecord;
  authority: AuthorityRecord;
  paths: NodePaths;
  clock: Clock;
}): Promise<void> {
  const { api, config, authority, paths, clock } = context;
  const server = await servingCertificate(context);
  await api.listen({ host: config.api.address, port: config.api.port, tls: { ca: authority.cert, ...server } });
  await api.listenSocket(paths.apiSocket, agentUser(config));
  await api.listenMembers(paths.doorSocket);
  await keepKubeconfig(config, authority, paths, clock);
}

export function agentUser({ nodeName }: NodeConfig): User {
  return { name: `system:node:${nodeName}`, groups: ['system:nodes', 'system:authenticated'] };
}

/** A new one at each start: names and addresses may have changed. */
export function servingCertificate(context: {
  config: NodeConfig;
  settings: SettingsRecord;
  authority: AuthorityRecord;
  clock: Clock;
}) {
  const { config, settings, authority, clock } = context;
  const base = settings.serviceCidr.split('/')[0]?.split('.') ?? [];
  const serviceIp = [...base.slice(0, 3), '1'].join('.');
  return issueCertificate(
    authority,
    {
      commonName: config.nodeName,
      organizations: [],
      usage: 'server',
      names: [
        ...['localhost', '127.0.0.1', config.nodeName, config.nodeIp, serviceIp],
        ...['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'],
        ...config.api.extraNames,
      ],
      days: serverCertificateDays,
    },
    clock,
  );
}

/** For whoever administers on this machine. */
export async function keepKubeconfig(
  config: NodeConfig,
  authority: AuthorityRecord,
  paths: NodePaths,
  clock: Clock,
): Promise<void> {
  const ownUrl = `https://${config.nodeIp}:${config.api.port}`;
  if (!readIfExists(paths.kubeconfig)?.includes(`${ownUrl}\n`)) {
    writeDurably(paths.kubeconfig, await adminKubeconfig(authority, ownUrl, clock));
  }
}
