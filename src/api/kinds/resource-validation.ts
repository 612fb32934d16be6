/** Requests and limits. Source: Kubernetes documentation, "Resource Management for Pods and Containers". */
import { isQualifiedName } from '../../machinery/names.ts';
import { isQuantity, quantityMilli } from '../../machinery/quantity.ts';
import type { FieldError } from '../../machinery/status.ts';
import { checkQuantity, invalidValue, invalidWhen, notPermitted, required } from './field-errors.ts';

interface Resources {
  requests?: Record<string, string>;
  limits?: Record<string, string>;
}

const standardContainerResources = new Set(['cpu', 'memory', 'ephemeral-storage']);
const standardResources = new Set([
  ...standardContainerResources,
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'storage',
  'requests.cpu',
  'requests.memory',
  'requests.storage',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
  'services.nodeports',
  'services.loadbalancers',
]);

const isHugePages = (name: string) => name.startsWith('hugepages-');
/** A resource that the machine or an operator adds, such as example.com/gpu. Whole units, never shared. */
const isExtended = (name: string) => name.includes('/') && !name.startsWith('kubernetes.io/');

/** Resources of a container. `path` is that of the `resources` field. */
export function validateResources(resources: Resources | undefined, path: string): FieldError[] {
  if (!resources) return [];
  const { requests = {}, limits = {} } = resources;
  const errors: FieldError[] = [];
  for (const [name, quantity] of Object.entries(limits))
    errors.push(...validateAmount(name, quantity, `${path}.limits[${name}]`));
  for (const [name, quantity] of Object.entries(requests)) {
    errors.push(...validateAmount(name, quantity, `${path}.requests[${name}]`));
    errors.push(...validateAgainstLimit(name, quantity, limits[name], path));
  }
  if (Object.keys({ ...requests, ...limits }).some(isHugePages) && !hasCpuOrMemory(requests) && !hasCpuOrMemory(limits)) {
    errors.push(notPermitted(path, 'HugePages require cpu or memory'));
  }
  return errors;
}

const hasCpuOrMemory = (amounts: Record<string, string>) => 'cpu' in amounts || 'memory' in amounts;

function validateAmount(name: string, quantity: string, path: string): FieldError[] {
  const errors = [...validateResourceName(name, path), ...checkQuantity(path, quantity)];
  if (isExtended(name) && isQuantity(quantity) && quantityMilli(quantity) % 1000 !== 0) {
    errors.push(invalidValue(path, quantity, 'must be an integer'));
  }
  return errors;
}

function validateAgainstLimit(name: string, request: string, limit: string | undefined, path: string): FieldError[] {
  const overcommit = !isExtended(name) && !isHugePages(name);
  if (limit == null) return overcommit ? [] : [required(`${path}.limits`, 'Limit must be set for non overcommitable resources')];
  if (!isQuantity(request) || !isQuantity(limit)) return [];
  const [requested, limited] = [quantityMilli(request), quantityMilli(limit)];
  if (!overcommit && requested !== limited) {
    return [invalidValue(`${path}.requests`, request, `must be equal to ${name} limit of ${limit}`)];
  }
  return requested > limited
    ? [invalidValue(`${path}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`)]
    : [];
}

function validateResourceName(name: string, path: string): FieldError[] {
  const errors = invalidWhen(path, name, isQualifiedName);
  if (errors.length || name.includes('/') || isHugePages(name)) return errors;
  if (!standardResources.has(name)) {
    errors.push(invalidValue(path, name, 'must be a standard resource type or fully qualified'));
  }
  if (!standardContainerResources.has(name)) {
    errors.push(invalidValue(path, name, 'must be a standard resource for containers'));
  }
  return errors;
}
