/** Auditing as a machine's configuration wants it. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { AuditOptions } from '../api/audit/audit.ts';
import { type AuditPolicy, metadataPolicy, parsePolicy } from '../api/audit/policy.ts';
import type { Clock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { AuditLog } from './audit-log.ts';
import { type NodeConfig, pathsOf } from './config.ts';
import { NodeError } from './errors.ts';

/** Undefined when it is switched off. Throws NodeError 'InvalidConfig' for a policy that cannot be read, with all that is wrong. */
export function openAudit(config: NodeConfig, clock: Clock, logger: Logger): (AuditOptions & { log: AuditLog }) | undefined {
  const { enabled, policyFile, file, maxSizeMiB, maxBackups, maxAgeDays } = config.audit;
  if (!enabled) return undefined;
  const policy = policyFile === undefined ? metadataPolicy : readPolicy(policyFile);
  const log = new AuditLog({
    ...{ file: file ?? pathsOf(config.dataDir).audit, maxSizeMiB, maxBackups, maxAgeDays },
    ...{ clock, logger: logger.child({ part: 'audit' }) },
  });
  return { policy, sink: log, confidential: config.encryption.resources, log };
}

function readPolicy(file: string): AuditPolicy {
  let value: unknown;
  try {
    value = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new NodeError('InvalidConfig', `cannot read the audit policy ${file}: ${errorMessage(error)}`, { file }, error);
  }
  const { policy, problems } = parsePolicy(value);
  if (problems.length > 0) throw new NodeError('InvalidConfig', `${file}: ${problems.join('; ')}`, { file, problems });
  return policy;
}
