/** Admission: the plugins that ask webhooks, first those that may change an object, one after the other, then those that judge it. */
import { errorMessage } from '../../lib/errors.ts';
import { applyJsonPatch } from '../../machinery/json-patch.ts';
import { pruneUnknown, schema } from '../../machinery/schemas.ts';
import { internalError, StatusError } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission/types.ts';
import { sameJson } from '../kinds/field-errors.ts';
import { dropNulls } from '../object-input.ts';
import type { RegistryContext } from '../registry-types.ts';
import { fromStorage, toStorage } from '../stored-objects.ts';
import { hasOwnForm } from './admission-review.ts';
import { noteMutation, notePatch } from './audit-notes.ts';
import type { HookCaller } from './hook-caller.ts';
import type { HookIndex } from './hook-index.ts';
import { mayConcern } from './rules.ts';
import type { Hook, ReviewResponse } from './types.ts';

interface Parts {
  index: HookIndex;
  caller: HookCaller;
}

type KindVersion = NonNullable<ReturnType<HookCaller['wants']>>;

const needsRecent =
  (index: HookIndex): AdmissionPlugin['needsRecent'] =>
  ({ resolved }) =>
    index.hooks.some(({ webhook }) => mayConcern(webhook, resolved.kind));

export function validatingWebhooks({ index, caller }: Parts): AdmissionPlugin {
  return {
    name: 'ValidatingAdmissionWebhook',
    handles: () => index.hooks.length > 0,
    needsRecent: needsRecent(index),
    /** All at once; of several refusals the caller is told that of the first hook in order. */
    async validate(request, context) {
      const wanted = index.hooks.flatMap((hook) => {
        const version = caller.wants(hook, request, context);
        return version ? [{ hook, version }] : [];
      });
      const asked = wanted.map(({ hook, version }, place) => caller.ask(hook, request, version, { round: 0, index: place }));
      const refused = (await Promise.allSettled(asked)).find((result) => result.status === 'rejected');
      if (refused) throw refused.reason;
    },
  };
}

/** What is remembered of the first round, until the second. */
interface FirstRound {
  /** Hooks with reinvocationPolicy IfNeeded that were asked, and those of them that others have changed something behind. */
  invoked: Set<string>;
  again: Set<string>;
  /** As the last hook left it. */
  after: KubeObject;
}

export function mutatingWebhooks({ index, caller }: Parts): AdmissionPlugin {
  const rounds = new WeakMap<AdmissionRequest, FirstRound>();
  return {
    name: 'MutatingAdmissionWebhook',
    handles: () => index.hooks.length > 0,
    needsRecent: needsRecent(index),
    async mutate(request, context) {
      const first = rounds.get(request);
      if (first && request.object && !sameJson(request.object, first.after)) {
        for (const id of first.invoked) first.again.add(id);
      }
      const hooks = [...index.hooks.entries()].filter(([, { id }]) => !first || first.again.has(id));
      const { invoked, again, changed } = await askInOrder(caller, { hooks, round: first ? 1 : 0, request, context });
      if (first || !request.object) return;
      rounds.set(request, { invoked, again, after: structuredClone(request.object) });
      // What others added to an object is seen by the plugins that add, too.
      if (changed) request.again = true;
    },
  };
}

interface Round {
  /** With their places among all hooks. */
  hooks: readonly [number, Hook][];
  round: 0 | 1;
  request: AdmissionRequest;
  context: RegistryContext;
}

async function askInOrder(
  caller: HookCaller,
  { hooks, round, request, context }: Round,
): Promise<{ invoked: Set<string>; again: Set<string>; changed: boolean }> {
  const invoked = new Set<string>();
  const again = new Set<string>();
  let changed = false;
  for (const [index, hook] of hooks) {
    const version = caller.wants(hook, request, context);
    if (!version) continue;
    const at = { round, index };
    let mutated = false;
    try {
      const response = await caller.ask(hook, request, version, at);
      mutated = response?.patch !== undefined && response.patch !== '' && applyAnswer(hook, request, version, response);
      if (response?.patch) notePatch(request.notes, at, hook, response);
    } finally {
      noteMutation(request.notes, at, hook, mutated);
    }
    if (mutated) {
      changed = true;
      for (const id of invoked) again.add(id);
    }
    if (hook.webhook.reinvocationPolicy === 'IfNeeded') invoked.add(hook.id);
  }
  return { invoked, again, changed };
}

/** Puts the patched object in the place of the one that was shown. False when it is the same. StatusError 500 when that cannot be. */
function applyAnswer(
  { webhook }: Hook,
  request: AdmissionRequest,
  version: KindVersion,
  { patch = '', patchType }: ReviewResponse,
): boolean {
  const { kind } = request.target.resolved;
  const refuse = (why: string) => internalError(`admission webhook ${JSON.stringify(webhook.name)} ${why}`);
  if (patchType !== 'JSONPatch') throw refuse(`answered with an unsupported patch type ${JSON.stringify(patchType)}`);
  if (!request.object) throw refuse('attempted to modify the object, which is not supported for this operation');
  const own = hasOwnForm(request);
  const resolved = { kind, version };
  const before = own ? fromStorage(resolved, request.object) : request.object;
  let patched: KubeObject;
  try {
    patched = applyJsonPatch(structuredClone(before), JSON.parse(Buffer.from(patch, 'base64').toString('utf8'))) as KubeObject;
  } catch (error) {
    throw refuse(`answered with a patch that does not apply: ${whyNot(error)}`);
  }
  dropNulls(patched);
  if (own && (patched.apiVersion !== before.apiVersion || patched.kind !== before.kind)) {
    throw refuse('changed the type of the object');
  }
  if (own && schema(version.schema)) pruneUnknown(patched, version.schema);
  const next = own ? toStorage(resolved, patched) : patched;
  if (own) kind.setDefaults(next);
  const same = sameJson(next, request.object);
  request.object = next;
  return !same;
}

/** The cause of a refused patch says more than its message. */
function whyNot(error: unknown): string {
  return (error instanceof StatusError && error.status.details?.causes?.[0]?.message) || errorMessage(error);
}
