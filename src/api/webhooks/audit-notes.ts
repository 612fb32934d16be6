/** What the audit log is told of the webhooks that a write was shown to, under the keys that Kubernetes uses. */
import type { AdmissionNotes } from '../audit/notes.ts';
import type { Hook, Phase, ReviewResponse } from './types.ts';

/** The round (0, or 1 for those that are asked again) and the place in the order of that round. */
export interface HookPlace {
  round: 0 | 1;
  index: number;
}

const domain = 'webhook.admission.k8s.io';
const prefixes: Record<Phase, string> = { mutating: `mutation.${domain}`, validating: `validating.${domain}` };
const nameOf = ({ round, index }: HookPlace) => `round_${round}_index_${index}`;

/** Which hook was asked, and whether it changed the object. */
export function noteMutation(notes: AdmissionNotes, at: HookPlace, { configuration, webhook }: Hook, mutated: boolean): void {
  notes.add(`${prefixes.mutating}/${nameOf(at)}`, JSON.stringify({ configuration, webhook: webhook.name, mutated }));
}

/** What it changed. A patch without operations is none. */
export function notePatch(
  notes: AdmissionNotes,
  at: HookPlace,
  { configuration, webhook }: Hook,
  { patch = '', patchType }: ReviewResponse,
): void {
  const operations = JSON.parse(Buffer.from(patch, 'base64').toString('utf8')) as unknown[];
  if (operations.length === 0) return;
  const text = JSON.stringify({ configuration, webhook: webhook.name, patch: operations, patchType });
  notes.add(`patch.${domain}/${nameOf(at)}`, text, { ofBody: true });
}

/** It could not be asked, and the write went on without it. */
export function noteFailedOpen(notes: AdmissionNotes, phase: Phase, at: HookPlace, webhook: string): void {
  notes.add(`failed-open.${prefixes[phase]}/${nameOf(at)}`, webhook);
}
