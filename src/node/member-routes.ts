/** The control socket's calls about members and join tokens. */
import type { Clock } from '../lib/clock.ts';
import type { ClusterStore } from '../store/types.ts';
import type { NodeConfig } from './config.ts';
import type { ControlRoutes } from './control-server.ts';
import type { JoinService } from './join.ts';
import type { MemberAdministration } from './member-administration.ts';
import { listTokens, revokeToken } from './tokens.ts';

const addTokenTtlMs = 3_600_000;

export interface MemberRoutesOptions {
  administration: MemberAdministration;
  joinService: JoinService;
  config: NodeConfig;
  store: ClusterStore;
  clock: Clock;
}

export function memberRoutes({ administration, joinService, config, store, clock }: MemberRoutesOptions): ControlRoutes {
  return {
    'GET /members': () => administration.list(),
    'POST /members/remove': async (body, signal) => ({
      message: await administration.remove(textOf(body, 'name'), flagOf(body, 'force'), signal),
    }),
    'POST /members/promote': async (body, signal) => ({
      message: await administration.promote(textOf(body, 'name'), signal),
    }),
    'POST /members/auto': async (body, signal) => ({ message: await administration.auto(textOf(body, 'name'), signal) }),
    'POST /members/demote': async (body, signal) => ({
      message: await administration.demote(textOf(body, 'name'), flagOf(body, 'force'), signal),
    }),
    'POST /members/add': async () => ({
      address: `${config.nodeIp}:${config.peer.port}`,
      token: await joinService.issueToken(addTokenTtlMs),
    }),
    'GET /tokens': async () => listTokens(store, clock.wallMs()),
    'POST /tokens/revoke': (body, signal) => revokeToken(store, textOf(body, 'id'), signal),
  };
}

function textOf(body: unknown, field: string): string {
  const value = (body as Record<string, unknown> | undefined)?.[field];
  if (typeof value !== 'string') throw new Error(`${field} is missing`);
  return value;
}

function flagOf(body: unknown, field: string): boolean {
  return (body as Record<string, unknown> | undefined)?.[field] === true;
}
