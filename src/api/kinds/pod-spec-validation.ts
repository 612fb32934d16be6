/** A pod's spec, in pods and in templates. Source: API reference, "PodSpec v1 core"; paths and wording as kubectl users know them. */
import { isIP } from 'node:net';
import { validateLabels, validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Label, isDns1123Subdomain, isQualifiedName } from '../../machinery/names.ts';
import { labelSelectorMatches } from '../../machinery/selectors.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { LabelSelector, PodSpec, PodTemplateSpec } from '../../machinery/types.ts';
import { validateContainers, validateId } from './container-validation.ts';
import {
  checkOneOf,
  checkQuantity,
  duplicate,
  invalidValue,
  invalidWhen,
  notPermitted,
  required,
  unsupported,
} from './field-errors.ts';
import { validateAffinity, validateTolerations, validateTopologySpread } from './placement-validation.ts';
import { validateResizePolicies } from './resize-validation.ts';
import { validateVolumes } from './volume-validation.ts';

const dnsPolicies = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
const restartPolicies = ['Always', 'OnFailure', 'Never'];
const deadlineSecondsMax = 2 ** 31 - 1;
const nameserversMax = 3;
const searchPathsMax = 32;

/** `path` is that of the spec: `spec`, or `spec.template.spec`. */
export function validatePodSpec(spec: PodSpec, path: string): FieldError[] {
  const volumes = validateVolumes(spec.volumes, `${path}.volumes`);
  return [
    ...volumes.errors,
    ...validateContainers(spec, volumes.names, path),
    ...validateResizePolicies(spec, path),
    ...checkOneOf(`${path}.restartPolicy`, spec.restartPolicy, restartPolicies),
    ...checkOneOf(`${path}.dnsPolicy`, spec.dnsPolicy, dnsPolicies),
    ...validateDnsConfig(spec, path),
    ...validateLabels(spec.nodeSelector, `${path}.nodeSelector`),
    ...validateSecurity(spec, path),
    ...validateNames(spec, path),
    ...validateAffinity(spec.affinity, `${path}.affinity`),
    ...validateTopologySpread(spec.topologySpreadConstraints, `${path}.topologySpreadConstraints`),
    ...validateTolerations(spec.tolerations, `${path}.tolerations`),
    ...validateHostAliases(spec, path),
    ...validateGates(spec, path),
    ...validateLimits(spec, path),
  ];
}

function validateDnsConfig(spec: PodSpec, path: string): FieldError[] {
  const at = `${path}.dnsConfig`;
  const config = spec.dnsConfig;
  const errors: FieldError[] = [];
  if (spec.dnsPolicy === 'None') {
    const none = 'must provide at least one DNS nameserver when `dnsPolicy` is None';
    if (!config) return [required(at, 'must provide `dnsConfig` when `dnsPolicy` is None')];
    if (!config.nameservers?.length) errors.push(required(`${at}.nameservers`, none));
  }
  const nameservers = config?.nameservers ?? [];
  if (nameservers.length > nameserversMax) {
    errors.push(invalidValue(`${at}.nameservers`, nameservers, `must not have more than ${nameserversMax} nameservers`));
  }
  for (const [index, server] of nameservers.entries()) errors.push(...validateIp(server, `${at}.nameservers[${index}]`));
  const searches = config?.searches ?? [];
  if (searches.length > searchPathsMax) {
    errors.push(invalidValue(`${at}.searches`, searches, `must not have more than ${searchPathsMax} search paths`));
  }
  for (const [index, search] of searches.entries()) {
    if (search === '.') continue;
    errors.push(...invalidWhen(`${at}.searches[${index}]`, search.replace(/\.$/, ''), isDns1123Subdomain));
  }
  for (const [index, option] of (config?.options ?? []).entries()) {
    if (!option.name) errors.push(required(`${at}.options[${index}]`, 'must not be empty'));
  }
  return errors;
}

export function validateIp(value: string, path: string): FieldError[] {
  return isIP(value) ? [] : [invalidValue(path, value, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')];
}

function validateSecurity(spec: PodSpec, path: string): FieldError[] {
  const context = spec.securityContext;
  const at = `${path}.securityContext`;
  const errors = [
    ...validateId(context?.runAsUser, `${at}.runAsUser`),
    ...validateId(context?.runAsGroup, `${at}.runAsGroup`),
    ...validateId(context?.fsGroup, `${at}.fsGroup`),
    ...(context?.fsGroupChangePolicy == null
      ? []
      : checkOneOf(`${at}.fsGroupChangePolicy`, context.fsGroupChangePolicy, ['Always', 'OnRootMismatch'])),
    ...(context?.supplementalGroupsPolicy == null
      ? []
      : checkOneOf(`${at}.supplementalGroupsPolicy`, context.supplementalGroupsPolicy, ['Merge', 'Strict'])),
    ...(context?.supplementalGroups ?? []).flatMap((group, index) => validateId(group, `${at}.supplementalGroups[${index}]`)),
  ];
  const names = new Set<string>();
  for (const [index, setting] of (context?.sysctls ?? []).entries()) {
    const field = `${at}.sysctls[${index}].name`;
    if (!setting.name) errors.push(required(field));
    else if (names.has(setting.name)) errors.push(duplicate(field, setting.name));
    names.add(setting.name);
  }
  if (spec.shareProcessNamespace && spec.hostPID) {
    errors.push(invalidValue(`${path}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'));
  }
  if (spec.hostUsers === false) {
    // The paths are written so in Kubernetes.
    const shared = { hostNetwork: spec.hostNetwork, HostPID: spec.hostPID, HostIPC: spec.hostIPC };
    for (const [field, isShared] of Object.entries(shared)) {
      if (isShared) errors.push(notPermitted(`${path}.${field}`, 'when `pod.Spec.HostUsers` is false'));
    }
  }
  return errors;
}

function validateNames(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const check = (field: keyof PodSpec & string, grammar: (value: string) => string[]) => {
    const value = spec[field];
    if (typeof value === 'string' && value !== '') errors.push(...invalidWhen(`${path}.${field}`, value, grammar));
  };
  check('serviceAccountName', isDns1123Subdomain);
  check('nodeName', isDns1123Subdomain);
  check('hostname', isDns1123Label);
  check('subdomain', isDns1123Label);
  check('priorityClassName', isDns1123Subdomain);
  check('runtimeClassName', isDns1123Subdomain);
  check('schedulerName', isDns1123Subdomain);
  for (const [index, secret] of (spec.imagePullSecrets ?? []).entries()) {
    if (!secret.name) errors.push(required(`${path}.imagePullSecrets[${index}].name`));
  }
  return errors;
}

function validateHostAliases(spec: PodSpec, path: string): FieldError[] {
  return (spec.hostAliases ?? []).flatMap((alias, index) => [
    ...validateIp(alias.ip, `${path}.hostAliases[${index}].ip`),
    ...(alias.hostnames ?? []).flatMap((name) =>
      invalidWhen(`${path}.hostAliases[${index}].hostnames`, name, isDns1123Subdomain),
    ),
  ]);
}

function validateGates(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, gate] of (spec.readinessGates ?? []).entries()) {
    errors.push(...invalidWhen(`${path}.readinessGates[${index}].conditionType`, gate.conditionType ?? '', isQualifiedName));
  }
  const names = new Set<string>();
  for (const [index, gate] of (spec.schedulingGates ?? []).entries()) {
    const field = `${path}.schedulingGates[${index}]`;
    errors.push(...invalidWhen(field, gate.name ?? '', isQualifiedName));
    if (names.has(gate.name)) errors.push(duplicate(field, gate.name));
    names.add(gate.name);
  }
  if (spec.nodeName && spec.schedulingGates?.length) {
    errors.push(notPermitted(`${path}.nodeName`, 'cannot be set until all schedulingGates have been cleared'));
  }
  return errors;
}

function validateLimits(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const deadline = spec.activeDeadlineSeconds;
  if (deadline != null && (deadline < 1 || deadline > deadlineSecondsMax)) {
    const detail = `must be between 1 and ${deadlineSecondsMax}, inclusive`;
    errors.push(invalidValue(`${path}.activeDeadlineSeconds`, deadline, detail));
  }
  if (spec.preemptionPolicy) {
    const policies = ['Never', 'PreemptLowerPriority'];
    errors.push(...checkOneOf(`${path}.preemptionPolicy`, spec.preemptionPolicy, policies));
  }
  if (spec.os) errors.push(...checkOneOf(`${path}.os.name`, spec.os.name, ['linux', 'windows']));
  for (const [name, quantity] of Object.entries(spec.overhead ?? {})) {
    errors.push(...checkQuantity(`${path}.overhead[${name}]`, quantity));
  }
  return errors;
}

/** What holds for every template. `path` is that of the template. */
export function validateTemplateParts({ metadata, spec }: PodTemplateSpec, path: string): FieldError[] {
  const { labels, annotations } = metadata ?? {};
  const checked = { name: 'template', ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) };
  const errors = validateMetadata(checked, { namespaced: false, nameCheck: () => [], path: `${path}.metadata` });
  if (!spec) return [...errors, required(`${path}.spec.containers`)];
  errors.push(...validatePodSpec(spec, `${path}.spec`));
  if (spec.ephemeralContainers?.length) {
    errors.push(notPermitted(`${path}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'));
  }
  return errors;
}

/**
 * The template of a workload whose pods run for ever. `path` is that of the template; the selector must choose its pods.
 * `workload` is the Kind that texts name.
 */
export function validatePodTemplate(
  template: PodTemplateSpec | undefined,
  selector: LabelSelector | undefined,
  workload: string,
  path: string,
): FieldError[] {
  if (!template) return [required(path)];
  const errors: FieldError[] = [];
  const labels = template.metadata?.labels;
  const given = Object.keys(selector?.matchLabels ?? {}).length + (selector?.matchExpressions?.length ?? 0) > 0;
  if (given && !labelSelectorMatches(selector, labels)) {
    errors.push(invalidValue(`${path}.metadata.labels`, labels ?? {}, '`selector` does not match template `labels`'));
  }
  errors.push(...validateTemplateParts(template, path));
  const spec = template.spec;
  if (!spec) return errors;
  if (restartPolicies.includes(spec.restartPolicy ?? '') && spec.restartPolicy !== 'Always') {
    errors.push(unsupported(`${path}.spec.restartPolicy`, spec.restartPolicy, ['Always']));
  }
  if (spec.activeDeadlineSeconds != null) {
    errors.push(notPermitted(`${path}.spec.activeDeadlineSeconds`, `activeDeadlineSeconds in ${workload} is not Supported`));
  }
  return errors;
}
