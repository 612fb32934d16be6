/** PUT to a namespace's `/finalize`: sets spec.finalizers and nothing else; with the last one a deleted namespace goes. */
import { notFound } from '../machinery/status.ts';
import type { Namespace } from '../machinery/types.ts';
import { groupResource } from './kind-table.ts';
import { checkIdentity, decodeInput } from './object-input.ts';
import { checkPreconditions } from './object-metadata.ts';
import { outcomeOf } from './outcome.ts';
import type { NamedTarget, Outcome, RegistryContext, WriteOptions } from './registry-types.ts';
import { objectOf } from './stored-objects.ts';
import { finished } from './update.ts';
import { writeLoop } from './write-loop.ts';

export async function finalizeNamespace(
  context: RegistryContext,
  target: NamedTarget,
  body: unknown,
  options: WriteOptions,
): Promise<Outcome> {
  const { kind } = target.resolved;
  const input = decodeInput(target.resolved, body, options) as Namespace;
  checkIdentity(target, input);
  const done = await writeLoop(context, target, options.dryRun, async (record) => {
    if (!record) throw notFound(groupResource(kind), target.name);
    const current = objectOf(record) as Namespace;
    checkPreconditions(current, kind, input.metadata);
    const next = structuredClone(current);
    next.spec = { ...next.spec, finalizers: input.spec?.finalizers ?? [] };
    return finished(context, kind, next) ?? { next };
  });
  return outcomeOf(target.resolved, done, 200);
}
