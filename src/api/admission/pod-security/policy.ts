/** What a namespace's labels say about the security of its pods. Source: Kubernetes documentation, "Pod Security Admission". Pure. */
import type { FieldError } from '../../../machinery/status.ts';
import { invalidValue } from '../../kinds/field-errors.ts';

/** From the freest to the strictest. */
const levels = ['privileged', 'baseline', 'restricted'] as const;
export type Level = (typeof levels)[number];

export interface Standard {
  level: Level;
  /** N of the standards as Kubernetes 1.N had them, or the latest. */
  version: number | 'latest';
}

export type Mode = 'enforce' | 'audit' | 'warn';
export type Policy = Record<Mode, Standard>;

const modes = ['enforce', 'audit', 'warn'] as const;
export const domain = 'pod-security.kubernetes.io';
const free: Standard = { level: 'privileged', version: 'latest' };

export const strictness = ({ level }: Standard): number => levels.indexOf(level);
export const isFree = ({ level }: Standard): boolean => level === 'privileged';

/** `restricted:latest`, `baseline:v1.25`. */
export function formatStandard({ level, version }: Standard): string {
  return `${level}:${version === 'latest' ? version : `v1.${version}`}`;
}

export function sameStandard(a: Standard, b: Standard): boolean {
  return a.level === b.level && a.version === b.version;
}

/**
 * The policy and what is wrong with the labels. A level that is none is taken for the strictest where it is enforced and for the
 * freest elsewhere; a version that is none for the latest. Who enforces but does not say what to warn of is warned of the same.
 */
export function policyOf(labels: Record<string, string> = {}): { policy: Policy; errors: FieldError[] } {
  const policy: Policy = { enforce: { ...free }, audit: { ...free }, warn: { ...free } };
  const errors: FieldError[] = [];
  const complain = (label: string, detail: string) =>
    errors.push(invalidValue(`metadata.labels[${label}]`, labels[label], detail));
  let enforcesKnown = false;
  for (const mode of modes) {
    const label = `${domain}/${mode}`;
    const [level, version] = [labels[label], labels[`${label}-version`]];
    if (level !== undefined) {
      const known = levels.find((each) => each === level);
      if (!known) complain(label, `must be one of ${levels.join(', ')}`);
      else if (mode === 'enforce') enforcesKnown = true;
      policy[mode].level = known ?? (mode === 'enforce' ? 'restricted' : 'privileged');
    }
    if (version === undefined || version === 'latest') continue;
    const number = /^v1\.(0|[1-9]\d*)$/.exec(version)?.[1];
    if (number === undefined) complain(`${label}-version`, 'must be "latest" or "v1.x"');
    else policy[mode].version = Number(number);
  }
  if (labels[`${domain}/warn`] === undefined && enforcesKnown && strictness(policy.enforce) > strictness(policy.warn)) {
    const { level, version } = policy.enforce;
    policy.warn = { level, version: labels[`${domain}/warn-version`] === undefined ? version : policy.warn.version };
  }
  return { policy, errors };
}
