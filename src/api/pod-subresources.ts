/** Binding a pod to a node, and evicting it: writes that have a meaning of their own. */
import { badRequest, conflict, invalid, notFound } from '../machinery/status.ts';
import type { KubeObject, ObjectReference, Pod, PodCondition } from '../machinery/types.ts';
import { admissionRequest, withAdmitted } from './admission/request.ts';
import { deleteObject } from './delete.ts';
import { groupResource } from './kind-table.ts';
import { dropNulls, isRecord } from './object-input.ts';
import { checkPreconditions, timestamp } from './object-metadata.ts';
import { success } from './outcome.ts';
import type { DeletionOptions, NamedTarget, Outcome, RegistryContext, WriteOptions } from './registry-types.ts';
import { objectOf } from './stored-objects.ts';
import { writeLoop } from './write-loop.ts';

type Binding = KubeObject & { target?: ObjectReference };

/**
 * Gives the pod its node and the condition PodScheduled in one write. StatusError 409 when it has a node already or is
 * being deleted.
 */
export async function bindPod(
  context: RegistryContext,
  target: NamedTarget,
  body: unknown,
  options: WriteOptions,
): Promise<Outcome> {
  const binding = bodyOf(body, 'Binding') as Binding;
  const { name: nodeName = '', kind: targetKind = '' } = binding.target ?? {};
  if (targetKind !== '' && targetKind !== 'Node') {
    throw invalid('', 'Binding', target.name, [
      { type: 'NotSupported', field: 'target.kind', value: targetKind, detail: 'supported values: "Node", "<empty>"' },
    ]);
  }
  if (!nodeName) throw invalid('', 'Binding', target.name, [{ type: 'Required', field: 'target.name', detail: '' }]);
  const { kind } = target.resolved;
  const done = await writeLoop(context, target, options.dryRun, async (record) => {
    if (!record) throw notFound(groupResource(kind), target.name);
    const current = objectOf(record) as Pod;
    checkPreconditions(current, kind, { uid: binding.metadata?.uid, resourceVersion: binding.metadata?.resourceVersion });
    refuseBinding(current, target.name);
    const pod = structuredClone(current);
    assign(pod, nodeName, timestamp(context.clock.wallMs()));
    const { annotations } = binding.metadata ?? {};
    if (annotations) pod.metadata.annotations = { ...pod.metadata.annotations, ...annotations };
    const request = admissionRequest({ operation: 'CREATE', target, object: binding, options });
    await context.admission.admit(request, context);
    return withAdmitted({ next: pod }, request);
  });
  return success(target.resolved, target.name, { uid: done.object.metadata.uid, code: 201 });
}

function refuseBinding(pod: Pod, name: string): void {
  const of = { group: '', resource: 'pods/binding' };
  if (pod.metadata.deletionTimestamp) throw conflict(of, name, `pod ${name} is being deleted, cannot be assigned to a host`);
  if (pod.spec?.nodeName)
    throw conflict(of, name, `pod ${name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`);
  if (pod.spec?.schedulingGates?.length) throw conflict(of, name, `pod ${name} has non-empty .spec.schedulingGates`);
}

function assign(pod: Pod, nodeName: string, now: string): void {
  if (pod.spec) pod.spec.nodeName = nodeName;
  pod.status ??= {};
  const conditions = pod.status.conditions ?? [];
  const scheduled: PodCondition = { type: 'PodScheduled', status: 'True', lastProbeTime: undefined, lastTransitionTime: now };
  pod.status.conditions = [...conditions.filter(({ type }) => type !== 'PodScheduled'), scheduled];
}

/** Deletes the pod with the options in the Eviction. */
export async function evictPod(
  context: RegistryContext,
  target: NamedTarget,
  body: unknown,
  options: WriteOptions,
): Promise<Outcome> {
  const eviction = bodyOf(body, 'Eviction') as KubeObject & { deleteOptions?: DeletionOptions & { dryRun?: unknown } };
  const name = eviction.metadata?.name;
  if (name && name !== target.name) throw badRequest('name in URL does not match name in Eviction object');
  const { dryRun, ...deletion } = eviction.deleteOptions ?? {};
  await context.admission.admit(admissionRequest({ operation: 'CREATE', target, object: eviction, options }), context);
  const asked = Array.isArray(dryRun) && dryRun.includes('All');
  const mark = (pod: Pod) => markEvicted(pod, timestamp(context.clock.wallMs()));
  await deleteObject(context, { ...target, subresource: undefined }, { ...deletion, dryRun: options.dryRun || asked }, mark);
  return success(target.resolved, target.name, { code: 201 });
}

/** In the same write that deletes it, so that whoever waits for its end learns why. */
function markEvicted(pod: Pod, now: string): void {
  const type = 'DisruptionTarget';
  const condition: PodCondition = {
    type,
    status: 'True',
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
    lastTransitionTime: now,
  };
  pod.status ??= {};
  pod.status.conditions = [...(pod.status.conditions ?? []).filter((each) => each.type !== type), condition];
}

function bodyOf(body: unknown, kind: string): object {
  if (!isRecord(body)) throw badRequest('the body of the request is not a JSON object');
  dropNulls(body);
  if (body.kind !== undefined && body.kind !== kind) {
    throw badRequest(`the kind in the data (${String(body.kind)}) does not match the expected kind (${kind})`);
  }
  return body;
}
