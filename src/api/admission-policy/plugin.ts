/** ValidatingAdmissionPolicy in the chain of admission: every policy that is bound and about the write is asked. */
import type { ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding } from '../../machinery/kind-types.ts';
import { failure, forbidden, type StatusError, type StatusReason } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission/types.ts';
import { groupResource } from '../kind-table.ts';
import type { RegistryContext } from '../registry-types.ts';
import { namespaceKey, objectOf, prefixOf } from '../stored-objects.ts';
import { type Denial, evaluatePolicy, type PolicyVerdict } from './evaluate.ts';
import { expressionsOf } from './expressions.ts';
import { isExempt, matchedVersion } from './matching.ts';
import { ConfigurationProblem, parametersOf } from './parameters.ts';
import { requestValues } from './request-variables.ts';

type Actions = readonly string[];

const failureKey = 'validation.policy.admission.k8s.io/validation_failure';

/** A denial with who says it. */
interface Verdict extends Denial {
  policy: string;
  binding: string;
  actions: Actions;
}

const codes: Partial<Record<string, number>> = { Unauthorized: 401, Forbidden: 403, RequestEntityTooLarge: 413 };

export const validatingAdmissionPolicy: AdmissionPlugin = {
  name: 'ValidatingAdmissionPolicy',

  handles: ({ target }) => !isExempt(target.resolved.kind),

  /** StatusError with the reason of the first rule that is denied; Warn adds to the warnings instead, Audit to the audit log. */
  validate(request, context) {
    const bindings = stored<ValidatingAdmissionPolicyBinding>(context, 'validatingadmissionpolicybindings');
    if (bindings.length === 0) return;
    const policies = new Map(
      stored<ValidatingAdmissionPolicy>(context, 'validatingadmissionpolicies').map((policy) => [policy.metadata.name, policy]),
    );
    const denied: Verdict[] = [];
    const said = new Map<string, Set<string>>();
    for (const binding of bindings) {
      const policy = policies.get(binding.spec?.policyName ?? '');
      if (!policy) continue;
      const { verdicts, annotations } = judge(policy, binding, request, context);
      for (const verdict of verdicts) {
        if (verdict.actions.includes('Warn')) request.warnings.push(warningOf(verdict));
        if (verdict.actions.includes('Audit')) request.notes.add(failureKey, failureNote(verdict));
        if (verdict.actions.includes('Deny')) denied.push(verdict);
      }
      for (const { key, value } of annotations) {
        const name = `${policy.metadata.name}/${key}`;
        said.set(name, (said.get(name) ?? new Set()).add(value));
      }
    }
    // Bindings with other parameters may say other things about the same.
    for (const [key, values] of said) request.notes.add(key, [...values].join(', '));
    const [first] = denied;
    if (first) throw denialOf(first, request);
  },
};

/** The objects of a kind as this peer knows them. */
function stored<T extends KubeObject>({ store, table }: RegistryContext, plural: string): T[] {
  const resolved = table.find('admissionregistration.k8s.io', 'v1', plural);
  return resolved ? store.list(prefixOf(resolved.kind)).records.map((record) => objectOf(record) as T) : [];
}

interface Judgement {
  verdicts: Verdict[];
  annotations: PolicyVerdict['auditAnnotations'];
}

const silent: Judgement = { verdicts: [], annotations: [] };

function judge(
  policy: ValidatingAdmissionPolicy,
  binding: ValidatingAdmissionPolicyBinding,
  request: AdmissionRequest,
  context: RegistryContext,
): Judgement {
  const spec = policy.spec ?? {};
  const { kind } = request.target.resolved;
  const namespace = namespaceOf(request, context);
  const version = matchedVersion(spec.matchConstraints, request, namespace);
  if (!version || !matchedVersion(binding.spec?.matchResources, request, namespace)) return silent;
  const actions = binding.spec?.validationActions ?? [];
  const named = { policy: policy.metadata.name, binding: binding.metadata.name };
  let parameters: (KubeObject | null)[];
  try {
    const within = kind.namespaced ? request.target.namespace : undefined;
    parameters = parametersOf(spec, binding.spec?.paramRef, within, context);
  } catch (error) {
    if (!(error instanceof ConfigurationProblem)) throw error;
    if (spec.failurePolicy === 'Ignore') return silent;
    // What is configured wrongly is denied whatever the binding's actions are.
    const message = `failed to configure binding: ${error.message}`;
    const problem = { ...named, message, reason: 'Invalid', failed: true, index: 0, actions: ['Deny'] };
    return { verdicts: [problem], annotations: [] };
  }
  const values = requestValues({ request, version, authorizer: context.access.authorizer });
  const expressions = expressionsOf(policy);
  const results = parameters.map((params) => evaluatePolicy({ spec, expressions, values, namespace, params }));
  return {
    verdicts: results
      .flatMap(({ denials }) => denials)
      .map((denial) => ({ ...denial, ...named, actions: denial.ofAnnotation ? ['Deny'] : actions })),
    annotations: results.flatMap(({ auditAnnotations }) => auditAnnotations),
  };
}

/** The namespace that the write happens in; undefined for what is cluster-wide. */
function namespaceOf({ target: { resolved, namespace } }: AdmissionRequest, { store }: RegistryContext): KubeObject | undefined {
  const record = resolved.kind.namespaced && namespace ? store.get(namespaceKey(namespace)) : undefined;
  return record && objectOf(record);
}

/** As a list, to which others may be added one day. */
const failureNote = ({ message, policy, binding, index, actions }: Verdict) =>
  JSON.stringify([{ message, policy, binding, expressionIndex: index, validationActions: actions }]);

const warningOf = ({ policy, binding, message }: Verdict) =>
  `Validation failed for ValidatingAdmissionPolicy '${policy}' with binding '${binding}': ${message}`;

function denialOf({ policy, binding, message, reason }: Verdict, { target }: AdmissionRequest): StatusError {
  const why = `ValidatingAdmissionPolicy '${policy}' with binding '${binding}' denied request: ${message}`;
  const { status } = forbidden(groupResource(target.resolved.kind), target.name, why);
  return failure(codes[reason] ?? 422, reason as StatusReason, status.message ?? why, {
    ...status.details,
    causes: [{ message: why }],
  });
}
