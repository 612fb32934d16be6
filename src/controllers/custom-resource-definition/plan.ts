/**
 * Which names a definition gets, and with them whether it is established. Names belong to whoever had them first within a group. Pure.
 * Source: the Kubernetes page "Extend the Kubernetes API with CustomResourceDefinitions" and the type's own description.
 */
import {
  approvalOf,
  type CustomResourceDefinition,
  type DefinitionCondition,
  type DefinitionNames,
  isEstablished,
  isProtectedGroup,
} from '../../machinery/custom/definition.ts';
import { withCondition } from '../conditions.ts';

export type DefinitionStatus = NonNullable<CustomResourceDefinition['status']>;

/** Names that others in the group have. */
export interface TakenNames {
  resources: ReadonlySet<string>;
  kinds: ReadonlySet<string>;
}

/** `builtIn` are the resources and kinds of the group that need no definition. */
export function takenNames(
  definition: CustomResourceDefinition,
  all: readonly CustomResourceDefinition[],
  builtIn: TakenNames,
): TakenNames {
  const resources = new Set(builtIn.resources);
  const kinds = new Set(builtIn.kinds);
  for (const { metadata, spec, status } of all) {
    if (spec.group !== definition.spec.group || metadata.name === definition.metadata.name) continue;
    const names = status?.acceptedNames;
    for (const name of [names?.plural, names?.singular, ...(names?.shortNames ?? [])]) if (name) resources.add(name);
    for (const name of [names?.kind, names?.listKind]) if (name) kinds.add(name);
  }
  return { resources, kinds };
}

/** The status with its names and conditions brought up to date. */
export function planStatus(definition: CustomResourceDefinition, taken: TakenNames, nowMs: number): DefinitionStatus {
  const wanted = definition.spec.names;
  const acceptedNames: DefinitionNames = { plural: '', kind: '', ...definition.status?.acceptedNames };
  const conflicts: { reason: string; message: string }[] = [];
  const accept = (name: 'plural' | 'singular' | 'kind' | 'listKind', reason: string, others: ReadonlySet<string>) => {
    const text = wanted[name];
    if (text === undefined || text === acceptedNames[name] || !others.has(text)) Object.assign(acceptedNames, { [name]: text });
    else conflicts.push({ reason, message: inUse(text) });
  };
  accept('plural', 'PluralConflict', taken.resources);
  accept('singular', 'SingularConflict', taken.resources);
  const own = acceptedNames.shortNames ?? [];
  const clashes = (wanted.shortNames ?? []).filter((name) => !own.includes(name) && taken.resources.has(name));
  if (clashes.length > 0) conflicts.push({ reason: 'ShortNamesConflict', message: shortNamesInUse(clashes) });
  else setList(acceptedNames, 'shortNames', wanted.shortNames);
  accept('kind', 'KindConflict', taken.kinds);
  accept('listKind', 'ListKindConflict', taken.kinds);
  setList(acceptedNames, 'categories', wanted.categories);
  return { ...definition.status, acceptedNames, conditions: conditions(definition, conflicts.at(-1), nowMs) };
}

const inUse = (name: string) => `${JSON.stringify(name)} is already in use`;

function shortNamesInUse(names: readonly string[]): string {
  const texts = names.map(inUse);
  return texts.length === 1 ? (texts[0] as string) : `[${texts.join(', ')}]`;
}

function setList(names: DefinitionNames, name: 'shortNames' | 'categories', values: string[] | undefined): void {
  if (values) names[name] = values;
  else delete names[name];
}

function conditions(
  definition: CustomResourceDefinition,
  conflict: { reason: string; message: string } | undefined,
  nowMs: number,
): DefinitionCondition[] {
  const names = conflict
    ? { type: 'NamesAccepted', status: 'False', ...conflict }
    : { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' };
  let list = withCondition(definition.status?.conditions, names, nowMs);
  // Whoever is established stays so: its objects would be out of reach otherwise.
  if (!isEstablished(definition)) list = withCondition(list, established(conflict === undefined), nowMs);
  return isProtectedGroup(definition.spec.group) ? withCondition(list, approval(definition), nowMs) : list;
}

function established(accepted: boolean) {
  return accepted
    ? { type: 'Established', status: 'True', reason: 'InitialNamesAccepted', message: 'the initial names have been accepted' }
    : { type: 'Established', status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' };
}

const approvalConditions = {
  Missing: { status: 'False', reason: 'MissingAnnotation' },
  Invalid: { status: 'False', reason: 'InvalidAnnotation' },
  Bypassed: { status: 'False', reason: 'UnapprovedAnnotation' },
  Approved: { status: 'True', reason: 'ApprovedAnnotation' },
};

function approval(definition: CustomResourceDefinition) {
  const { state, reason: message } = approvalOf(definition);
  return { type: 'KubernetesAPIApprovalPolicyConformant', ...approvalConditions[state], message };
}

const terminating = {
  InstanceDeletionInProgress: ['True', 'CustomResource deletion is in progress'],
  InstanceDeletionCompleted: ['False', 'removed all instances'],
  NeverEstablished: ['False', 'resource was never established'],
} as const;

/** The status with how far the removal of its objects has come. */
export function terminatingStatus(
  { status }: CustomResourceDefinition,
  reason: keyof typeof terminating,
  nowMs: number,
): DefinitionStatus {
  const [state, message] = terminating[reason];
  const condition = { type: 'Terminating', status: state, reason, message };
  return { ...status, conditions: withCondition(status?.conditions, condition, nowMs) };
}
