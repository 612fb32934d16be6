/**
 * Conversion of custom resources by a webhook (ConversionReview v1 and v1beta1): objects of one group go out, the same objects
 * in another version come back. What comes back is believed only as far as a conversion may go.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Random } from '../../lib/random.ts';
import { internalError, type Status } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';
import { ApiError } from '../errors.ts';
import { isRecord } from '../object-input.ts';
import { newUid } from '../object-metadata.ts';
import type { HookClient } from './hook-client.ts';
import type { ClientConfig } from './types.ts';

const group = 'apiextensions.k8s.io';
const spokenVersions = ['v1', 'v1beta1'];
const timeoutSeconds = 30;

export interface ConversionHook {
  /** Of the CustomResourceDefinition, for messages. */
  crdName: string;
  clientConfig: ClientConfig;
  /** `conversionReviewVersions`; the first that we speak is used. */
  reviewVersions: readonly string[];
}

/**
 * Gives the objects in `apiVersion` and in the same order. Those that have it already are not sent. The given objects are not
 * changed. Rejects with StatusError 500 when the webhook fails, refuses, or gives something else back.
 */
export type WebhookConversion = (
  hook: ConversionHook,
  objects: readonly KubeObject[],
  apiVersion: string,
  signal?: AbortSignal,
) => Promise<KubeObject[]>;

interface ConversionResponse {
  uid?: string;
  convertedObjects?: KubeObject[];
  result?: Partial<Status>;
}

export function createConversion({ client, random }: { client: Pick<HookClient, 'post'>; random: Random }): WebhookConversion {
  return async (hook, objects, apiVersion, signal) => {
    const sent = objects.filter((object) => object.apiVersion !== apiVersion);
    const [first] = sent;
    if (!first) return [...objects];
    const failed = (why: string) =>
      internalError(`conversion webhook for ${first.apiVersion}, Kind=${first.kind} failed: ${why}`);
    const version = hook.reviewVersions.find((name) => spokenVersions.includes(name));
    if (!version) {
      const wanted = spokenVersions.join(', ');
      throw failed(`conversionReviewVersions of ${hook.crdName} has none of the versions that are known (${wanted})`);
    }
    const uid = newUid(random);
    const request = { uid, desiredAPIVersion: apiVersion, objects: sent };
    const question = { kind: 'ConversionReview', apiVersion: `${group}/${version}`, request };
    let converted: KubeObject[];
    try {
      const answer = await client.post(hook.clientConfig, question, { timeoutSeconds, signal });
      converted = readConversion(answer, { version, uid });
      if (converted.length !== sent.length) {
        throw refused(`webhook returned ${converted.length} objects, expected ${sent.length}`);
      }
      for (const [index, object] of converted.entries()) check(sent[index] as KubeObject, object, { index, apiVersion });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      throw failed(error.message);
    }
    const answers = converted.values();
    let index = 0;
    return objects.map((object) => {
      if (object.apiVersion === apiVersion) return object;
      return withMetadata(sent[index++] as KubeObject, answers.next().value as KubeObject);
    });
  };
}

const refused = (why: string) => new ApiError('HookFailed', `invalid converted object: ${why}`);

function readConversion(answer: unknown, { version, uid }: { version: string; uid: string }): KubeObject[] {
  const refuse = (why: string) => new ApiError('HookFailed', `received invalid webhook response: ${why}`);
  if (!isRecord(answer) || !isRecord(answer.response)) throw refuse('no response provided');
  const got = `${String(answer.apiVersion ?? '')}, Kind=${String(answer.kind ?? '')}`;
  const wanted = `${group}/${version}, Kind=ConversionReview`;
  if (got !== wanted) throw refuse(`expected webhook response of ${wanted}, got ${got}`);
  const response = answer.response as ConversionResponse;
  if (version === 'v1' && response.uid !== uid) {
    throw refuse(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`);
  }
  const { status, message } = response.result ?? {};
  if (status === undefined) throw refuse('response.result.status was absent');
  if (status !== 'Success') throw new ApiError('HookFailed', message || `response.result.status was '${status}', not 'Success'`);
  const { convertedObjects = [] } = response;
  if (!Array.isArray(convertedObjects)) throw refuse('response.convertedObjects is not a list');
  return convertedObjects;
}

/** A webhook converts; it neither renames nor replaces, nor makes an object of another kind. */
function check(original: KubeObject, converted: unknown, { index, apiVersion }: { index: number; apiVersion: string }): void {
  const at = `item at index ${index}`;
  if (!isRecord(converted) || !isRecord(converted.metadata)) throw refused(`${at} has no metadata`);
  const object = converted as unknown as KubeObject;
  if (object.apiVersion !== apiVersion) {
    throw refused(`${at} has the apiVersion ${JSON.stringify(object.apiVersion ?? '')} instead of ${JSON.stringify(apiVersion)}`);
  }
  if (object.kind !== original.kind) {
    throw refused(`${at} has the kind ${JSON.stringify(object.kind ?? '')} instead of ${JSON.stringify(original.kind)}`);
  }
  for (const field of ['name', 'namespace', 'uid'] as const) {
    const [was, is] = [original.metadata[field] ?? '', object.metadata[field] ?? ''];
    if (was !== is) {
      throw refused(`${at}: metadata.${field} changed: expected ${JSON.stringify(was)}, got ${JSON.stringify(is)}`);
    }
  }
  for (const field of ['labels', 'annotations'] as const) {
    const member: unknown = object.metadata[field];
    if (member == null) continue;
    const texts = isRecord(member) && Object.values(member).every((value) => typeof value === 'string');
    if (!texts) throw refused(`${at}: metadata.${field} is not a map of texts`);
  }
}

/** Of the metadata only labels and annotations are the webhook's to change; the rest is as it was. */
function withMetadata(original: KubeObject, converted: KubeObject): KubeObject {
  const { labels, annotations } = converted.metadata;
  const metadata = { ...original.metadata };
  for (const [field, value] of Object.entries({ labels, annotations }) as ['labels' | 'annotations', Record<string, string>][]) {
    if (value && Object.keys(value).length > 0) metadata[field] = value;
    else delete metadata[field];
  }
  return isDeepStrictEqual(metadata, converted.metadata) ? converted : { ...converted, metadata };
}
