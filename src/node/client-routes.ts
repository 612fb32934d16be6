/** The control socket of a client: what is about this machine is answered here, what is about the cluster by one that holds the state. */
import type { Clock } from '../lib/clock.ts';
import type { AgentProcess } from './agent-process.ts';
import type { ClusterDoor } from './cluster-door.ts';
import type { NodeConfig } from './config.ts';
import type { ControlRoutes } from './control-server.ts';
import { NodeError } from './errors.ts';
import type { Member } from './peer-protocol.ts';
import type { PeerThread } from './peer-thread-handle.ts';
import { adminKubeconfig } from './pki.ts';

const passedOn = [
  'GET /members',
  'POST /members/demote',
  'POST /members/add',
  'GET /tokens',
  'POST /tokens',
  'POST /tokens/revoke',
  'POST /service-account-keys',
  'POST /sealing-keys',
];

export interface ClientRoutesOptions {
  config: NodeConfig;
  door: ClusterDoor;
  peer: PeerThread;
  agent: AgentProcess;
  members: () => Member[];
  clock: Clock;
}

export function clientRoutes({ config, door, peer, agent, members, clock }: ClientRoutesOptions): ControlRoutes {
  const passOn = (name: string): ControlRoutes[string] => {
    const [method = '', path = ''] = name.split(' ');
    return (body, signal) => door.call(method, path, body, signal);
  };
  const nameOf = (id: string | undefined) => members().find((member) => member.id === id)?.nodeName ?? null;
  return {
    ...Object.fromEntries(passedOn.map((name) => [name, passOn(name)])),
    'GET /status': async () => {
      const { by, term, leader } = await peer.call('served', null);
      return {
        nodeName: config.nodeName,
        pid: process.pid,
        agentPid: agent.pid,
        apiPort: config.api.port,
        servedBy: nameOf(by),
        consensus: { role: 'client', term, leader: leader ?? null },
      };
    },
    'POST /members/promote': (body, signal) => {
      const own = (body as { name?: string }).name === config.nodeName;
      return door.call('POST', '/members/promote', { ...(body as object), impatient: own }, signal);
    },
    'POST /members/remove': (body, signal) => {
      const { name } = body as { name?: string };
      if (name === config.nodeName) {
        throw new NodeError('MemberRefused', `${name} cannot take itself out: run this on another machine of the cluster`);
      }
      // Nor can the machine that is asked.
      const except = members().find((member) => member.nodeName === name)?.id;
      return door.call('POST', '/members/remove', body, signal, except);
    },
    'POST /snapshot': async (_body, signal) => door.stream('POST', '/snapshot', undefined, signal),
    'POST /kubeconfig': async (body, signal) => {
      const server = (body as { server?: string } | undefined)?.server ?? `https://${config.nodeIp}:${config.api.port}`;
      const { authority } = await door.facts(signal);
      return { kubeconfig: await adminKubeconfig(authority, server, clock) };
    },
  };
}
