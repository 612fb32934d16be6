/** Points for what the pod would like: its siblings elsewhere, labels it prefers, taints it avoids, images that are there. */

import { tolerates } from '../../machinery/tolerations.ts';
import { matchesTerm } from '../filters/node-affinity.ts';
import type { Score } from '../types.ts';

/** More where fewer pods of the same controller are; relative to the fullest node. */
export const spread: Score = ({ owner }, nodes) => {
  if (!owner) return nodes.map(() => 0);
  const counts = nodes.map((node) => node.ownedBy(owner));
  const most = Math.max(...counts);
  return counts.map((count) => (most === 0 ? 100 : (100 * (most - count)) / most));
};

/** The weights of the preferred terms that match, relative to the best node. */
export const preferredAffinity: Score = ({ pod }, nodes) => {
  const terms = pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  if (terms.length === 0) return nodes.map(() => 0);
  const sums = nodes.map(({ node }) =>
    terms.reduce((sum, { weight, preference }) => sum + (matchesTerm(preference, node) ? weight : 0), 0),
  );
  const most = Math.max(...sums);
  return sums.map((sum) => (most === 0 ? 0 : (100 * sum) / most));
};

/** Less for each PreferNoSchedule taint that is not tolerated, relative to the worst node. */
export const avoidedTaints: Score = ({ pod }, nodes) => {
  const tolerations = pod.spec?.tolerations ?? [];
  const counts = nodes.map(
    ({ node }) =>
      (node.spec?.taints ?? []).filter(
        (taint) => taint.effect === 'PreferNoSchedule' && !tolerations.some((toleration) => tolerates(toleration, taint)),
      ).length,
  );
  const most = Math.max(...counts);
  return counts.map((count) => (most === 0 ? 100 : (100 * (most - count)) / most));
};

const imageBytesForAll = 1024 ** 3;

/** Up to 100 for a gigabyte of the pod's images on the node; less for images that few nodes have, so that they do not draw everything. */
export const imageLocality: Score = ({ images }, nodes) => {
  const bytes = nodes.map(() => 0);
  for (const image of images) {
    const sizes = nodes.map(({ imageBytes }) => imageBytes.get(image) ?? 0);
    const holders = sizes.filter((size) => size > 0).length;
    for (const [index, size] of sizes.entries()) bytes[index] = (bytes[index] ?? 0) + (size * holders) / nodes.length;
  }
  return bytes.map((sum) => Math.min(100, (100 * sum) / imageBytesForAll));
};
