/**
 * The answers to `get componentstatuses`. Here the parts of the control plane are one: controllers and scheduler run in the
 * peer that leads, the store is what a quorum of peers holds. Whether this peer gets a confirmed read says it of all of them.
 */
import { errorMessage } from '../lib/errors.ts';
import type { KindDefinition } from '../machinery/kind.ts';
import type { ComponentStatus } from '../machinery/kind-types.ts';
import { notFound } from '../machinery/status.ts';
import { groupResource } from './kind-table.ts';
import type { NamedTarget, RegistryContext, Target } from './registry-types.ts';
import { selectionOf } from './selection.ts';

const waitMs = 2_000;
const names = ['controller-manager', 'etcd-0', 'scheduler'];

export function isComponentStatus({ group, plural }: KindDefinition): boolean {
  return group === '' && plural === 'componentstatuses';
}

/** StatusError 404 for a name that is none of the components'. */
export async function componentStatus(context: RegistryContext, target: NamedTarget): Promise<ComponentStatus> {
  const found = (await statuses(context, target)).find(({ metadata }) => metadata.name === target.name);
  if (!found) throw notFound(groupResource(target.resolved.kind), target.name);
  return found;
}

export async function componentStatuses(
  context: RegistryContext,
  target: Target,
  request: { labelSelector?: string; fieldSelector?: string },
): Promise<ComponentStatus[]> {
  const selection = selectionOf(target, request);
  return (await statuses(context, target)).filter((status) => selection.matches(status));
}

async function statuses({ store, clock }: RegistryContext, { signal }: Target): Promise<ComponentStatus[]> {
  const late = new AbortController();
  const timer = clock.setTimer(waitMs, () => late.abort(new Error(`no quorum has confirmed a read within ${waitMs / 1000} s`)));
  let trouble: string | undefined;
  try {
    await store.barrier(signal ? AbortSignal.any([late.signal, signal]) : late.signal);
  } catch (error) {
    signal?.throwIfAborted();
    trouble = errorMessage(error);
  } finally {
    timer.cancel();
  }
  const condition = trouble === undefined ? { status: 'True', message: 'ok' } : { status: 'False', message: trouble };
  return names.map((name) => ({
    apiVersion: 'v1',
    kind: 'ComponentStatus',
    metadata: { name },
    conditions: [{ type: 'Healthy', ...condition }],
  }));
}
