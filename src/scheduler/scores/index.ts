/** All scores with their weights. Spreading weighs more than the rest of the defaults together, so equal replicas go to different nodes. */
import type { Score, ScoreName } from '../types.ts';
import { balancedAllocation, leastAllocated } from './allocation.ts';
import { avoidedTaints, imageLocality, preferredAffinity, spread } from './preference.ts';

export const scores: readonly { name: ScoreName; weight: number; rate: Score }[] = [
  { name: 'LeastAllocated', weight: 1, rate: leastAllocated },
  { name: 'BalancedAllocation', weight: 1, rate: balancedAllocation },
  { name: 'Spread', weight: 4, rate: spread },
  { name: 'NodeAffinity', weight: 2, rate: preferredAffinity },
  { name: 'TaintToleration', weight: 3, rate: avoidedTaints },
  { name: 'ImageLocality', weight: 1, rate: imageLocality },
];
