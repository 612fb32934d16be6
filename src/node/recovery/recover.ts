/** Makes one machine go on alone from the best log at hand, after the others were lost. */
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { readImage, Store, type StoreImage } from '../../store/index.ts';
import { type NodeConfig, pathsOf } from '../config.ts';
import { readIfExists } from '../durable-file.ts';
import { NodeError } from '../errors.ts';
import type { Identity } from '../identity.ts';
import { releaseLock, takeLock } from '../machine-lock.ts';
import { type Inspected, inspectFolder } from './inspection.ts';
import { becomeLonePeer, type LonePeer, newIdentity, type SealedOptions } from './lone-peer.ts';
import { answering } from './reachable.ts';
import { planRecovery, type RecoveryPlan } from './recovery-plan.ts';
import { abandonStaging, beginStaging, finishStaging } from './staging.ts';

type Answering = Awaited<ReturnType<typeof answering>>;

const applyBatch = 256;

export interface RecoverOptions {
  config: NodeConfig;
  /** Data folders of other peers, for example from their disks. */
  from: readonly string[];
  /** Shows what was found; called once, before `confirm`, also when nothing can be recovered. */
  onInspected(inspected: readonly Inspected[]): void;
  /** `alive` are members that are to be shut out and still answer. False: nothing is changed. */
  confirm(plan: RecoveryPlan, alive: Answering): Promise<boolean>;
  sealed?: SealedOptions;
  clock?: Clock;
}

/** Undefined: it was not confirmed. Throws RecoveryError, or NodeError 'AlreadyRunning' while the daemon runs. */
export async function recover(options: RecoverOptions): Promise<LonePeer | undefined> {
  const { dataDir } = options.config;
  const paths = pathsOf(dataDir);
  takeLock(paths);
  try {
    finishStaging(dataDir);
    const staging = beginStaging(dataDir);
    try {
      return await recoverIn(staging, options);
    } finally {
      abandonStaging(dataDir);
    }
  } finally {
    releaseLock(paths);
  }
}

async function recoverIn(staging: string, options: RecoverOptions): Promise<LonePeer | undefined> {
  const { config, from, onInspected, confirm, clock = systemClock } = options;
  const { keyFiles, discard } = options.sealed ?? { keyFiles: [], discard: false };
  const identity = await identityOf(config);
  // A machine that never was a member has nothing of its own to offer: it goes on from other peers' disks.
  const folders = [...new Set([...(identity.member ? [config.dataDir] : []), ...from.map((folder) => resolve(folder))])];
  const scratch = join(staging, 'inspected');
  const inspected: Inspected[] = [];
  for (const [number, folder] of folders.entries()) inspected.push(await inspectFolder(folder, join(scratch, String(number))));
  onInspected(inspected);
  const plan = planRecovery(inspected);
  const others = plan.best.found.members.filter(({ id }) => id !== identity.id);
  if (!(await confirm(plan, await answering(others)))) return undefined;
  const image = await imageOf(plan);
  rmSync(scratch, { recursive: true });
  const sealed = { keyFiles: [...keyFiles, ...from.map((folder) => pathsOf(resolve(folder)).clusterKey)], discard };
  return becomeLonePeer({ config, identity, image, term: plan.term, staging, clock, sealed });
}

async function identityOf({ dataDir, nodeName }: NodeConfig): Promise<Identity> {
  const text = readIfExists(pathsOf(dataDir).identity);
  if (text === undefined) return newIdentity(nodeName);
  const identity = JSON.parse(text) as Identity;
  if (identity.nodeName === nodeName) return identity;
  throw new NodeError('InvalidConfig', `${dataDir} belongs to node ${identity.nodeName}, but nodeName is ${nodeName}`);
}

/** The state with the whole of the best log applied. */
async function imageOf({ best, state: { found: state } }: RecoveryPlan): Promise<StoreImage> {
  const store = await Store.open({ dir: state.storeDir });
  try {
    const entries = best.found.log.entries.filter(({ index }) => index > state.applied.index);
    for (let from = 0; from < entries.length; from += applyBatch) {
      store.apply(entries.slice(from, from + applyBatch));
      await store.settled();
    }
    return await readImage(store.snapshot().chunks);
  } finally {
    await store.close();
  }
}
