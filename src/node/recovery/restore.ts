/** Makes a new cluster of one machine out of a snapshot file. */
import { mkdirSync } from 'node:fs';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { readImage } from '../../store/index.ts';
import { type NodeConfig, pathsOf } from '../config.ts';
import { readIfExists } from '../durable-file.ts';
import type { Identity } from '../identity.ts';
import { releaseLock, takeLock } from '../machine-lock.ts';
import { bytesOf } from './backup.ts';
import { RecoveryError } from './errors.ts';
import { becomeLonePeer, type LonePeer, newIdentity, type SealedOptions } from './lone-peer.ts';
import { readSnapshotFile } from './snapshot-file.ts';
import { abandonStaging, beginStaging, finishStaging } from './staging.ts';

/** Throws RecoveryError 'AlreadyMember' when this machine belongs to a cluster. */
export function checkRestorable(config: NodeConfig): void {
  const text = readIfExists(pathsOf(config.dataDir).identity);
  if (text === undefined || !(JSON.parse(text) as Identity).member) return;
  throw new RecoveryError(
    'AlreadyMember',
    `${config.dataDir} belongs to a member of a cluster; take that away first with "kontiki reset --yes", or set another dataDir`,
  );
}

/**
 * All or nothing: after a crash the machine is as before, or belongs to the complete new cluster. Throws RecoveryError, NodeError
 * 'AlreadyRunning', or what the disk says.
 */
export async function restoreSnapshot(
  config: NodeConfig,
  file: string,
  sealed: SealedOptions = { keyFiles: [], discard: false },
  clock: Clock = systemClock,
): Promise<LonePeer> {
  const paths = pathsOf(config.dataDir);
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  takeLock(paths);
  try {
    finishStaging(config.dataDir);
    checkRestorable(config);
    const staging = beginStaging(config.dataDir);
    try {
      const { result: image } = await readSnapshotFile(bytesOf(file), (_, chunks) => readImage(chunks));
      const identity = await newIdentity(config.nodeName);
      return await becomeLonePeer({ config, identity, image, term: image.term + 1, staging, clock, sealed });
    } finally {
      abandonStaging(config.dataDir);
    }
  } finally {
    releaseLock(paths);
  }
}
