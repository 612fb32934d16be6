/** Pods with user ids of their own (`hostUsers: false`): whether this machine can have them, and what their containers need. */
import type { Pod } from '../../machinery/types.ts';
import { type IdMapping, whyNoUserNamespaces } from '../host/user-namespaces.ts';
import type { Executor } from '../types.ts';
import type { Refusal } from './admission.ts';
import type { PodPaths, PodRecord } from './record.ts';

export function hasOwnUsers({ spec }: Pod): boolean {
  return spec?.hostUsers === false;
}

/** Undefined for a pod with the machine's user ids, and before the sandbox. */
export function mappingOf(
  pod: Pod,
  record: Pick<PodRecord, 'firstUserId'>,
  paths: Pick<PodPaths, 'userns'>,
): IdMapping | undefined {
  if (!hasOwnUsers(pod) || record.firstUserId === undefined) return undefined;
  return { namespace: paths.userns, firstId: record.firstUserId };
}

/** Tries once what such a pod needs, and again while it fails: the machine may be mended. */
export class UserNamespaceCheck {
  readonly #executor: Executor;
  readonly #folder: string;
  #works = false;

  /** `folder`: on the disk that holds images and volumes. */
  constructor(executor: Executor, folder: string) {
    this.#executor = executor;
    this.#folder = folder;
  }

  /** Why the pod cannot run here; undefined: it can, or does not ask. */
  async refusal(pod: Pod): Promise<Refusal | undefined> {
    if (!hasOwnUsers(pod) || this.#works) return undefined;
    const why = await whyNoUserNamespaces(this.#executor, this.#folder);
    this.#works = why === undefined;
    if (this.#works) return undefined;
    const message = `Pod was rejected: spec.hostUsers=false is not supported on this machine: ${why}`;
    return { reason: 'UnsupportedOption', message };
  }
}
