/** The name of a pod template: a short hash that is the same for the same template, so a template finds its ReplicaSet again. Pure. */
import type { PodTemplateSpec } from '../../machinery/types.ts';
import { canonical } from '../same.ts';

export const hashLabel = 'pod-template-hash';

/** Letters and digits that spell no words. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** 32-bit FNV-1a over the template's canonical JSON, in the alphabet of generated names. `collisions` makes another hash. */
export function templateHash(template: PodTemplateSpec, collisions: number | undefined): string {
  const text = collisions ? `${canonical(template)}#${collisions}` : canonical(template);
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) {
    hash ^= byte;
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return [...String(hash)].map((digit) => alphabet[digit.charCodeAt(0) % alphabet.length]).join('');
}

/** The same pods come of both; the hash label that the controller adds does not count. */
export function sameTemplate(a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean {
  return canonical(withoutHash(a)) === canonical(withoutHash(b));
}

function withoutHash(template: PodTemplateSpec | undefined): unknown {
  if (!template?.metadata?.labels) return template;
  const { [hashLabel]: _, ...labels } = template.metadata.labels;
  return { ...template, metadata: { ...template.metadata, labels } };
}
