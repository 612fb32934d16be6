/** Whether machines that are said to be lost still answer: going on without them would make two clusters out of one. */
import { connect } from 'node:net';

const patienceMs = 1_000;
/** More are not asked: one that answers is warning enough. */
const membersMax = 64;

export interface KnownMember {
  id: string;
  nodeName: string;
  /** Multiaddrs of its peer port. */
  addresses: string[];
}

/** Those on whose peer port something listens, as this machine sees it now; each with the address that answered. */
export async function answering(members: readonly KnownMember[]): Promise<{ nodeName: string; address: string }[]> {
  const asked = members.slice(0, membersMax).flatMap(({ nodeName, addresses }) => {
    const address = addresses.map(endpointOf).find((endpoint) => endpoint !== undefined);
    return address ? [{ nodeName, ...address }] : [];
  });
  const answers = await Promise.all(asked.map(({ host, port }) => listens(host, port)));
  return asked
    .filter((_, position) => answers[position])
    .map(({ nodeName, host, port }) => ({ nodeName, address: `${host}:${port}` }));
}

function endpointOf(multiaddr: string): { host: string; port: number } | undefined {
  const match = /^\/(?:ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(?:\/|$)/.exec(multiaddr);
  return match?.[1] ? { host: match[1], port: Number(match[2]) } : undefined;
}

function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: patienceMs });
    const end = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}
