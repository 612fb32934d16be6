/** Asks one webhook about one write, and says what its silence or refusal means. */
import type { Clock } from '../../lib/clock.ts';
import { errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Random } from '../../lib/random.ts';
import type { KindVersion } from '../../machinery/kind.ts';
import { badRequest, failure, internalError } from '../../machinery/status.ts';
import type { AdmissionRequest } from '../admission/types.ts';
import type { MatchConditions } from '../admission-policy/match-conditions.ts';
import { ApiError } from '../errors.ts';
import { isNamespaceKind } from '../namespace-lifecycle.ts';
import { newUid } from '../object-metadata.ts';
import type { RegistryContext } from '../registry-types.ts';
import { namespaceKey, objectOf } from '../stored-objects.ts';
import { deniedBy, readReview, reviewBody, reviewRequest, reviewVersion } from './admission-review.ts';
import { type HookPlace, noteFailedOpen } from './audit-notes.ts';
import type { HookClient } from './hook-client.ts';
import { isExempt, matchingVersion, namespaceMatches, objectMatches } from './rules.ts';
import type { Hook, Phase, ReviewResponse } from './types.ts';

const defaultSeconds = 10;
/** What a dry run may ask: a write that is only tried must have no effects elsewhere. */
const dryRunEffects = new Set(['None', 'NoneOnDryRun']);

export interface HookCallerOptions {
  client: HookClient;
  conditions: MatchConditions;
  random: Random;
  clock: Clock;
  logger: Logger;
}

export class HookCaller {
  readonly #options: HookCallerOptions;
  readonly #phase: Phase;

  constructor(phase: Phase, options: HookCallerOptions) {
    this.#options = options;
    this.#phase = phase;
  }

  /** The version in which the webhook wants to see the object; undefined when it is not to be asked. StatusError when that cannot be said. */
  wants({ webhook }: Hook, request: AdmissionRequest, context: RegistryContext): KindVersion | undefined {
    const { operation, target, object, oldObject } = request;
    const { kind, version } = target.resolved;
    if (isExempt(kind)) return undefined;
    const { namespace, subresource } = target;
    const found = matchingVersion(webhook, { operation, kind, version, subresource, namespace });
    if (!found || !namespaceMatchesHook(webhook.namespaceSelector, request, context)) return undefined;
    if (!objectMatches(webhook.objectSelector, [object, oldObject])) return undefined;
    return this.#conditionsHold(webhook, request, found) ? found : undefined;
  }

  /**
   * Its consent, or undefined when it could not be asked and that is to be ignored. StatusError when it refuses, or cannot be
   * asked and that counts as a refusal.
   */
  async ask(hook: Hook, request: AdmissionRequest, version: KindVersion, at: HookPlace): Promise<ReviewResponse | undefined> {
    const { webhook } = hook;
    const { name, sideEffects = '' } = webhook;
    if (request.dryRun && !dryRunEffects.has(sideEffects)) {
      throw badRequest(`admission webhook ${JSON.stringify(name)} does not support dry run`);
    }
    let response: ReviewResponse;
    try {
      response = await this.#review(hook, request, version);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const failed = `failed calling webhook ${JSON.stringify(name)}: ${error.message}`;
      if (webhook.failurePolicy !== 'Ignore') throw internalError(failed);
      noteFailedOpen(request.notes, this.#phase, at, name);
      this.#options.logger.warn({ webhook: name, configuration: hook.configuration }, `${failed}; ignored as its policy says`);
      return undefined;
    }
    for (const [key, value] of Object.entries(response.auditAnnotations ?? {}))
      request.notes.add(`${name}/${key}`, String(value));
    for (const text of response.warnings ?? []) request.warnings.push(text);
    if (!response.allowed) throw deniedBy(name, response.status);
    return response;
  }

  async #review(hook: Hook, request: AdmissionRequest, shown: KindVersion): Promise<ReviewResponse> {
    const { client, random } = this.#options;
    const uid = newUid(random);
    const version = reviewVersion(hook);
    const { clientConfig, timeoutSeconds = defaultSeconds } = hook.webhook;
    const question = reviewBody(version, reviewRequest(request, shown, uid));
    let answer: unknown;
    try {
      answer = await client.post(clientConfig, question, { timeoutSeconds, signal: request.target.signal });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      throw new ApiError('HookFailed', `failed to call webhook: ${errorMessage(error)}`, {}, error);
    }
    return readReview(answer, { version, uid, phase: this.#phase });
  }

  #conditionsHold(webhook: Hook['webhook'], request: AdmissionRequest, version: KindVersion): boolean {
    const list = webhook.matchConditions ?? [];
    if (list.length === 0) return true;
    const { conditions, logger } = this.#options;
    try {
      return conditions.hold(list, request, version);
    } catch (error) {
      const why = `failed to evaluate the match conditions of webhook ${JSON.stringify(webhook.name)}: ${errorMessage(error)}`;
      if (webhook.failurePolicy !== 'Ignore') throw failure(403, 'Forbidden', why);
      logger.warn({ webhook: webhook.name }, `${why}; the webhook is not asked, as its policy says`);
      return false;
    }
  }
}

/** Objects outside of namespaces are not chosen by them, except namespaces themselves. */
function namespaceMatchesHook(selector: unknown, request: AdmissionRequest, { store }: RegistryContext): boolean {
  const { target, object, oldObject } = request;
  if (isNamespaceKind(target.resolved.kind)) return namespaceMatches(selector, (object ?? oldObject)?.metadata.labels);
  if (target.namespace === undefined) return true;
  const record = store.get(namespaceKey(target.namespace));
  return namespaceMatches(selector, record && objectOf(record).metadata.labels);
}
