/**
 * Lets programs on this machine reach the local cluster: TCP on 127.0.0.1, spread over the peers whose API says that it is
 * ready, and one port for each peer. It runs in the bridge's namespace, but its listening sockets were opened in the root
 * namespace and handed to it: nothing else of the cluster's network is reachable from there.
 */

import { request } from 'node:https';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '../../lib/clock.ts';
import { RepeatingTask } from '../../lib/repeating-task.ts';

export interface BalancerOptions {
  peers: { address: string; port: number }[];
  /** File descriptors: the first for all peers, then one for each. */
  descriptors: number[];
}

const checkMs = 250;
const checkTimeoutMs = 700;

/** Runs until the process is ended. */
export function runBalancer({ peers, descriptors }: BalancerOptions): void {
  const ready = new Set<number>();
  let turn = 0;

  /** The next ready peer in turn; any peer when none is known to be ready. */
  const choose = (): number => {
    const candidates = ready.size > 0 ? [...ready] : peers.map((_, index) => index);
    return candidates[turn++ % candidates.length] ?? 0;
  };
  const serve = (descriptor: number, pick: () => number): Server =>
    createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const peer = peers[pick()];
      if (peer) join(client, connect({ host: peer.address, port: peer.port, allowHalfOpen: true, noDelay: true }));
      else client.destroy();
    }).listen({ fd: descriptor });

  for (const [index, descriptor] of descriptors.entries()) serve(descriptor, index === 0 ? choose : () => index - 1);
  const checks = new RepeatingTask({
    clock: systemClock,
    intervalMs: checkMs,
    run: async () => {
      await Promise.all(
        peers.map(async (peer, index) => {
          if (await isReady(peer)) ready.add(index);
          else ready.delete(index);
        }),
      );
    },
    onError: (error) => console.error(error),
  });
  checks.start();
}

/** Asks without checking the certificate: only whether to send bytes there; clients check for themselves. */
function isReady({ address, port }: { address: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request(
      { host: address, port, path: '/readyz', rejectUnauthorized: false, timeout: checkTimeoutMs, agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(false));
    call.end();
  });
}

function join(left: Socket, right: Socket): void {
  left.on('error', () => right.destroy());
  right.on('error', () => left.destroy());
  left.on('close', () => right.destroySoon());
  right.on('close', () => left.destroySoon());
  left.pipe(right);
  right.pipe(left);
}
