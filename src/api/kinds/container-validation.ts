/** Containers and init containers of a pod. Source: API reference, "Container v1 core"; wording as kubectl users know it. */
import { isDns1123Label, isPortName } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { Container, PodSpec } from '../../machinery/types.ts';
import { validateEnv, validateEnvFrom } from './env-validation.ts';
import {
  checkName,
  checkOneOf,
  checkPortNumber,
  duplicate,
  invalidValue,
  invalidWhen,
  missingReference,
  notPermitted,
  required,
  unsupported,
} from './field-errors.ts';
import { forbidProbes, validateLifecycle, validateProbes } from './probe-validation.ts';
import { validateResources } from './resource-validation.ts';
import { validateDescendingPath } from './volume-validation.ts';

/** What the containers stand in. */
interface PodContext {
  volumeNames: ReadonlySet<string>;
  hostNetwork: boolean;
  hostUsers: boolean;
  graceSeconds: number;
}

type Mount = NonNullable<Container['volumeMounts']>[number];
type Port = NonNullable<Container['ports']>[number];

const pullPolicies = ['Always', 'IfNotPresent', 'Never'];
const messagePolicies = ['FallbackToLogsOnError', 'File'];
const protocols = ['TCP', 'UDP', 'SCTP'];
const propagations = ['Bidirectional', 'HostToContainer', 'None'];
const procMounts = ['Default', 'Unmasked'];
const recursiveModes = ['Disabled', 'Enabled', 'IfPossible'];
const userIdMax = 2 ** 31 - 1;

/** All containers of a pod that is created; ephemeral ones come later, by their own subresource. */
export function validateContainers(spec: PodSpec, volumeNames: ReadonlySet<string>, path: string): FieldError[] {
  const context: PodContext = {
    volumeNames,
    hostNetwork: spec.hostNetwork ?? false,
    hostUsers: spec.hostUsers ?? true,
    graceSeconds: spec.terminationGracePeriodSeconds ?? 30,
  };
  const names = new Set<string>();
  const errors: FieldError[] = [];
  const containers = spec.containers ?? [];
  if (containers.length === 0) errors.push(required(`${path}.containers`));
  for (const [index, container] of containers.entries()) {
    const at = `${path}.containers[${index}]`;
    errors.push(...validateContainer(container, context, at), ...validateUniqueName(container, names, at));
    errors.push(
      ...validateLifecycle(container.lifecycle, context.graceSeconds, `${at}.lifecycle`),
      ...validateProbes(container, at),
    );
    if (container.restartPolicy) errors.push(notPermitted(`${at}.restartPolicy`, 'may not be set for non-init containers'));
  }
  for (const [index, container] of (spec.initContainers ?? []).entries()) {
    const at = `${path}.initContainers[${index}]`;
    errors.push(...validateContainer(container, context, at), ...validateUniqueName(container, names, at));
    errors.push(...validateInitContainer(container, context, at));
  }
  return [...errors, ...validateHostPorts(spec, path)];
}

/** One that is restarted for ever is a sidecar, and may have what other containers have. */
function validateInitContainer(container: Container, context: PodContext, path: string): FieldError[] {
  if (!container.restartPolicy) return forbidProbes(container, path);
  const errors =
    container.restartPolicy === 'Always' ? [] : [unsupported(`${path}.restartPolicy`, container.restartPolicy, ['Always'])];
  return [
    ...errors,
    ...validateLifecycle(container.lifecycle, context.graceSeconds, `${path}.lifecycle`),
    ...validateProbes(container, path),
  ];
}

function validateUniqueName(container: Container, names: Set<string>, path: string): FieldError[] {
  if (!container.name) return [];
  if (names.has(container.name)) return [duplicate(`${path}.name`, container.name)];
  names.add(container.name);
  return [];
}

export function validateContainer(container: Container, context: PodContext, path: string): FieldError[] {
  const errors = checkName(`${path}.name`, container.name, isDns1123Label);
  if (!container.image) errors.push(required(`${path}.image`));
  else if (container.image.trim() !== container.image) {
    errors.push(invalidValue(`${path}.image`, container.image, 'must not have leading or trailing whitespace'));
  }
  errors.push(
    ...checkOneOf(`${path}.terminationMessagePolicy`, container.terminationMessagePolicy, messagePolicies),
    ...validatePorts(container.ports, context, `${path}.ports`),
    ...validateEnv(container.env, `${path}.env`),
    ...validateEnvFrom(container.envFrom, `${path}.envFrom`),
    ...validateMounts(container, context, `${path}.volumeMounts`),
    ...checkOneOf(`${path}.imagePullPolicy`, container.imagePullPolicy, pullPolicies),
    ...validateResources(container.resources, `${path}.resources`),
    ...validateSecurityContext(container.securityContext, context.hostUsers, `${path}.securityContext`),
  );
  return errors;
}

function validatePorts(ports: Port[] | undefined, context: PodContext, path: string): FieldError[] {
  const names = new Set<string>();
  return (ports ?? []).flatMap((port, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    if (port.name) {
      const ofName = invalidWhen(`${at}.name`, port.name, isPortName);
      if (ofName.length === 0 && names.has(port.name)) ofName.push(duplicate(`${at}.name`, port.name));
      names.add(port.name);
      errors.push(...ofName);
    }
    if (!port.containerPort) errors.push(required(`${at}.containerPort`));
    else errors.push(...checkPortNumber(`${at}.containerPort`, port.containerPort));
    if (port.hostPort) {
      errors.push(...checkPortNumber(`${at}.hostPort`, port.hostPort));
      if (context.hostNetwork && port.hostPort !== port.containerPort) {
        errors.push(invalidValue(`${at}.containerPort`, port.containerPort, 'must match `hostPort` when `hostNetwork` is true'));
      }
    }
    return [...errors, ...checkOneOf(`${at}.protocol`, port.protocol, protocols)];
  });
}

/** Two containers of one pod cannot have one port of the machine. */
function validateHostPorts(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const taken = new Set<string>();
  for (const [index, container] of (spec.containers ?? []).entries()) {
    for (const [place, port] of (container.ports ?? []).entries()) {
      if (!port.hostPort) continue;
      const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`;
      if (taken.has(key)) errors.push(duplicate(`${path}.containers[${index}].ports[${place}].hostPort`, key));
      taken.add(key);
    }
  }
  return errors;
}

function validateMounts(container: Container, context: PodContext, path: string): FieldError[] {
  const targets = new Set<string>();
  return (container.volumeMounts ?? []).flatMap((mount, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    if (!mount.name) errors.push(required(`${at}.name`));
    else if (!context.volumeNames.has(mount.name)) errors.push(missingReference(`${at}.name`, mount.name));
    if (!mount.mountPath) errors.push(required(`${at}.mountPath`));
    if (targets.has(mount.mountPath)) errors.push(invalidValue(`${at}.mountPath`, mount.mountPath, 'must be unique'));
    targets.add(mount.mountPath);
    if (mount.subPath) errors.push(...validateDescendingPath(mount.subPath, `${at}.subPath`));
    if (mount.subPathExpr) {
      if (mount.subPath) {
        errors.push(invalidValue(`${at}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive'));
      }
      errors.push(...validateDescendingPath(mount.subPathExpr, `${at}.subPathExpr`));
    }
    errors.push(...validateRecursiveReadOnly(mount, `${path}.recursiveReadOnly`));
    if (mount.mountPropagation) errors.push(...validatePropagation(mount.mountPropagation, container, `${at}.mountPropagation`));
    return errors;
  });
}

/** The path has no index: so it is in Kubernetes. */
function validateRecursiveReadOnly(mount: Mount, path: string): FieldError[] {
  const { recursiveReadOnly: mode, readOnly, mountPropagation } = mount;
  if (mode == null || mode === 'Disabled') return [];
  if (!recursiveModes.includes(mode)) return [unsupported(path, mode, recursiveModes)];
  const errors: FieldError[] = [];
  if (!readOnly) errors.push(notPermitted(path, 'may only be specified when readOnly is true'));
  if (mountPropagation != null && mountPropagation !== 'None') {
    errors.push(notPermitted(path, 'may only be specified when mountPropagation is None or not specified'));
  }
  return errors;
}

function validatePropagation(propagation: string, container: Container, path: string): FieldError[] {
  if (!propagations.includes(propagation)) return [unsupported(path, propagation, propagations)];
  if (propagation !== 'Bidirectional' || container.securityContext?.privileged) return [];
  return [notPermitted(path, 'Bidirectional mount propagation is available only to privileged containers')];
}

function validateSecurityContext(context: Container['securityContext'], hostUsers: boolean, path: string): FieldError[] {
  if (!context) return [];
  const errors = [...validateId(context.runAsUser, `${path}.runAsUser`), ...validateId(context.runAsGroup, `${path}.runAsGroup`)];
  if (context.procMount != null) errors.push(...checkOneOf(`${path}.procMount`, context.procMount, procMounts));
  if (hostUsers && context.procMount === 'Unmasked') {
    errors.push(invalidValue(`${path}.procMount`, context.procMount, '`hostUsers` must be false to use `Unmasked`'));
  }
  if (context.allowPrivilegeEscalation === false && context.privileged) {
    const detail = 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true';
    errors.push(invalidValue(path, context, detail));
  }
  if (context.allowPrivilegeEscalation === false && context.capabilities?.add?.some((name) => name.endsWith('SYS_ADMIN'))) {
    const detail = 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN';
    errors.push(invalidValue(path, context, detail));
  }
  return errors;
}

/** A user or group number; may be missing. */
export function validateId(id: number | undefined, path: string): FieldError[] {
  if (id == null || (id >= 0 && id <= userIdMax)) return [];
  return [invalidValue(path, id, 'must be between 0 and 2147483647, inclusive')];
}
