/**
 * From client-side to server-side apply and back: kubectl's annotation with the last applied configuration tells what its
 * user owned before, and is kept up to date while it exists.
 */

import { compare, fieldsOf } from './compare.ts';
import { difference, type FieldSet, isEmpty, union } from './field-set.ts';
import { ownable, type WriteFacts } from './ownership.ts';
import { isMap, type Members } from './values.ts';

/** The only manager for which the annotation counts. */
export const kubectlManager = 'kubectl';
const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
/** All annotations of an object together may not be longer. */
const annotationBytesMax = 256 * 1024;

function lastApplied(object: object): string | undefined {
  const { metadata } = object as { metadata?: { annotations?: Members } };
  const text = metadata?.annotations?.[annotation];
  return typeof text === 'string' ? text : undefined;
}

/** True when all these fields came from the annotation's configuration and still are as it says. */
export function cameFromLastApplied(live: object, fields: FieldSet, { form, inScope }: WriteFacts): boolean {
  const text = lastApplied(live);
  if (text === undefined) return false;
  const config = parsed(text);
  if (!config) return false;
  const said = ownable(config, inScope);
  const { added, modified, removed } = compare(said, ownable(live, inScope), form.shape);
  const unchanged = difference(fieldsOf(said, form.shape), union(union(added, modified), removed));
  return isEmpty(difference(fields, unchanged));
}

function parsed(text: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isMap(value) ? value : undefined;
  } catch {
    // Anyone may write annotations: one that is not JSON tells nothing.
    return undefined;
  }
}

/** The object with the annotation brought up to date, when it has one. */
export function withLastApplied<T extends object>(object: T, config: object): T {
  if (lastApplied(object) === undefined) return object;
  const { metadata } = object as unknown as { metadata: { annotations: Members } };
  const { annotations, ...rest } = (config as { metadata: Members }).metadata;
  const { [annotation]: _, ...kept } = isMap(annotations) ? annotations : {};
  const said = { ...config, metadata: annotations === undefined ? rest : { ...rest, annotations: kept } };
  const text = `${JSON.stringify(ordered(said))}\n`;
  const value = Buffer.byteLength(text) > annotationBytesMax / 2 ? '' : text;
  return { ...object, metadata: { ...metadata, annotations: { ...metadata.annotations, [annotation]: value } } };
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (!isMap(value)) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, ordered(value[name])]));
}
