/** How the checks of pod security look at a pod, and how they say what they found. Pure. */
import type { Container, ObjectMeta, PodSpec } from '../../../machinery/types.ts';

export interface Finding {
  /** In short, for example `hostPort`. */
  reason: string;
  detail: string;
}

/** What is looked at: a pod, or the template of one. */
export interface Subject {
  metadata: Pick<ObjectMeta, 'annotations'>;
  spec: PodSpec;
}

export interface Check {
  /** Findings are told in the order of these. */
  id: string;
  /** Left out: since 1.0. */
  since?: number;
  /** The check of the freer level in whose place this one comes. */
  overrides?: string;
  /** `version`: N of the standards as 1.N had them; Infinity for the latest. */
  look(subject: Subject, version: number): Finding | undefined;
}

export type Security = NonNullable<Container['securityContext']>;

/** All containers: those that start the pod, those that are the pod, those for debugging. */
export function everyContainer({ initContainers, containers, ephemeralContainers }: PodSpec): Container[] {
  return [...(initContainers ?? []), ...(containers ?? []), ...((ephemeralContainers ?? []) as Container[])];
}

/** Names of the containers for which it is true. */
export function containersWhere(spec: PodSpec, is: (security: Security, container: Container) => boolean): string[] {
  return everyContainer(spec)
    .filter((container) => is(container.securityContext ?? {}, container))
    .map(({ name }) => name);
}

export const plural = (one: string, count: number): string => (count === 1 ? one : `${one}s`);

/** `"a", "b"`. */
export const quoted = (items: readonly string[]): string => items.map((item) => JSON.stringify(item)).join(', ');

/** Each once, in order. */
export const distinct = (items: readonly string[]): string[] => [...new Set(items)].sort();

/** `container "a"`, `containers "a", "b"`. */
export const theContainers = (names: readonly string[]): string => `${plural('container', names.length)} ${quoted(names)}`;

/** `pod and container "a"`. */
export function setters(pod: boolean, containers: readonly string[]): string {
  return [...(pod ? ['pod'] : []), ...(containers.length > 0 ? [theContainers(containers)] : [])].join(' and ');
}

export const isWindows = ({ os }: PodSpec): boolean => os?.name === 'windows';
/** Before that, pods for Windows had to say what means nothing there. */
export const windowsSince = 25;
