/** POST to a collection: a new object. */
import { copyJson } from '../machinery/copy.ts';
import { alreadyExists, type FieldError, isReason } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import { admissionRequest, withAdmitted } from './admission/request.ts';
import { demandAccess } from './authorization.ts';
import { admitByDefinition } from './custom-resources/definition-admission.ts';
import { badName, invalidObject, uniqueErrors } from './field-errors.ts';
import { setManaged, type Track, updateTracker } from './field-tracking.ts';
import { groupResource } from './kind-table.ts';
import { admitIntoNamespace } from './namespace-lifecycle.ts';
import { checkIdentity, decodeInput } from './object-input.ts';
import { generateName, namesVersion, newUid, stampNew, versionOfNew } from './object-metadata.ts';
import { outcomeOf } from './outcome.ts';
import { admitRoleWrite } from './rbac/escalation.ts';
import type { NamedTarget, Outcome, RegistryContext, Target, WriteOptions } from './registry-types.ts';
import { answerReview, isReview } from './reviews.ts';
import { isServiceKind } from './service-claims.ts';
import { type Plan, writeLoop } from './write-loop.ts';

const generatedNameTries = 8;

/** Takes over `body`. */
export async function createObject(
  context: RegistryContext,
  target: Target,
  body: unknown,
  options: WriteOptions,
): Promise<Outcome> {
  if (isReview(target)) return answerReview(context, target, body, options);
  const input = decodeInput(target.resolved, body, options);
  checkIdentity(target, input);
  const base = input.metadata.name ? undefined : input.metadata.generateName;
  for (let count = 1; ; count++) {
    if (base) input.metadata.name = generateName(base, context.random);
    try {
      return await createNamed(context, target, input, options);
    } catch (error) {
      if (!base || count === generatedNameTries || !isReason(error, 'AlreadyExists')) throw error;
    }
  }
}

async function createNamed(context: RegistryContext, target: Target, input: KubeObject, options: WriteOptions): Promise<Outcome> {
  const { name = '' } = input.metadata;
  const { kind } = target.resolved;
  const nameError = badName(name);
  if (nameError) throw invalidObject(kind, name, [nameError]);
  const named: NamedTarget = { ...target, name };
  const uid = newUid(context.random);
  const track = updateTracker(context, named, options, 'CreateOptions');
  // Nothing is stored by a dry run.
  const unfit = namesVersion(input) && !options.dryRun;
  const done = await writeLoop(context, named, options.dryRun, async (record) => {
    if (record && !unfit) throw alreadyExists(groupResource(kind), name);
    const plan = await planCreation(context, named, copyJson(input), { uid, track, options });
    if (unfit) throw versionOfNew();
    return plan;
  });
  return outcomeOf(target.resolved, done, 201);
}

/** Whoever makes an object by PUT or apply must be allowed to create it, too. StatusError 403 when they are not. */
export function demandCreation({ access }: RegistryContext, { resolved, namespace, name, user }: NamedTarget): void {
  const { group, resource } = groupResource(resolved.kind);
  demandAccess(access.authorizer, { user, verb: 'create', group, resource, namespace, name });
}

export interface Creation {
  uid: string;
  track: Track;
  options: WriteOptions;
}

/** The write that makes `object` (which is changed) the first state of its name. */
export async function planCreation(
  context: RegistryContext,
  target: NamedTarget,
  object: KubeObject,
  { uid, track, options }: Creation,
): Promise<Plan> {
  const { kind } = target.resolved;
  const wallMs = context.clock.wallMs();
  const conditions = [
    ...admitIntoNamespace(context, kind, target.namespace, target.name),
    ...admitByDefinition(context, kind, target.name),
  ];
  const request = admissionRequest({ operation: 'CREATE', target, object, options });
  const stamp = (created: KubeObject) => {
    stampNew(created, kind, { uid, wallMs });
    kind.setDefaults(created);
  };
  stamp(object);
  const next = await context.admission.mutate(request, context, stamp);
  setManaged(next, track(undefined, next, undefined));
  kind.prepare?.(next, undefined, { nowMs: wallMs, creating: true, user: target.user });
  admitRoleWrite(context.access, { user: target.user, kind, next, previous: undefined });
  const claims = isServiceKind(kind) ? context.claims.claim(next, undefined) : undefined;
  const errors: FieldError[] = uniqueErrors(kind.validate(next), kind.validateCreate?.(next) ?? []);
  if (errors.length > 0) throw invalidObject(kind, target.name, errors);
  await context.admission.validate(request, context);
  const plan = { next, conditions: [...conditions, ...(claims?.conditions ?? [])], operations: claims?.operations ?? [] };
  return withAdmitted(plan, request);
}
