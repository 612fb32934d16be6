/** Admission: expressions in webhook configurations that cannot be evaluated are refused when they are written. */
import type { FieldError } from '../../machinery/status.ts';
import type { AdmissionPlugin } from '../admission/types.ts';
import type { MatchConditions } from '../admission-policy/match-conditions.ts';
import { invalidObject } from '../field-errors.ts';
import { sameJson } from '../kinds/field-errors.ts';
import type { Webhook } from './types.ts';

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
