/** What the transport's tests share: peers on loopback, and waiting for what they tell. */
import { silentLogger } from '../../src/lib/logger.ts';
import { generateIdentity, type Identity } from '../../src/transport/identity.ts';
import { createTransport } from '../../src/transport/transport.ts';
import type { PeerAddress, PeerId, Transport } from '../../src/transport/types.ts';

export const never = new AbortController().signal;

export async function startPeer(identity?: Identity, listen = ['/ip4/127.0.0.1/tcp/0']): Promise<Transport> {
  const { privateKey } = identity ?? (await generateIdentity());
  return await createTransport({ privateKey, listen, logger: silentLogger });
}

export const addressOf = (peer: Transport): PeerAddress => ({ id: peer.id, addresses: peer.addresses() });

/** Starts peers, makes them members of one another, waits until all are connected, and closes all of them in the end. */
export async function withPeers(count: number, run: (peers: Transport[]) => Promise<void>): Promise<void> {
  const peers = await Promise.all(Array.from({ length: count }, () => startPeer()));
  try {
    introduce(peers);
    await Promise.all(
      peers.map((peer) =>
        connectedTo(
          peer,
          peers.filter((other) => other !== peer).map(({ id }) => id),
        ),
      ),
    );
    await run(peers);
  } finally {
    await Promise.all(peers.map((peer) => peer.close()));
  }
}

export function introduce(peers: Transport[]): void {
  for (const peer of peers) peer.setMembers(peers.map(addressOf));
}

/** Resolves when `peer` can send to all of `others`. */
export function connectedTo(peer: Transport, others: PeerId[]): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      const connected = peer.connected();
      if (others.every((other) => connected.includes(other))) resolve();
    };
    peer.onConnection(check);
    check();
  });
}

export function lostConnection(peer: Transport, other: PeerId): Promise<void> {
  return new Promise((resolve) => {
    peer.onConnection((id, connected) => {
      if (id === other && !connected) resolve();
    });
  });
}

export function errorCodeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: { code?: string }) => error.code ?? String(error),
  );
}
