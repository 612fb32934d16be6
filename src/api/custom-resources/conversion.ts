/**
 * Conversion of custom resources between versions by a webhook. Whoever can call webhooks brings a ConversionClient; what it gives back
 * is checked here, since a webhook is somebody else's program.
 */
import type { CustomResourceDefinition } from '../../machinery/custom/definition.ts';
import { sameJson } from '../../machinery/custom/json-schema.ts';
import { internalError } from '../../machinery/status.ts';
import type { KubeObject, ObjectMeta } from '../../machinery/types.ts';
import type { WebhookConversion } from '../webhooks/conversion.ts';

export interface ConversionClient {
  /**
   * Asks the webhook of `definition` (spec.conversion.webhook) to convert `objects`, all of the definition's kind and of one version, to
   * `apiVersion`. Gives them in the same order. Rejects with a StatusError or the signal's reason; a time limit is the client's business.
   */
  convert(
    definition: CustomResourceDefinition,
    objects: readonly KubeObject[],
    apiVersion: string,
    signal?: AbortSignal,
  ): Promise<KubeObject[]>;
}

/** Has the webhook of a definition convert, as the definition says how it is reached. */
export function webhookConversion(convert: WebhookConversion): ConversionClient {
  return {
    convert({ metadata, spec }, objects, apiVersion, signal) {
      const { clientConfig = {}, conversionReviewVersions: reviewVersions = [] } = spec.conversion?.webhook ?? {};
      return convert({ crdName: metadata.name, clientConfig, reviewVersions }, objects, apiVersion, signal);
    },
  };
}

/** Converts through the client. Rejects with StatusError 500 when there is none, or the answer is not what was asked for. */
export function convertThrough(definition: CustomResourceDefinition, client: ConversionClient | undefined) {
  return async (objects: KubeObject[], apiVersion: string, signal?: AbortSignal): Promise<KubeObject[]> => {
    const [first] = objects;
    if (!first) return [];
    const { kind } = definition.spec.names;
    const failed = (why: string) => internalError(`conversion webhook for ${first.apiVersion}, Kind=${kind} failed: ${why}`);
    if (!client) throw failed('this server cannot call conversion webhooks');
    const converted = await client.convert(definition, objects, apiVersion, signal);
    if (converted.length !== objects.length) {
      throw failed(`expected ${objects.length} converted objects, got ${converted.length}`);
    }
    return converted.map((object, index) => {
      const complaint = complaintAbout(object, objects[index] as KubeObject, apiVersion);
      if (complaint) throw failed(`invalid converted object at index ${index}: ${complaint}`);
      return { ...object, metadata: keptMetadata(object.metadata, (objects[index] as KubeObject).metadata) };
    });
  };
}

function complaintAbout(object: KubeObject, original: KubeObject, apiVersion: string): string | undefined {
  if (object.apiVersion !== apiVersion) return `expected apiVersion ${apiVersion}, got ${String(object.apiVersion)}`;
  if (object.kind !== original.kind) return `expected kind ${original.kind}, got ${String(object.kind)}`;
  const { metadata } = object as { metadata?: ObjectMeta };
  for (const name of ['name', 'namespace', 'uid'] as const) {
    if (metadata?.[name] !== original.metadata[name]) return `metadata.${name} was changed`;
  }
  return undefined;
}

/** A conversion may change labels and annotations, and nothing else of the metadata. */
function keptMetadata(metadata: ObjectMeta, original: ObjectMeta): ObjectMeta {
  const { labels, annotations } = metadata;
  if (sameJson(labels, original.labels) && sameJson(annotations, original.annotations)) return original;
  const { labels: _labels, annotations: _annotations, ...kept } = original;
  return { ...kept, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) };
}
