/**
 * What is odd about the expressions of a policy when they are checked against the kinds that it names: a policy is taken without that, since
 * a kind may be defined later, but its status tells. Pure. Source: Kubernetes documentation, "Validating Admission Policy", type checking.
 */
import { CelEnvironment, CelError, type CelType, celTypes, objectOf } from '../../cel/index.ts';
import { groupOf } from '../../machinery/kind.ts';
import type { KindTable, ResolvedKind } from '../kind-table.ts';
import { authorizerVariables, namespaceVariables, requestVariables } from './declarations.ts';
import { type PolicySpec, variablesName } from './expressions.ts';
import { objectType } from './object-types.ts';
import { findByKind } from './parameters.ts';

export interface ExpressionWarning {
  /** For example `spec.validations[0].expression`. */
  fieldRef: string;
  warning: string;
}

/** Kinds that one rule of a policy can name; what comes behind them is not looked at. */
const kindsMax = 10;

interface Checked {
  /** `apps/v1, Kind=Deployment` */
  title: string;
  environment: CelEnvironment;
}

type Rule = NonNullable<NonNullable<PolicySpec['matchConstraints']>['resourceRules']>[number];

export function typeWarnings(spec: PolicySpec, table: KindTable): ExpressionWarning[] {
  const params = paramsType(spec, table);
  const checked = kindsOf(spec, table).flatMap((resolved) => {
    const object = objectType(resolved.version, resolved.kind.kind);
    return object ? [{ title: titleOf(resolved), environment: environmentOf(spec, object, params) }] : [];
  });
  return (spec.validations ?? []).flatMap(({ expression, messageExpression }, index) => {
    const path = `spec.validations[${index}]`;
    return [
      ...warningOf(checked, `${path}.expression`, expression),
      ...warningOf(checked, `${path}.messageExpression`, messageExpression),
    ];
  });
}

function warningOf(checked: readonly Checked[], fieldRef: string, text: string | undefined): ExpressionWarning[] {
  if (!text) return [];
  const complaints = checked.flatMap(({ title, environment }) => {
    const complaint = complaintOf(environment, text);
    return complaint === undefined ? [] : [`${title}: ${complaint}\n`];
  });
  return complaints.length > 0 ? [{ fieldRef, warning: complaints.join('\n') }] : [];
}

function complaintOf(environment: CelEnvironment, text: string): string | undefined {
  try {
    environment.compile(text);
    return undefined;
  } catch (error) {
    if (error instanceof CelError) return error.message;
    throw error;
  }
}

function environmentOf({ variables = [] }: PolicySpec, object: CelType, params: CelType | undefined): CelEnvironment {
  const given: Record<string, CelType> = {
    ...requestVariables,
    ...namespaceVariables,
    ...authorizerVariables,
    object,
    oldObject: object,
    ...(params ? { params } : {}),
  };
  const known: Record<string, CelType> = {};
  const environment = () => new CelEnvironment({ variables: { ...given, variables: objectOf(variablesName, { ...known }) } });
  for (const { name, expression } of variables) {
    // One that does not fit is told of where it is used.
    known[name] = typeIn(environment(), expression) ?? celTypes.dyn;
  }
  return environment();
}

function typeIn(environment: CelEnvironment, text: string): CelType | undefined {
  try {
    return environment.compile(text).type;
  } catch (error) {
    if (error instanceof CelError) return undefined;
    throw error;
  }
}

/** Undefined when there are none, or when their kind is not known. */
function paramsType({ paramKind }: PolicySpec, table: KindTable): CelType | undefined {
  const resolved = paramKind && findByKind(table, paramKind);
  return resolved && objectType(resolved.version, resolved.kind.kind);
}

const titleOf = ({ kind, version }: ResolvedKind) => `${groupOf(kind, version)}/${version.name}, Kind=${kind.kind}`;

/** By group, version and name. Rules with a wildcard for group or version name no kinds. */
function kindsOf({ matchConstraints }: PolicySpec, table: KindTable): ResolvedKind[] {
  const found = new Map<string, ResolvedKind>();
  for (const rule of matchConstraints?.resourceRules ?? []) {
    let count = 0;
    for (const resolved of named(rule, table)) {
      found.set(titleOf(resolved), resolved);
      count++;
      if (count === kindsMax) return sorted(found);
    }
  }
  return sorted(found);
}

function* named({ apiGroups = [], apiVersions = [], resources = [] }: Rule, table: KindTable): Generator<ResolvedKind> {
  if ([...apiGroups, ...apiVersions].some((name) => name.includes('*'))) return;
  const whole = resources.filter((name) => !/[*/]/.test(name)).sort();
  for (const group of [...apiGroups].sort()) {
    for (const version of [...apiVersions].sort()) {
      for (const resource of whole) {
        const resolved = table.find(group, version, resource);
        if (resolved) yield resolved;
      }
    }
  }
}

function sorted(found: ReadonlyMap<string, ResolvedKind>): ResolvedKind[] {
  const key = ({ kind, version }: ResolvedKind) => [groupOf(kind, version), version.name, kind.kind].join('\n');
  return [...found.values()].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
