/** The end of a membership on this machine: the identity is spent, nothing goes on, and no container of the cluster stays behind. */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { NodeConfig, NodePaths } from './config.ts';
import { type Identity, removedMessage, saveIdentity } from './identity.ts';
import { endContainers } from './machine-reset.ts';

export interface DepartureOptions {
  config: NodeConfig;
  paths: NodePaths;
  identity: Identity;
  /** What runs, in the order in which it is stopped. */
  parts: ({ stop(): Promise<void> } | undefined)[];
  clock: Clock;
  logger: Logger;
}

/** Gives what is to be said. What cannot be stopped is reported and does not keep the rest going. */
export async function depart({ config, paths, identity, parts, clock, logger }: DepartureOptions): Promise<string> {
  // First of all: whatever happens next, this identity does not start again.
  identity.removed = true;
  saveIdentity(paths, identity);
  const message = removedMessage(config.nodeName);
  logger.error({}, message);
  for (const part of parts) {
    try {
      await part?.stop();
    } catch (error) {
      logger.warn({ error }, 'a part of the daemon did not stop cleanly while the machine leaves its cluster');
    }
  }
  await endContainers(config, clock);
  return message;
}
