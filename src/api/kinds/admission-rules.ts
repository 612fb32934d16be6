/** What webhooks and admission policies share: which requests they are about. */
import { isQualifiedName } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import { checkName, checkOneOf, duplicate, invalidValue, required } from './field-errors.ts';

interface Rule {
  operations?: string[];
  apiGroups?: string[];
  apiVersions?: string[];
  resources?: string[];
  scope?: string;
}

const operations = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const words = { operations: 'operations', apiGroups: 'API groups', apiVersions: 'API versions' };
const conditionsMax = 64;

export function validateOperations(rule: Rule, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['operations', 'apiGroups', 'apiVersions', 'resources'] as const) {
    const values = rule[field] ?? [];
    if (values.length === 0) errors.push(required(`${path}.${field}`));
    if (values.includes('*') && values.length > 1 && field !== 'resources') {
      errors.push(invalidValue(`${path}.${field}`, values, `if '*' is present, must not specify other ${words[field]}`));
    }
  }
  for (const [index, operation] of (rule.operations ?? []).entries()) {
    errors.push(...checkOneOf(`${path}.operations[${index}]`, operation, operations));
  }
  if (rule.scope) errors.push(...checkOneOf(`${path}.scope`, rule.scope, ['*', 'Cluster', 'Namespaced']));
  return errors;
}

export function validateMatchConditions(
  conditions: { name: string; expression: string }[] | undefined,
  path: string,
): FieldError[] {
  const list = conditions ?? [];
  if (list.length > conditionsMax) {
    return [{ type: 'TooMany', field: path, detail: `must have at most ${conditionsMax} items` }];
  }
  const names = new Set<string>();
  return list.flatMap(({ name, expression }, index) => {
    const errors = checkName(`${path}[${index}].name`, name, isQualifiedName);
    if (!expression?.trim()) errors.push(required(`${path}[${index}].expression`));
    if (names.has(name)) errors.push(duplicate(`${path}[${index}].name`, name));
    names.add(name);
    return errors;
  });
}
