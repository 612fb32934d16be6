/** What config maps and secrets share: their keys, their size, and that one may be made immutable. */

import { isConfigMapKey } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import { badRequest } from '../../machinery/status.ts';
import { invalidWhen, notPermitted, sameJson, tooLong } from './field-errors.ts';

export const dataBytesMax = 1024 * 1024;

type Data = Record<string, string>;

export function validateKeys(data: Data | undefined, path: string): FieldError[] {
  return Object.keys(data ?? {}).flatMap((key) => invalidWhen(`${path}[${key}]`, key, isConfigMapKey));
}

/** `bytes` is the size of all values together. */
export function validateSize(bytes: number, path: string): FieldError[] {
  return bytes > dataBytesMax ? [tooLong(path, dataBytesMax)] : [];
}

/** Size of the decoded value. */
export function base64Bytes(text: string): number {
  return Math.floor((text.length * 3) / 4) - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);
}

const lineBreaks = /[\r\n]/g;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Takes line breaks out of the values, in place. StatusError 400, in the decoder's words, when one is not base64. */
export function normalizeBase64(data: Data | undefined, kind: string): void {
  for (const [key, value] of Object.entries(data ?? {})) {
    const text = value.replace(lineBreaks, '');
    if (!base64.test(text)) {
      const message = `illegal base64 data at input byte ${illegalByte(text)}`;
      throw badRequest(`${kind} in version "v1" cannot be handled as a ${kind}: ${message}`);
    }
    (data as Data)[key] = text;
  }
}

/** Where the first group of four that is no base64 breaks off. */
function illegalByte(text: string): number {
  const match = /^[A-Za-z0-9+/]*/.exec(text);
  const good = match?.[0].length ?? 0;
  return good === text.length ? good - (good % 4) : good;
}

interface Immutable {
  immutable?: boolean;
  data?: Data;
  binaryData?: Data;
}

/** An immutable object stays immutable, with the data it has. */
export function validateImmutableData(next: Immutable, previous: Immutable): FieldError[] {
  if (!previous.immutable) return [];
  const errors: FieldError[] = [];
  if (!next.immutable) errors.push(notPermitted('immutable', 'field is immutable when `immutable` is set'));
  for (const field of ['data', 'binaryData'] as const) {
    if (!sameJson(next[field] ?? {}, previous[field] ?? {})) {
      errors.push(notPermitted(field, 'field is immutable when `immutable` is set'));
    }
  }
  return errors;
}
