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
  /** True once the cluster has removed this peer: the identity is spent. */
  removed?: boolean;
  /** True once this peer has begun a log: if it is missing later, it was lost, with all that the peer has promised. */
  logged?: boolean;
  /** The identity that takes this one's place, whose log is damaged: this one is spent. */
  replacement?: {
    id: string;
    /** Base64. */
    privateKey: string;
    /** Below dataDir, takes the damaged files. */
    folder: string;
    reason: string;
  };
}

/** What a removed machine says, and what is to be done. */
export const removedMessage = (nodeName: string) =>
  `${nodeName} was removed from its cluster and takes no further part; to let this machine join again, run: kontiki reset --yes, ` +
  'then on a member: kontiki member add, and here the command that it prints';

/** Reads or makes the identity and counts this start. Throws NodeError 'InvalidConfig' when the node name was changed, 'Removed' when the cluster no longer knows it. */
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
    if (identity.removed) throw new NodeError('Removed', removedMessage(identity.nodeName));
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

/** What the data folder says of its owner, for commands that run without the daemon. */
export function readIdentity(paths: NodePaths): Identity | undefined {
  const text = readIfExists(paths.identity);
  return text === undefined ? undefined : (JSON.parse(text) as Identity);
}

export function saveIdentity(paths: NodePaths, identity: Identity): void {
  writeDurably(paths.identity, `${JSON.stringify(identity, null, 2)}\n`);
}
