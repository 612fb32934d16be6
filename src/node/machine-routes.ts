/** What the `kontiki` command may ask of the daemon about its own machine. */
import type { Api } from '../api/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from '../store/index.ts';
import type { AgentProcess } from './agent-process.ts';
import type { AuthorityRecord } from './cluster-records.ts';
import type { NodeConfig } from './config.ts';
import type { ControlRoutes } from './control-server.ts';
import type { DiskRoom } from './disk-room.ts';
import type { JoinService } from './join.ts';
import type { PeerThread } from './peer-thread-handle.ts';
import { adminKubeconfig } from './pki.ts';
import type { SnapshotSource } from './recovery/backup.ts';
import type { Sealing } from './sealing.ts';
import type { StateGuard } from './state-guard.ts';

const tokenTtlMs = 3_600_000;
const keyRotationMs = 10_000;

export function machineRoutes(context: {
  guard: StateGuard;
  room: DiskRoom;
  api: Api;
  peer: PeerThread;
  joinService: JoinService;
  authority: AuthorityRecord;
  config: NodeConfig;
  store: Store;
  snapshots: SnapshotSource;
  sealing: Sealing;
  agent: AgentProcess;
  clock: Clock;
}): ControlRoutes {
  const { api, guard, room, peer, joinService, authority, config, store, snapshots, sealing, agent, clock } = context;
  return {
    'GET /status': async () => ({
      nodeName: config.nodeName,
      pid: process.pid,
      agentPid: agent.pid,
      apiPort: config.api.port,
      revision: store.revision,
      stateHash: { index: store.applied.index, hash: store.stateHash() },
      disk: { state: room.state.low ? 'low' : 'ok', ...room.state },
      ...(guard.reason === undefined ? {} : { notServing: guard.reason }),
      sealingKeys: sealing.keys(),
      consensus: await peer.call('status', null),
    }),
    'POST /snapshot': async () => snapshots.open(),
    'POST /service-account-keys': async () => {
      await api.rotateServiceAccountKeys(AbortSignal.timeout(keyRotationMs));
      return { rotated: true };
    },
    'POST /sealing-keys': async () => ({ rotated: true, key: await sealing.rotate(AbortSignal.timeout(keyRotationMs)) }),
    'POST /tokens': async (body) => {
      const ttlMs = (body as { ttlMs?: number } | undefined)?.ttlMs ?? tokenTtlMs;
      return { token: await joinService.issueToken(ttlMs) };
    },
    'POST /kubeconfig': async (body) => {
      const server = (body as { server?: string } | undefined)?.server ?? `https://${config.nodeIp}:${config.api.port}`;
      return { kubeconfig: await adminKubeconfig(authority, server, clock) };
    },
  };
}
