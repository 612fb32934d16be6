/** The rules of a Service's spec. Source: API reference, "ServiceSpec v1 core"; wording as kubectl users know it. */
import { isIP } from 'node:net';
import { validateLabels } from '../../machinery/metadata.ts';
import { isDns1123Label, isDns1123Subdomain, isQualifiedName } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { Service } from '../../machinery/types.ts';
import { checkOneOf, checkPortNumber, duplicate, invalidValue, invalidWhen, notPermitted, required } from './field-errors.ts';
import { validateIp } from './pod-spec-validation.ts';
import { validatePort } from './probe-validation.ts';

export type ServiceSpec = NonNullable<Service['spec']>;
type ServicePort = NonNullable<ServiceSpec['ports']>[number];

const types = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'];
const protocols = ['TCP', 'UDP', 'SCTP'];
const affinitySecondsMax = 86_400;
const headless = 'None';

export const isHeadless = (spec: ServiceSpec) => spec.clusterIP === headless || spec.clusterIPs?.[0] === headless;

/** Reached from outside the cluster: only then does it matter which node takes the traffic. */
export function isExternal(spec: ServiceSpec): boolean {
  return (
    spec.type === 'LoadBalancer' || spec.type === 'NodePort' || (spec.type === 'ClusterIP' && (spec.externalIPs?.length ?? 0) > 0)
  );
}

export function validateServiceSpec(spec: ServiceSpec): FieldError[] {
  return [
    ...validateType(spec),
    ...validatePorts(spec),
    ...validateLabels(spec.selector, 'spec.selector'),
    ...validateAffinity(spec),
    ...validateClusterIps(spec),
    ...validateExternalIps(spec),
    ...checkOneOf('spec.type', spec.type, types),
    ...validateTrafficPolicies(spec),
  ];
}

function validateType(spec: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (spec.type === 'LoadBalancer' || spec.type === 'NodePort') {
    if (isHeadless(spec)) {
      errors.push(invalidValue('spec.clusterIPs[0]', headless, `may not be set to 'None' for ${spec.type} services`));
    }
  } else if (spec.type === 'ExternalName') {
    if (spec.clusterIP || spec.clusterIPs?.length) {
      errors.push(notPermitted('spec.clusterIPs', 'may not be set for ExternalName services'));
    }
    const name = spec.externalName?.replace(/\.$/, '');
    if (name) errors.push(...invalidWhen('spec.externalName', name, isDns1123Subdomain));
    else errors.push(required('spec.externalName'));
  }
  return errors;
}

function validatePorts(spec: ServiceSpec): FieldError[] {
  const ports = spec.ports ?? [];
  const errors: FieldError[] = [];
  if (ports.length === 0 && !isHeadless(spec) && spec.type !== 'ExternalName') errors.push(required('spec.ports'));
  const names = new Set<string>();
  const numbers = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const path = `spec.ports[${index}]`;
    errors.push(...validatePortFields(port, ports.length > 1, names, path));
    if (spec.type === 'ClusterIP' && port.nodePort) {
      errors.push(notPermitted(`${path}.nodePort`, "may not be used when `type` is 'ClusterIP'"));
    }
    const nodeKey = `${port.protocol}/${port.nodePort}`;
    if (port.nodePort && nodePorts.has(nodeKey)) errors.push(duplicate(`${path}.nodePort`, port.nodePort));
    nodePorts.add(nodeKey);
    const key = `${port.protocol}/${port.port}`;
    if (numbers.has(key)) errors.push(duplicate(path, { port: port.port, protocol: port.protocol }));
    numbers.add(key);
  }
  return errors;
}

function validatePortFields(port: ServicePort, nameRequired: boolean, names: Set<string>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!port.name) {
    if (nameRequired) errors.push(required(`${path}.name`));
  } else {
    errors.push(...invalidWhen(`${path}.name`, port.name, isDns1123Label));
    if (names.has(port.name)) errors.push(duplicate(`${path}.name`, port.name));
    names.add(port.name);
  }
  errors.push(...checkPortNumber(`${path}.port`, port.port ?? 0));
  errors.push(...checkOneOf(`${path}.protocol`, port.protocol, protocols));
  errors.push(...validatePort(port.targetPort, `${path}.targetPort`));
  if (port.appProtocol) errors.push(...invalidWhen(`${path}.appProtocol`, port.appProtocol, isQualifiedName));
  return errors;
}

function validateAffinity({ sessionAffinity, sessionAffinityConfig }: ServiceSpec): FieldError[] {
  const errors = checkOneOf('spec.sessionAffinity', sessionAffinity, ['ClientIP', 'None']);
  const path = 'spec.sessionAffinityConfig';
  if (sessionAffinity === 'ClientIP') {
    const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds;
    if (seconds == null) errors.push(required(path, 'when session affinity type is ClientIP'));
    else if (seconds <= 0 || seconds > affinitySecondsMax) {
      const detail = `must be greater than 0 and less than or equal to ${affinitySecondsMax}`;
      errors.push(invalidValue(`${path}.clientIP.timeoutSeconds`, seconds, detail));
    }
  } else if (sessionAffinity === 'None' && sessionAffinityConfig) {
    errors.push(notPermitted(path, 'must not be set when session affinity is None'));
  }
  return errors;
}

/** Only their form: the range and the claim are checked where addresses are given out. */
function validateClusterIps({ type, clusterIP, clusterIPs = [] }: ServiceSpec): FieldError[] {
  if (type === 'ExternalName') return [];
  const errors: FieldError[] = [];
  if (clusterIP && clusterIPs.length > 0 && clusterIPs[0] !== clusterIP) {
    errors.push(invalidValue('spec.clusterIPs', clusterIPs, 'first value must match `clusterIP`'));
  }
  const addresses = clusterIPs.length > 0 ? clusterIPs : clusterIP ? [clusterIP] : [];
  if (addresses.length > 1 && addresses.includes(headless)) {
    errors.push(invalidValue('spec.clusterIPs[0]', addresses, "'None' must be the first and only value"));
  }
  for (const [index, address] of addresses.entries()) {
    if (address !== headless) errors.push(...validateIp(address, `spec.clusterIPs[${index}]`));
  }
  return errors;
}

function validateExternalIps(spec: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, address] of (spec.externalIPs ?? []).entries()) {
    const path = `spec.externalIPs[${index}]`;
    const ofForm = validateIp(address, path);
    errors.push(...ofForm);
    if (ofForm.length === 0 && isNotRoutable(address)) {
      errors.push(invalidValue(path, address, 'may not be an unspecified, loopback, link-local or multicast address'));
    }
  }
  if (spec.loadBalancerSourceRanges?.length && spec.type !== 'LoadBalancer') {
    errors.push(notPermitted('spec.loadBalancerSourceRanges', "may only be used when `type` is 'LoadBalancer'"));
  }
  if (spec.allocateLoadBalancerNodePorts != null && spec.type !== 'LoadBalancer') {
    errors.push(notPermitted('spec.allocateLoadBalancerNodePorts', "may only be used when `type` is 'LoadBalancer'"));
  }
  if (spec.loadBalancerClass != null && spec.type !== 'LoadBalancer') {
    errors.push(notPermitted('spec.loadBalancerClass', "may only be used when `type` is 'LoadBalancer'"));
  }
  return errors;
}

function isNotRoutable(address: string): boolean {
  if (isIP(address) === 4) {
    const [first = 0, second = 0] = address.split('.').map(Number);
    return address === '0.0.0.0' || first === 127 || (first === 169 && second === 254) || (first >= 224 && first <= 239);
  }
  return address === '::' || address === '::1' || /^fe[89ab]|^ff/i.test(address);
}

function validateTrafficPolicies(spec: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  const policies = ['Cluster', 'Local'];
  const external = spec.externalTrafficPolicy;
  if (isExternal(spec)) errors.push(...checkOneOf('spec.externalTrafficPolicy', external, policies));
  else if (external) {
    errors.push(invalidValue('spec.externalTrafficPolicy', external, 'may only be set for externally-accessible services'));
  }
  if (spec.type !== 'ExternalName') {
    errors.push(...checkOneOf('spec.internalTrafficPolicy', spec.internalTrafficPolicy, policies));
  }
  if (spec.ipFamilyPolicy) {
    const known = ['SingleStack', 'PreferDualStack', 'RequireDualStack'];
    errors.push(...checkOneOf('spec.ipFamilyPolicy', spec.ipFamilyPolicy, known));
  }
  return errors;
}

export function validateServiceUpdate(next: ServiceSpec, previous: ServiceSpec): FieldError[] {
  if (next.type === 'ExternalName' || previous.type === 'ExternalName') return [];
  const [now, before] = [addressesOf(next), addressesOf(previous)];
  if (before.length === 0 || before[0] === now[0]) return [];
  return [invalidValue('spec.clusterIPs[0]', now, 'may not change once set')];
}

const addressesOf = ({ clusterIP, clusterIPs }: ServiceSpec): string[] =>
  clusterIPs?.length ? clusterIPs : clusterIP ? [clusterIP] : [];
