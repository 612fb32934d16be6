/** Environment variables of a container and the references their values may come from. */
import { isConfigMapKey, isEnvVarName, isQualifiedName } from '../../machinery/names.ts';
import { isQuantity, quantityMilli } from '../../machinery/quantity.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { Container } from '../../machinery/types.ts';
import { checkName, invalidValue, invalidWhen, required, unsupported } from './field-errors.ts';

type Variable = NonNullable<Container['env']>[number];
type Source = NonNullable<Variable['valueFrom']>;
type FieldReference = NonNullable<Source['fieldRef']>;
type ResourceReference = NonNullable<Source['resourceFieldRef']>;
type EnvFrom = NonNullable<Container['envFrom']>[number];

const fieldPaths = {
  env: [
    'metadata.name',
    'metadata.namespace',
    'metadata.uid',
    'spec.nodeName',
    'spec.serviceAccountName',
    'status.hostIP',
    'status.hostIPs',
    'status.podIP',
    'status.podIPs',
  ],
  volume: ['metadata.name', 'metadata.namespace', 'metadata.labels', 'metadata.annotations', 'metadata.uid'],
};
const knownFieldPaths = new Set([
  ...fieldPaths.env,
  ...fieldPaths.volume,
  'spec.restartPolicy',
  'spec.schedulerName',
  'status.phase',
]);
const subscripted = /^(metadata\.(?:labels|annotations))\['(.*)'\]$/;
const resources = [
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
  'requests.cpu',
  'requests.memory',
  'requests.ephemeral-storage',
];
const sourceNames = ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef'] as const;

export function validateEnv(env: Container['env'], path: string): FieldError[] {
  return (env ?? []).flatMap((variable, index) => {
    const at = `${path}[${index}]`;
    const ofName = checkName(`${at}.name`, variable.name, isEnvVarName);
    return [...ofName, ...(variable.valueFrom ? validateValueFrom(variable, variable.valueFrom, `${at}.valueFrom`) : [])];
  });
}

function validateValueFrom(variable: Variable, source: Source, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const given = sourceNames.filter((name) => source[name] != null);
  if (source.fieldRef) errors.push(...validateFieldReference(source.fieldRef, 'env', `${path}.fieldRef`));
  if (source.resourceFieldRef) errors.push(...validateResourceReference(source.resourceFieldRef, `${path}.resourceFieldRef`));
  for (const name of ['configMapKeyRef', 'secretKeyRef'] as const) {
    const reference = source[name];
    if (!reference) continue;
    if (!reference.name) errors.push(required(`${path}.${name}.name`));
    errors.push(...checkName(`${path}.${name}.key`, reference.key, isConfigMapKey));
  }
  if (given.length === 0) {
    const detail = 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`';
    errors.push(invalidValue(path, '', detail));
  } else if (variable.value) {
    errors.push(invalidValue(path, '', 'may not be specified when `value` is not empty'));
  } else if (given.length > 1) {
    errors.push(invalidValue(path, '', 'may not have more than one field specified at a time'));
  }
  return errors;
}

/** `use` tells which fields may be read: variables and files differ. */
export function validateFieldReference(reference: FieldReference, use: 'env' | 'volume', path: string): FieldError[] {
  const { apiVersion, fieldPath } = reference;
  if (!apiVersion) return [required(`${path}.apiVersion`)];
  if (!fieldPath) return [required(`${path}.fieldPath`)];
  const match = subscripted.exec(fieldPath);
  if (match) {
    const [, of = '', key = ''] = match;
    const complaints = isQualifiedName(of === 'metadata.annotations' ? key.toLowerCase() : key);
    return complaints.map((detail) => invalidValue(path, key, detail));
  }
  if (!knownFieldPaths.has(fieldPath)) {
    const detail = `error converting fieldPath: field label not supported: ${fieldPath}`;
    return [invalidValue(`${path}.fieldPath`, fieldPath, detail)];
  }
  return fieldPaths[use].includes(fieldPath) ? [] : [unsupported(`${path}.fieldPath`, fieldPath, fieldPaths[use])];
}

export function validateResourceReference(reference: ResourceReference, path: string): FieldError[] {
  const { resource, divisor } = reference;
  if (!resource) return [required(`${path}.resource`)];
  const plain = resource.replace(/\.hugepages-.+$/, '.memory');
  if (!resources.includes(plain)) return [unsupported(`${path}.resource`, resource, resources)];
  if (divisor == null || (isQuantity(divisor) && divisorFits(resource, quantityMilli(divisor)))) return [];
  const allowed = resource.endsWith('.cpu') ? '1m and 1' : '1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei';
  return [
    invalidValue(
      `${path}.divisor`,
      resource,
      `only divisor's values ${allowed} are supported with the ${resource.split('.')[1]} resource`,
    ),
  ];
}

/** Zero stands for "not given". */
function divisorFits(resource: string, milli: number): boolean {
  if (milli === 0 || milli === 1000) return true;
  if (resource.endsWith('.cpu')) return milli === 1;
  const units = milli / 1000;
  return [1, 2, 3, 4, 5, 6].some((power) => units === 1000 ** power || units === 1024 ** power);
}

export function validateEnvFrom(sources: EnvFrom[] | undefined, path: string): FieldError[] {
  return (sources ?? []).flatMap((source, index) => {
    const at = `${path}[${index}]`;
    const errors = source.prefix ? invalidWhen(`${at}.prefix`, source.prefix, isEnvVarName) : [];
    for (const name of ['configMapRef', 'secretRef'] as const) {
      if (source[name] && !source[name].name) errors.push(required(`${at}.${name}.name`));
    }
    if (!source.configMapRef && !source.secretRef) {
      errors.push(invalidValue(at, '', 'must specify one of: `configMapRef` or `secretRef`'));
    } else if (source.configMapRef && source.secretRef) {
      errors.push(invalidValue(at, '', 'may not have more than one field specified at a time'));
    }
    return errors;
  });
}
