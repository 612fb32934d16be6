/** Terms of node affinity: any term may match, in a term everything must. Pure. */
import type { Node, PodSpec } from './types.ts';

type Affinity = NonNullable<NonNullable<PodSpec['affinity']>['nodeAffinity']>;
export type SelectorTerm = NonNullable<Affinity['requiredDuringSchedulingIgnoredDuringExecution']>['nodeSelectorTerms'][number];
type Requirement = NonNullable<SelectorTerm['matchExpressions']>[number];

/** No terms match nothing. */
export function matchesRequired(terms: readonly SelectorTerm[] | undefined, node: Pick<Node, 'metadata'>): boolean {
  return terms?.some((term) => matchesTerm(term, node)) ?? false;
}

/** An empty term matches nothing. */
export function matchesTerm(term: SelectorTerm, node: Pick<Node, 'metadata'>): boolean {
  const expressions = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  if (expressions.length === 0 && fields.length === 0) return false;
  return (
    expressions.every((requirement) => matches(requirement, node.metadata.labels?.[requirement.key])) &&
    fields.every((requirement) => matches(requirement, requirement.key === 'metadata.name' ? node.metadata.name : undefined))
  );
}

function matches({ operator, values = [] }: Requirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return compare(value, values[0], (a, b) => a > b);
    case 'Lt':
      return compare(value, values[0], (a, b) => a < b);
    default:
      return false;
  }
}

function compare(value: string | undefined, bound: string | undefined, test: (a: number, b: number) => boolean): boolean {
  const isInteger = (text: string | undefined): text is string => text !== undefined && /^[+-]?\d+$/.test(text);
  return isInteger(value) && isInteger(bound) && test(Number(value), Number(bound));
}
