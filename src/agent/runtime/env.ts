/**
 * A container's environment: image, services, envFrom, env, with `$(NAME)` expanded from what stands before. Pure: the
 * objects referred to come in as functions.
 */
import { isEnvVarName } from '../../machinery/names.ts';
import type { ConfigMap, Container, Pod, Secret } from '../../machinery/types.ts';
import { AgentError } from '../errors.ts';
import { expandVariables } from './expand.ts';
import { type FieldValues, podField, resourceField } from './pod-fields.ts';

export interface EnvSources {
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
}

export interface EnvInput {
  pod: Pod;
  container: Container;
  /** `NAME=value` lines of the image. */
  imageEnv: readonly string[];
  hostname: string;
  sources: EnvSources;
  values: FieldValues;
  /** Service links and the like: before the pod's own, which override them. */
  links: ReadonlyMap<string, string>;
}

export interface Environment {
  /** In order of first appearance. */
  variables: Map<string, string>;
  /** Keys of envFrom sources that cannot be variable names: skipped, reported as an event. */
  skipped: string[];
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** AgentError 'ContainerConfig' for a missing object or key that is not optional. */
export function containerEnvironment(input: EnvInput): Environment {
  const variables = new Map<string, string>([
    ['PATH', defaultPath],
    ['HOSTNAME', input.hostname],
  ]);
  for (const line of input.imageEnv) {
    const at = line.indexOf('=');
    if (at > 0) variables.set(line.slice(0, at), line.slice(at + 1));
  }
  if (input.container.tty && !variables.has('TERM')) variables.set('TERM', 'xterm');
  for (const [name, value] of input.links) variables.set(name, value);
  // Expansion sees only what the pod says (and the links), not the image.
  const known = new Map(input.links);
  const skipped: string[] = [];
  for (const [name, value] of fromSources(input, skipped)) {
    known.set(name, value);
    variables.set(name, value);
  }
  for (const variable of input.container.env ?? []) {
    const value = variable.valueFrom ? valueFrom(input, variable.valueFrom) : expandVariables(variable.value ?? '', known);
    if (value === undefined) continue;
    known.set(variable.name, value);
    variables.set(variable.name, value);
  }
  return { variables, skipped };
}

function* fromSources(input: EnvInput, skipped: string[]): Generator<[string, string]> {
  for (const source of input.container.envFrom ?? []) {
    const prefix = source.prefix ?? '';
    let entries: [string, string][] = [];
    if (source.configMapRef) {
      const { name = '', optional } = source.configMapRef;
      const object = input.sources.configMap(name);
      if (!object && !optional) throw missing('configmap', name);
      entries = Object.entries(object?.data ?? {});
    } else if (source.secretRef) {
      const { name = '', optional } = source.secretRef;
      const object = input.sources.secret(name);
      if (!object && !optional) throw missing('secret', name);
      entries = Object.entries(object?.data ?? {}).map(([key, value]) => [key, decode(value)]);
    }
    for (const [key, value] of entries) {
      const name = prefix + key;
      if (isEnvVarName(name).length) skipped.push(name);
      else yield [name, value];
    }
  }
}

type ValueFrom = NonNullable<NonNullable<Container['env']>[number]['valueFrom']>;

function valueFrom(input: EnvInput, from: ValueFrom): string | undefined {
  const namespace = input.pod.metadata.namespace ?? '';
  if (from.configMapKeyRef) {
    const { name = '', key, optional } = from.configMapKeyRef;
    const object = input.sources.configMap(name);
    if (!object && !optional) throw missing('configmap', name);
    const value = object?.data?.[key];
    if (value === undefined && !optional) {
      throw new AgentError('ContainerConfig', `couldn't find key ${key} in ConfigMap ${namespace}/${name}`);
    }
    return value;
  }
  if (from.secretKeyRef) {
    const { name = '', key, optional } = from.secretKeyRef;
    const object = input.sources.secret(name);
    if (!object && !optional) throw missing('secret', name);
    const value = object?.data?.[key];
    if (value === undefined && !optional) {
      throw new AgentError('ContainerConfig', `couldn't find key ${key} in Secret ${namespace}/${name}`);
    }
    return value === undefined ? undefined : decode(value);
  }
  if (from.fieldRef) return podField(input.pod, from.fieldRef.fieldPath, input.values);
  if (from.resourceFieldRef) return resourceField(input.pod, input.container, from.resourceFieldRef, input.values);
  return undefined;
}

function missing(kind: 'configmap' | 'secret', name: string): AgentError {
  return new AgentError('ContainerConfig', `${kind} "${name}" not found`);
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}
