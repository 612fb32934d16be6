/** The table: what the tutorials show, one row each. Slow rows first: they run side by side. */
import type { SeedCase } from './bench.ts';
import { configurationCases } from './cases/configuration.ts';
import { lifeCases } from './cases/life.ts';
import { placingCases } from './cases/placing.ts';
import { privateImages } from './cases/private-images.ts';
import { togetherCases } from './cases/together.ts';
import { workloadCases } from './cases/workloads.ts';

export const cases: SeedCase[] = [
  ...workloadCases,
  ...lifeCases,
  ...placingCases,
  ...togetherCases,
  ...configurationCases,
  privateImages,
];
