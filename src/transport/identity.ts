/** A peer is its Ed25519 key; its id is derived from the public half and is what TLS proves to the other side. */
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import type { PeerId } from './types.ts';

export interface Identity {
  id: PeerId;
  /** libp2p's protobuf form. A secret. */
  privateKey: Uint8Array;
}

export async function generateIdentity(): Promise<Identity> {
  const key = await generateKeyPair('Ed25519');
  return { id: peerIdFromPrivateKey(key).toString(), privateKey: privateKeyToProtobuf(key) };
}

/** Throws when the bytes are not a key. */
export function readIdentity(privateKey: Uint8Array): { id: PeerId; key: PrivateKey } {
  const key = privateKeyFromProtobuf(privateKey);
  return { id: peerIdFromPrivateKey(key).toString(), key };
}

export function isPeerId(text: string): boolean {
  try {
    return peerIdFromString(text).toString() === text;
  } catch {
    // The parser's only way to say no.
    return false;
  }
}
