/** The plugins that every cluster has, in the order in which they run. */
import { validatingAdmissionPolicy } from '../admission-policy/plugin.ts';
import { defaultPriorityClass } from './default-priority-class.ts';
import { nodeRestriction } from './node-restriction.ts';
import { serviceAccount } from './service-account.ts';
import type { AdmissionPlugin } from './types.ts';

export { AdmissionChain } from './chain.ts';

export const standardPlugins: readonly AdmissionPlugin[] = [
  nodeRestriction,
  serviceAccount,
  defaultPriorityClass,
  validatingAdmissionPolicy,
];
