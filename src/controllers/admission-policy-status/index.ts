/** Tells in the status of each ValidatingAdmissionPolicy what its expressions have against the kinds that it names. Once for each generation. */
import type { ValidatingAdmissionPolicy } from '../../machinery/kind-types.ts';
import * as r from '../../machinery/resources.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { queueController } from '../queue-controller.ts';

export function admissionPolicyStatusController(context: ControllerContext): Controller {
  const { client, options } = context;
  const controller = queueController(context, { name: 'validatingadmissionpolicy-status', workers: 1, reconcile });
  const policies = options.policyWarnings && context.informer(r.validatingAdmissionPolicies);
  policies?.onChange(({ type, object }) => {
    if (type !== 'deleted') controller.queue.add(object.metadata.name);
  });

  async function reconcile(name: string, signal: AbortSignal): Promise<void> {
    const policy = policies?.get(undefined, name);
    if (!policy || !options.policyWarnings || isChecked(policy)) return;
    const expressionWarnings = options.policyWarnings(policy);
    const status = {
      ...policy.status,
      observedGeneration: policy.metadata.generation ?? 0,
      typeChecking: expressionWarnings.length > 0 ? { expressionWarnings: [...expressionWarnings] } : {},
    };
    await client.update(r.validatingAdmissionPolicies, { ...policy, status }, { subresource: 'status', signal });
  }

  return controller;
}

const isChecked = ({ metadata, status }: ValidatingAdmissionPolicy) =>
  (metadata.generation ?? 0) <= (status?.observedGeneration ?? 0);
