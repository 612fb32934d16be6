/**
 * Who this peer is: a key pair made once, an incarnation that counts the daemon's starts, and the cluster it belongs to. A
 * machine whose data folder was lost gets a new key, and with it a new identity: it can never vote under the old one.
 */
import { mkdirSync } from 'node:fs';
import { generateIdentity } from '../transport/index.ts';
import type { NodePaths } from './config.ts';
import { readIfExists, writeDurably } from './durable-file.ts';
import { NodeError } from './errors.ts';

export interface Identity {
  /** The libp2p peer id of the key. */
  id: string;
  /** Base64 of the private key. */
  privateKey: string;
  /** Increases with every start. */
  incarnation: number;
  nodeName: string;
  /** True once this peer has founded a cluster or was admitted to one. */
  member: boolean;
  /** True on the peer that founded the cluster. */
  founder: boolean;
}

/** Reads or makes the identity and counts this start. Throws NodeError 'InvalidConfig' when the node name was changed. */
export async function openIdentity(dataDir: string, paths: NodePaths, nodeName: string): Promise<Identity> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  const text = readIfExists(paths.identity);
  let identity: Identity;
  if (text === undefined) {
    const { id, privateKey } = await generateIdentity();
    const key = Buffer.from(privateKey).toString('base64');
    identity = { id, privateKey: key, incarnation: 0, nodeName, member: false, founder: false };
  } else {
    identity = JSON.parse(text) as Identity;
    if (identity.nodeName !== nodeName) {
      throw new NodeError(
        'InvalidConfig',
        `${dataDir} belongs to node ${identity.nodeName}, but nodeName is ${nodeName}: set nodeName: ${identity.nodeName}, or another dataDir`,
      );
    }
  }
  identity.incarnation += 1;
  saveIdentity(paths, identity);
  return identity;
}

export function saveIdentity(paths: NodePaths, identity: Identity): void {
  writeDurably(paths.identity, `${JSON.stringify(identity, null, 2)}\n`);
}
