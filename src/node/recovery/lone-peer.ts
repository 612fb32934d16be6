/** Turns a store's image into the data of a machine that is the only member of its cluster: the end of every recovery. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { writeFreshLog } from '../../consensus/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { decodeKeys, namedBySecret, reviseImage, type StoreImage, sealingKeysKey, writeImage } from '../../store/index.ts';
import { generateIdentity } from '../../transport/index.ts';
import { readClusterKey, writeClusterKey } from '../cluster-key.ts';
import type { MemberRecord } from '../cluster-records.ts';
import { type NodeConfig, pathsOf } from '../config.ts';
import { writeDurably } from '../durable-file.ts';
import type { Identity } from '../identity.ts';
import { createAuthority } from '../pki.ts';
import { RecoveryError } from './errors.ts';
import { type Refounding, refound } from './refounding.ts';
import { commitStaging } from './staging.ts';

export interface LonePeer {
  peer: string;
  clusterId: string;
  formerClusterId: string;
  /** The first revision of the new cluster. */
  revision: number;
  fenced: { id: string; nodeName: string }[];
  /** Node objects that were removed. */
  nodes: string[];
  /** Folder of the files that were replaced. */
  replaced: string | undefined;
}

/** What becomes of sealed values. */
export interface SealedOptions {
  /** Files that may hold the cluster key; that of the machine itself is looked at too. */
  keyFiles: readonly string[];
  /** Do without the key: sealed values are lost. */
  discard: boolean;
}

/** The key that opens the image's sealed values; undefined when there are none or they are discarded. RecoveryError 'ClusterKeyMissing'. */
function clusterKeyFor(image: StoreImage, files: readonly string[], discard: boolean): Buffer | undefined {
  if (discard) return undefined;
  const record = image.records.flat().find(({ key }) => key === sealingKeysKey);
  if (!record) return undefined;
  const { clusterKey } = decodeKeys(record.value);
  for (const file of files) {
    const key = readClusterKey(file);
    if (key && namedBySecret(key).id === clusterKey) return key;
  }
  throw new RecoveryError(
    'ClusterKeyMissing',
    `secrets in it are encrypted with the cluster key ${clusterKey}, which is not in ${files.join(', ')}: give a copy of cluster.key ` +
      'from the data folder of any machine of that cluster with --cluster-key, or do without the secrets with --discard-secrets',
  );
}

/** An identity that was never used. */
export async function newIdentity(nodeName: string): Promise<Identity> {
  const { id, privateKey } = await generateIdentity();
  const key = Buffer.from(privateKey).toString('base64');
  return { id, privateKey: key, incarnation: 0, nodeName, member: false, founder: false };
}

/**
 * Builds the files in `staging` (from beginStaging) and commits them: all or nothing. `term` must be above every term that any
 * member of the former cluster may have used towards this peer.
 */
export async function becomeLonePeer(options: {
  config: NodeConfig;
  identity: Identity;
  image: StoreImage;
  term: number;
  staging: string;
  clock: Clock;
  sealed: SealedOptions;
}): Promise<LonePeer> {
  const { config, identity, image, term, staging, clock, sealed } = options;
  const { id, privateKey, incarnation, nodeName } = identity;
  const self: MemberRecord = {
    id,
    nodeName,
    addresses: [`/ip4/${config.nodeIp}/tcp/${config.peer.port}`],
    apiAddress: config.nodeIp,
    apiPort: config.api.port,
  };
  const clusterId = randomUUID();
  const key = clusterKeyFor(image, [...sealed.keyFiles, pathsOf(config.dataDir).clusterKey], sealed.discard);
  if (key) writeClusterKey(join(staging, 'cluster.key'), key);
  const authority = sealed.discard ? await createAuthority(clock, 'kontiki-ca') : undefined;
  const refounding: Refounding = refound(image, self, clusterId, { discardSealed: sealed.discard, authority });
  await writeImage(join(staging, 'store'), reviseImage(image, refounding));
  await writeFreshLog(join(staging, 'raft'), { peer: id, applied: { index: image.index, term: image.term }, term });
  writeDurably(join(staging, 'members.json'), JSON.stringify([{ id, addresses: self.addresses, nodeName }]));
  // Never a founder: should this log ever be lost, an empty one must not found a second cluster under this identity.
  const next: Identity = { id, privateKey, incarnation: incarnation + 1, nodeName, member: true, founder: false };
  writeDurably(join(staging, 'identity.json'), `${JSON.stringify(next, null, 2)}\n`);
  const stamp = new Date(clock.wallMs()).toISOString().replaceAll(/[-:.]/g, '');
  const replaced = commitStaging(config.dataDir, `replaced-${stamp}`);
  const { formerClusterId, revision, fenced, nodes } = refounding;
  return {
    peer: id,
    clusterId,
    formerClusterId,
    revision,
    fenced: fenced.map((member) => ({ id: member.id, nodeName: member.nodeName })),
    nodes,
    replaced,
  };
}
