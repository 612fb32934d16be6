/** Holds a pod against a standard. Pure. */
import { baselineChecks } from './baseline.ts';
import type { Finding, Subject } from './findings.ts';
import type { Standard } from './policy.ts';
import { restrictedChecks } from './restricted.ts';

/** What the pod violates, first of baseline, then of restricted. */
export function evaluate({ level, version }: Standard, subject: Subject): Finding[] {
  if (level === 'privileged') return [];
  const minor = version === 'latest' ? Number.POSITIVE_INFINITY : version;
  const stricter = level === 'restricted' ? restrictedChecks.filter(({ since = 0 }) => since <= minor) : [];
  const overridden = new Set(stricter.map(({ overrides }) => overrides));
  const checks = [...baselineChecks.filter(({ id }) => !overridden.has(id)), ...stricter];
  return checks.map(({ look }) => look(subject, minor)).filter((finding) => finding !== undefined);
}

/** `privileged (container "a" must not …), hostPort (…)`. */
export const withDetails = (findings: readonly Finding[]): string =>
  findings.map(({ reason, detail }) => `${reason} (${detail})`).join(', ');

export const reasonsOnly = (findings: readonly Finding[]): string => findings.map(({ reason }) => reason).join(', ');
