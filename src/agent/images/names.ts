/** What users' words for an image stand for, and what they may have meant. Pure. */
import { nearest } from '../../lib/nearest.ts';
import { isAgentError } from '../errors.ts';
import type { ImageRecord, ImageRecords } from './image-records.ts';
import { formatReference, imageIdOf, parseReference } from './reference.ts';

/**
 * The normalized name (an id stays one) and the image it leads to, if there is one. AgentError 'InvalidImageName', or with `strict`
 * false a name that leads nowhere.
 */
export function resolveName(
  records: Pick<ImageRecords, 'get' | 'resolve'>,
  reference: string,
  strict = true,
): { name: string; record: ImageRecord | undefined } {
  const id = imageIdOf(reference);
  if (id !== undefined) return { name: id, record: records.get(id) };
  let name: string;
  try {
    name = formatReference(parseReference(reference));
  } catch (error) {
    if (strict || !isAgentError(error, 'InvalidImageName')) throw error;
    return { name: reference, record: undefined };
  }
  const found = records.resolve(name);
  return { name, record: found === undefined ? undefined : records.get(found) };
}

/** As short as it can be written: nginx:1.25, nginx for docker.io/library/nginx:latest. */
export function familiarName(name: string): string {
  return name.replace(/^docker\.io\/(library\/)?/, '').replace(/:latest$/, '');
}

/** The name nearest to what was written: another tag of the same repository, or a slip of the fingers. */
export function suggestName(written: string, names: readonly string[]): string | undefined {
  const wanted = familiarName(written);
  const familiar = names.map(familiarName);
  const repository = (name: string) => name.replace(/[:@][^/]*$/, '');
  const sameRepository = familiar.filter((name) => repository(name) === repository(wanted));
  if (sameRepository.length > 0) return nearest(wanted, sameRepository) ?? sameRepository[0];
  const close = nearest(wanted, familiar);
  if (close !== undefined) return close;
  const closeRepository = nearest(repository(wanted), familiar.map(repository));
  return familiar.find((name) => repository(name) === closeRepository);
}
