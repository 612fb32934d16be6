/**
 * The seam of matchConditions: expressions that say whether a webhook is to be asked. An evaluator is given to createApi; without
 * one, configurations that need it are refused when they are written, instead of being followed only in part.
 */
import type { KindVersion } from '../../machinery/kind.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission/types.ts';
import { invalidObject } from '../field-errors.ts';
import { sameJson } from '../kinds/field-errors.ts';
import type { Webhook } from './types.ts';

export interface MatchCondition {
  name: string;
  expression: string;
}

export interface MatchConditions {
  /** What is wrong with an expression; undefined when nothing is. Pure. */
  complaint(expression: string): string | undefined;
  /** Whether all hold. One that does not hold decides, also when another fails. Throws when one fails and none says no. */
  hold(conditions: readonly MatchCondition[], request: AdmissionRequest, version: KindVersion): boolean;
}

const unsupported = 'match conditions are not evaluated by this server';

export const noMatchConditions: MatchConditions = {
  complaint: () => unsupported,
  hold() {
    throw new RangeError(unsupported);
  },
};

/** StatusError 422 for a configuration with an expression that cannot be evaluated; one that was stored before may stay. */
export function checkedConditions(conditions: MatchConditions): AdmissionPlugin {
  return {
    name: 'WebhookMatchConditions',
    handles({ operation, target: { resolved, subresource } }) {
      const { group, plural } = resolved.kind;
      return (
        operation !== 'DELETE' &&
        !subresource &&
        group === 'admissionregistration.k8s.io' &&
        plural.endsWith('webhookconfigurations')
      );
    },
    validate({ target, object, oldObject }) {
      const before = webhooksOf(oldObject).map(({ matchConditions }) => matchConditions);
      const errors = webhooksOf(object).flatMap(({ matchConditions = [] }, index): FieldError[] => {
        if (before.some((list) => sameJson(list, matchConditions))) return [];
        return matchConditions.flatMap(({ expression }, at): FieldError[] => {
          const detail = conditions.complaint(expression);
          const field = `webhooks[${index}].matchConditions[${at}].expression`;
          return detail === undefined ? [] : [{ type: 'Invalid', field, value: expression, detail }];
        });
      });
      if (errors.length > 0) throw invalidObject(target.resolved.kind, target.name, errors);
    },
  };
}

function webhooksOf(object: unknown): Webhook[] {
  return (object as { webhooks?: Webhook[] } | undefined)?.webhooks ?? [];
}
