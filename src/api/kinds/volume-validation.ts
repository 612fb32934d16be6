/** Volumes of a pod: names, exactly one source each, and the sources in use. Source: API reference, "Volume v1 core". */
import { isDns1123Label, isDns1123Subdomain } from '../../machinery/names.ts';
import { isQuantity, quantityMilli } from '../../machinery/quantity.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { Volume } from '../../machinery/types.ts';
import { validateFieldReference, validateResourceReference } from './env-validation.ts';
import { checkName, checkOneOf, duplicate, invalidValue, notPermitted, required, unsupported } from './field-errors.ts';

type KeyToPath = NonNullable<NonNullable<Volume['secret']>['items']>[number];
type DownwardItem = NonNullable<NonNullable<Volume['downwardAPI']>['items']>[number];
type Projected = NonNullable<Volume['projected']>;
type ProjectedSource = NonNullable<Projected['sources']>[number];

const hostPathTypes = ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket'];
const pullPolicies = ['Always', 'IfNotPresent', 'Never'];
const modeDetail = 'must be a number between 0 and 0777 (octal), both inclusive';
const tokenSecondsMin = 600;
const tokenSecondsMax = 2 ** 32;

/** Gives the errors and the names that mounts may use. */
export function validateVolumes(volumes: Volume[] | undefined, path: string): { errors: FieldError[]; names: Set<string> } {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, volume] of (volumes ?? []).entries()) {
    const at = `${path}[${index}]`;
    const ofName = checkName(`${at}.name`, volume.name, isDns1123Label);
    if (ofName.length === 0 && names.has(volume.name)) ofName.push(duplicate(`${at}.name`, volume.name));
    const ofSource = validateSource(volume, at);
    errors.push(...ofSource, ...ofName);
    if (ofName.length === 0) names.add(volume.name);
  }
  return { errors, names };
}

function validateSource(volume: Volume, path: string): FieldError[] {
  const { name: _name, ...sources } = volume;
  const given = Object.entries(sources).filter(([, source]) => source != null);
  if (given.length === 0) return [required(path, 'must specify a volume type')];
  const [first, ...others] = given.map(([type]) => type);
  const errors = others.map((type) => notPermitted(`${path}.${type}`, 'may not specify more than 1 volume type'));
  return [...validateOne(volume, first as string, `${path}.${first}`), ...errors];
}

function validateOne(volume: Volume, type: string, path: string): FieldError[] {
  switch (type) {
    case 'emptyDir':
      return validateEmptyDir(volume.emptyDir?.sizeLimit, path);
    case 'hostPath':
      return validateHostPath(volume.hostPath, path);
    case 'secret': {
      const { secretName, defaultMode, items } = volume.secret ?? {};
      return [
        ...(secretName ? [] : [required(`${path}.secretName`)]),
        ...validateMode(defaultMode, `${path}.defaultMode`),
        ...validateItems(items, `${path}.items`),
      ];
    }
    case 'configMap': {
      const { name, defaultMode, items } = volume.configMap ?? {};
      return [
        ...(name ? [] : [required(`${path}.name`)]),
        ...validateMode(defaultMode, `${path}.defaultMode`),
        ...validateItems(items, `${path}.items`),
      ];
    }
    case 'downwardAPI': {
      const { defaultMode, items } = volume.downwardAPI ?? {};
      return [...validateMode(defaultMode, `${path}.defaultMode`), ...validateDownward(items, `${path}.items`)];
    }
    case 'projected':
      return validateProjected(volume.projected, path);
    case 'persistentVolumeClaim':
      return volume.persistentVolumeClaim?.claimName ? [] : [required(`${path}.claimName`)];
    case 'nfs':
      return validateNfs(volume.nfs, path);
    case 'csi':
      return volume.csi?.driver ? [] : [required(`${path}.driver`)];
    case 'image':
      return validateImage(volume.image, path);
    case 'ephemeral':
      return volume.ephemeral?.volumeClaimTemplate ? [] : [required(`${path}.volumeClaimTemplate`)];
    default:
      return [];
  }
}

function validateEmptyDir(sizeLimit: string | undefined, path: string): FieldError[] {
  if (sizeLimit == null || (isQuantity(sizeLimit) && quantityMilli(sizeLimit) >= 0)) return [];
  return [notPermitted(`${path}.sizeLimit`, 'SizeLimit field must be a valid resource quantity')];
}

function validateHostPath(source: Volume['hostPath'], path: string): FieldError[] {
  if (!source?.path) return [required(`${path}.path`)];
  const errors = validateNoBacksteps(source.path, `${path}.path`);
  if (!hostPathTypes.includes(source.type ?? '')) errors.push(unsupported(`${path}.type`, source.type, hostPathTypes));
  return errors;
}

/** A template may leave the reference to whoever makes pods of it. */
function validateImage(source: Volume['image'], path: string): FieldError[] {
  const missing = !source?.reference && path.startsWith('spec.volumes[');
  return [
    ...(missing ? [required(`${path}.reference`)] : []),
    ...checkOneOf(`${path}.pullPolicy`, source?.pullPolicy, pullPolicies),
  ];
}

function validateNfs(source: Volume['nfs'], path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!source?.server) errors.push(required(`${path}.server`));
  if (!source?.path) errors.push(required(`${path}.path`));
  else if (!source.path.startsWith('/')) {
    errors.push(invalidValue(`${path}.path`, source.path, 'must be an absolute path'));
  }
  return errors;
}

function validateProjected(projected: Projected | undefined, path: string): FieldError[] {
  const errors = validateMode(projected?.defaultMode, `${path}.defaultMode`);
  const paths = new Set<string>();
  for (const [index, source] of (projected?.sources ?? []).entries()) {
    const at = `${path}.sources[${index}]`;
    const given = Object.keys(source).filter((type) => source[type as keyof ProjectedSource] != null);
    for (const type of given.slice(1))
      errors.push(notPermitted(`${at}.${type}`, 'may not specify more than 1 volume type per source'));
    if (given.length === 0) errors.push(required(at, 'must specify a volume type'));
    errors.push(...validateProjectedSource(source, at));
    for (const target of targetsOf(source)) {
      if (paths.has(target)) errors.push(invalidValue(path, target, 'conflicting duplicate paths'));
      paths.add(target);
    }
  }
  return errors;
}

const targetsOf = (source: ProjectedSource): string[] => [
  ...[...(source.secret?.items ?? []), ...(source.configMap?.items ?? []), ...(source.downwardAPI?.items ?? [])].map(
    (item) => item.path,
  ),
  ...(source.serviceAccountToken?.path ? [source.serviceAccountToken.path] : []),
  ...(source.clusterTrustBundle?.path ? [source.clusterTrustBundle.path] : []),
];

function validateProjectedSource(source: ProjectedSource, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const type of ['secret', 'configMap'] as const) {
    const from = source[type];
    if (!from) continue;
    if (!from.name) errors.push(required(`${path}.${type}.name`));
    errors.push(...validateItems(from.items, `${path}.${type}.items`));
  }
  if (source.downwardAPI) errors.push(...validateDownward(source.downwardAPI.items, `${path}.downwardAPI.items`));
  const token = source.serviceAccountToken;
  if (token) {
    const field = `${path}.serviceAccountToken.expirationSeconds`;
    const seconds = token.expirationSeconds ?? tokenSecondsMin;
    if (seconds < tokenSecondsMin) errors.push(invalidValue(field, seconds, 'may not specify a duration less than 10 minutes'));
    if (seconds > tokenSecondsMax)
      errors.push(invalidValue(field, seconds, 'may not specify a duration larger than 2^32 seconds'));
    if (!token.path) errors.push(required(`${path}.serviceAccountToken.path`));
    else errors.push(...validateLocalPath(token.path, `${path}.serviceAccountToken.path`));
  }
  // Its path in messages is not the name of the field: so it is in Kubernetes.
  if (source.clusterTrustBundle) {
    errors.push(...validateTrustBundle(source.clusterTrustBundle, `${path}.clusterTrustBundlePEM`));
  }
  return errors;
}

function validateTrustBundle(bundle: NonNullable<ProjectedSource['clusterTrustBundle']>, path: string): FieldError[] {
  const { name, signerName, labelSelector, path: file } = bundle;
  const errors: FieldError[] = [];
  if (name != null && signerName != null) {
    errors.push(invalidValue(path, bundle, 'only one of name and signerName may be used'));
  } else if (name != null) {
    if (name === '') errors.push(required(`${path}.name`, 'must be a valid object name'));
    // A signer's bundles carry its name before the last colon, with a colon for the slash.
    const parts = name.split(':');
    for (const detail of isDns1123Subdomain(parts.at(-1) ?? '')) {
      errors.push(invalidValue(`${path}.name`, name, `not a valid clustertrustbundlename: ${detail}`));
    }
    if (labelSelector) {
      errors.push(invalidValue(`${path}.labelSelector`, labelSelector, 'labelSelector must be unset if name is specified'));
    }
  } else if (signerName != null) {
    if (signerName === '') errors.push(required(`${path}.signerName`, 'must be a valid signer name'));
  } else errors.push(required(path, 'either name or signerName must be specified'));
  return [...errors, ...(file ? validateLocalPath(file, `${path}.path`) : [required(`${path}.path`)])];
}

function validateItems(items: KeyToPath[] | undefined, path: string): FieldError[] {
  return (items ?? []).flatMap((item, index) => {
    const at = `${path}[${index}]`;
    const ofPath = item.path ? validateLocalPath(item.path, `${at}.path`) : [required(`${at}.path`)];
    return [...(item.key ? [] : [required(`${at}.key`)]), ...ofPath, ...validateMode(item.mode, `${at}.mode`)];
  });
}

function validateDownward(items: DownwardItem[] | undefined, path: string): FieldError[] {
  return (items ?? []).flatMap((item, index) => {
    const at = `${path}[${index}]`;
    const errors = item.path ? validateLocalPath(item.path, `${at}.path`) : [required(`${at}.path`)];
    if (item.fieldRef && item.resourceFieldRef) {
      errors.push(invalidValue(at, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'));
    } else if (item.fieldRef) {
      errors.push(...validateFieldReference(item.fieldRef, 'volume', `${at}.fieldRef`));
    } else if (item.resourceFieldRef) {
      if (!item.resourceFieldRef.containerName) errors.push(required(`${at}.resourceFieldRef.containerName`));
      errors.push(...validateResourceReference(item.resourceFieldRef, `${at}.resourceFieldRef`));
    } else {
      errors.push(required(at, 'one of fieldRef and resourceFieldRef is required'));
    }
    return [...errors, ...validateMode(item.mode, `${at}.mode`)];
  });
}

function validateMode(mode: number | undefined, path: string): FieldError[] {
  return mode != null && (mode < 0 || mode > 0o777) ? [invalidValue(path, mode, modeDetail)] : [];
}

/** A path inside a volume: relative, and never above it. */
function validateLocalPath(target: string, path: string): FieldError[] {
  const errors = validateDescendingPath(target, path);
  if (target.startsWith('..') && !target.startsWith('../')) errors.push(invalidValue(path, target, "must not start with '..'"));
  return errors;
}

export function validateDescendingPath(target: string, path: string): FieldError[] {
  const errors = target.startsWith('/') ? [invalidValue(path, target, 'must be a relative path')] : [];
  return [...errors, ...validateNoBacksteps(target, path)];
}

function validateNoBacksteps(target: string, path: string): FieldError[] {
  return target.split('/').includes('..') ? [invalidValue(path, target, "must not contain '..'")] : [];
}
