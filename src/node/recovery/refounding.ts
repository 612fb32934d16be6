/** What changes in the store when one machine goes on alone, out of a snapshot or after the others were lost. Pure. */
import { type StoreImage, type StoreRevision, sealedBy, sealingKeysKey } from '../../store/index.ts';
import {
  type AuthorityRecord,
  authorityKey,
  decodeRecord,
  encodeRecord,
  type MemberRecord,
  memberKey,
  memberPrefix,
  type SettingsRecord,
  settingsKey,
  tokenPrefix,
} from '../cluster-records.ts';
import { RecoveryError } from './errors.ts';

/**
 * Added to the revision. Clients may have seen what was written after the state that is gone on from; a billion is ten years of
 * three writes a second. A record's revision has room for 280,000 such steps.
 */
export const revisionMargin = 1_000_000_000;

const nodeNamePrefix = '/kontiki/node-names/';
const nodePrefix = '/registry/core/nodes/';

export interface Refounding extends StoreRevision {
  /** Machines whose records go: they never come back under their old identity. */
  fenced: MemberRecord[];
  /** Names of the Node objects that go with them. */
  nodes: string[];
  formerClusterId: string;
}

/**
 * `self` becomes the only member of a cluster with a new id. Member records, claims of node names and join tokens of before go, and
 * so do the Node objects of the other members: their pods are then replaced like those of any deleted node. Everything else stays,
 * but for sealed values and their keys with `discardSealed`: when nobody has the cluster key any more. The authority is among them:
 * `authority` takes its place then, and who trusted the former one has to be told.
 * Throws RecoveryError 'NothingToRecover' when the image is not that of a founded cluster.
 */
export function refound(
  image: StoreImage,
  self: MemberRecord,
  clusterId: string,
  { discardSealed = false, authority }: { discardSealed?: boolean; authority?: AuthorityRecord | undefined } = {},
): Refounding {
  const members: MemberRecord[] = [];
  const keys = new Set<string>();
  const discarded = new Set(discardSealed ? [sealingKeysKey] : []);
  let settings: SettingsRecord | undefined;
  for (const chunk of image.records) {
    for (const { key, value } of chunk) {
      keys.add(key);
      if (discardSealed && sealedBy(value) !== undefined) discarded.add(key);
      if (key.startsWith(memberPrefix)) members.push(decodeRecord(value));
      if (key === settingsKey) settings = decodeRecord(value);
    }
  }
  if (!settings || !keys.has(authorityKey)) {
    throw new RecoveryError(
      'NothingToRecover',
      'this state is not that of a founded cluster: it has no settings or no authority',
    );
  }
  const fenced = members.filter(({ id }) => id !== self.id);
  const others = new Set(fenced.map(({ nodeName }) => nodeName).filter((name) => name !== self.nodeName));
  const nodes = [...others].filter((name) => keys.has(`${nodePrefix}${name}`));
  const gone = new Set(nodes.map((name) => `${nodePrefix}${name}`));
  return {
    revision: image.revision + revisionMargin,
    drops: (key) =>
      [memberPrefix, nodeNamePrefix, tokenPrefix].some((prefix) => key.startsWith(prefix)) || gone.has(key) || discarded.has(key),
    puts: new Map([
      [settingsKey, encodeRecord({ ...settings, clusterId })],
      ...(authority && discarded.has(authorityKey) ? [[authorityKey, encodeRecord(authority)] as const] : []),
      [memberKey(self.id), encodeRecord(self)],
      [`${nodeNamePrefix}${self.nodeName}`, Buffer.from(JSON.stringify(self.id))],
    ]),
    fenced,
    nodes,
    formerClusterId: settings.clusterId,
  };
}
