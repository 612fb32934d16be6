/**
 * The bytes of a heartbeat: a version byte, then a msgpack map. What comes from the network is checked field by field;
 * fields that this version does not know are left out, so that a newer peer may add some.
 */
import { Packr, Unpackr } from 'msgpackr';
import { GossipError } from './errors.ts';
import type { Heartbeat, HeartbeatStateHash, Resources } from './types.ts';

/** Bounds of one heartbeat. */
export const heartbeatBytesMax = 64 * 1024;
export const addressesMax = 16;
export const heardPeersMax = 1024;
export const stateHashesMax = 8;
const textLengthMax = 253;

const formatVersion = 1;
const packer = new Packr({ useRecords: false });
const unpacker = new Unpackr({ useRecords: false, int64AsType: 'number', mapsAsObjects: true });

type Fields = Record<string, unknown>;

export function encodeHeartbeat(heartbeat: Heartbeat): Uint8Array {
  const packed = packer.pack(heartbeat);
  const encoded = Buffer.allocUnsafe(packed.length + 1);
  encoded[0] = formatVersion;
  packed.copy(encoded, 1);
  return encoded;
}

/** Throws GossipError 'InvalidHeartbeat'. */
export function decodeHeartbeat(bytes: Uint8Array): Heartbeat {
  if (bytes.length > heartbeatBytesMax) throw invalid('too many bytes');
  if (bytes[0] !== formatVersion) throw invalid(`unknown format version ${bytes[0]}`);
  let content: unknown;
  try {
    content = unpacker.unpack(bytes.subarray(1));
  } catch (error) {
    throw new GossipError('InvalidHeartbeat', 'invalid heartbeat: not msgpack', { reason: 'not msgpack' }, error);
  }
  const fields = asFields(content, 'the heartbeat');
  const usage = asFields(fields.usage, 'usage');
  return {
    peer: text(fields, 'peer'),
    nodeName: text(fields, 'nodeName'),
    incarnation: whole(fields, 'incarnation'),
    sequence: whole(fields, 'sequence'),
    addresses: addresses(fields.addresses),
    capacity: resources(fields, 'capacity'),
    allocatable: resources(fields, 'allocatable'),
    reserved: resources(fields, 'reserved'),
    usage: { cpuMilli: amount(usage, 'cpuMilli'), memoryBytes: amount(usage, 'memoryBytes'), load1: amount(usage, 'load1') },
    agentReady: flag(fields, 'agentReady'),
    heardMs: heardMs(fields.heardMs),
    ...(fields.stateHashes === undefined ? {} : { stateHashes: stateHashes(fields.stateHashes) }),
    ...(fields.leaseMs === undefined ? {} : { leaseMs: amount(fields, 'leaseMs') }),
    ...(fields.diskLow === undefined ? {} : { diskLow: flag(fields, 'diskLow') }),
    ...(fields.syncMs === undefined ? {} : { syncMs: amount(fields, 'syncMs') }),
  };
}

function invalid(reason: string): GossipError {
  return new GossipError('InvalidHeartbeat', `invalid heartbeat: ${reason}`, { reason });
}

function asFields(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw invalid(`${what} is not a map`);
  }
  return value as Fields;
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || value.length === 0 || value.length > textLengthMax) {
    throw invalid(`${name} is not text of 1 to ${textLengthMax} characters`);
  }
  return value;
}

function amount(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw invalid(`${name} is not a number of at least 0`);
  return value;
}

function whole(fields: Fields, name: string): number {
  const value = amount(fields, name);
  if (!Number.isSafeInteger(value)) throw invalid(`${name} is not a whole number`);
  return value;
}

function flag(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (typeof value !== 'boolean') throw invalid(`${name} is neither true nor false`);
  return value;
}

function resources(fields: Fields, name: string): Resources {
  const of = asFields(fields[name], name);
  return {
    cpuMilli: amount(of, 'cpuMilli'),
    memoryBytes: amount(of, 'memoryBytes'),
    ephemeralStorageBytes: amount(of, 'ephemeralStorageBytes'),
    pods: amount(of, 'pods'),
  };
}

function addresses(value: unknown): string[] {
  if (!Array.isArray(value) || value.length > addressesMax) throw invalid(`addresses is not a list of at most ${addressesMax}`);
  return value.map((address: unknown) => text({ address }, 'address'));
}

function stateHashes(value: unknown): HeartbeatStateHash[] {
  if (!Array.isArray(value) || value.length > stateHashesMax)
    throw invalid(`stateHashes is not a list of at most ${stateHashesMax}`);
  return value.map((item: unknown) => {
    const fields = asFields(item, 'a state hash');
    return { index: whole(fields, 'index'), hash: text(fields, 'hash') };
  });
}

function heardMs(value: unknown): Record<string, number> {
  const entries = Object.entries(asFields(value, 'heardMs'));
  if (entries.length > heardPeersMax) throw invalid(`heardMs has more than ${heardPeersMax} entries`);
  // Without a prototype: names come from the network.
  const heard: Record<string, number> = Object.create(null);
  for (const [peer, ms] of entries) heard[text({ peer }, 'peer')] = amount({ ms }, 'ms');
  return heard;
}
