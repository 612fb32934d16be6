/** Makes the requests that admission is asked about. */
import { AdmissionNotes } from '../audit/notes.ts';
import type { Plan } from '../write-loop.ts';
import type { AdmissionRequest } from './types.ts';

type Facts = Pick<AdmissionRequest, 'operation' | 'target'> &
  Partial<Pick<AdmissionRequest, 'object' | 'oldObject'>> & { options: AdmissionRequest['options'] & { warnings?: string[] } };

export function admissionRequest({ options, ...facts }: Facts): AdmissionRequest {
  return {
    object: undefined,
    oldObject: undefined,
    ...facts,
    options,
    dryRun: options.dryRun === true,
    warnings: options.warnings ?? [],
    notes: facts.target.notes?.about(`${facts.target.namespace ?? ''}/${facts.target.name}`) ?? new AdmissionNotes(),
    with: { conditions: [], operations: [], charges: [] },
  };
}

/** The plan, and what admission wants to be written with it. */
export function withAdmitted(plan: Plan, { with: { conditions, operations, charges } }: AdmissionRequest): Plan {
  return {
    next: plan.next,
    conditions: [...(plan.conditions ?? []), ...conditions],
    operations: [...(plan.operations ?? []), ...operations],
    charges: [...(plan.charges ?? []), ...charges],
  };
}
