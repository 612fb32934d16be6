/**
 * What a CustomResourceDefinition may say, in the words of the reference implementation. What all versions say alike is reported once,
 * under the names that the definition's oldest version had for it.
 */
import {
  approvalAnnotation,
  approvalOf,
  type CustomResourceDefinition,
  type DefinitionNames,
  type DefinitionVersion,
  isProtectedGroup,
  type PrinterColumn,
  type ScalePaths,
} from '../../machinery/custom/definition.ts';
import { simplePath } from '../../machinery/custom/json-path.ts';
import { itemSchema, type JsonSchema, propertyOf, sameJson } from '../../machinery/custom/json-schema.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1035Label, isDns1123Subdomain } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import { checkImmutable, checkOneOf, duplicate, invalidValue, notPermitted, required } from '../kinds/field-errors.ts';

import { validateClient } from '../kinds/webhook-configurations.ts';
import { schemaErrors } from './schema-validation.ts';

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];
const selectableMax = 8;
const warningLengthMax = 256;

export function validateDefinition(definition: CustomResourceDefinition): FieldError[] {
  const { metadata, spec } = definition;
  const requiredName = `${spec.names?.plural ?? ''}.${spec.group ?? ''}`;
  const nameCheck = (name: string) =>
    name === requiredName ? [] : ['must be spec.names.plural+"."+spec.group', ...isDns1123Subdomain(name)];
  return [
    ...validateMetadata(metadata, { namespaced: false, nameCheck }),
    ...groupErrors(spec.group),
    ...checkOneOf('spec.scope', spec.scope, ['Cluster', 'Namespaced']),
    ...versionsErrors(spec.versions ?? []),
    ...nameErrors(spec.names ?? { plural: '', kind: '' }),
    ...conversionErrors(spec.conversion),
    ...storedVersionErrors(definition),
    ...preserveErrors(spec),
  ];
}

/** Further rules for a definition that is new. */
export function validateNewDefinition(definition: CustomResourceDefinition): FieldError[] {
  return approvalErrors(definition, undefined);
}

export function validateDefinitionUpdate(next: CustomResourceDefinition, previous: CustomResourceDefinition): FieldError[] {
  const errors: FieldError[] = [];
  if (previous.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True')) {
    errors.push(
      ...checkImmutable('spec.scope', next.spec.scope, previous.spec.scope),
      ...checkImmutable('spec.names.kind', next.spec.names?.kind, previous.spec.names.kind),
    );
  }
  return [
    ...errors,
    ...checkImmutable('spec.group', next.spec.group, previous.spec.group),
    ...checkImmutable('spec.names.plural', next.spec.names?.plural, previous.spec.names.plural),
    ...approvalErrors(next, previous),
  ];
}

function groupErrors(group: string | undefined): FieldError[] {
  if (!group) return [required('spec.group')];
  const complaints = isDns1123Subdomain(group);
  if (complaints.length > 0) return [invalidValue('spec.group', group, complaints.join(','))];
  return group.includes('.') ? [] : [invalidValue('spec.group', group, 'should be a domain with at least one dot')];
}

/** The parts of versions that the definition's oldest version knew only once, with their names there. */
const shared = {
  schema: 'spec.validation',
  subresources: 'spec.subresources',
  additionalPrinterColumns: 'spec.additionalPrinterColumns',
  selectableFields: 'spec.selectableFields',
} as const;

function versionsErrors(versions: readonly DefinitionVersion[]): FieldError[] {
  const errors: FieldError[] = [];
  const alike = (part: keyof typeof shared) => versions.every((version) => sameJson(version[part], versions[0]?.[part]));
  const hoisted = new Set((Object.keys(shared) as (keyof typeof shared)[]).filter(alike));
  for (const [index, version] of versions.entries()) {
    const path = `spec.versions[${index}]`;
    const complaints = isDns1035Label(version.name ?? '');
    if (complaints.length > 0) errors.push(invalidValue(`${path}.name`, version.name ?? '', complaints.join(',')));
    errors.push(...warningErrors(version, path));
    if (!version.schema?.openAPIV3Schema) errors.push(required(`${path}.schema.openAPIV3Schema`));
    const placeOf = (part: keyof typeof shared) => (hoisted.has(part) ? shared[part] : `${path}.${part}`);
    const wanted = (part: keyof typeof shared) => index === 0 || !hoisted.has(part);
    errors.push(...partErrors(version, placeOf, wanted));
  }
  const names = versions.map(({ name }) => name);
  if (new Set(names).size < names.length) {
    errors.push(invalidValue('spec.versions', versions, 'must contain unique version names'));
  }
  if (versions.filter(({ storage }) => storage).length !== 1) {
    errors.push(invalidValue('spec.versions', versions, 'must have exactly one version marked as storage version'));
  }
  return errors;
}

function partErrors(
  version: DefinitionVersion,
  placeOf: (part: keyof typeof shared) => string,
  wanted: (part: keyof typeof shared) => boolean,
): FieldError[] {
  const errors: FieldError[] = [];
  const schema = version.schema?.openAPIV3Schema;
  if (schema && wanted('schema')) {
    const hasStatus = version.subresources?.status !== undefined;
    errors.push(...schemaErrors(schema, `${placeOf('schema')}.openAPIV3Schema`, hasStatus));
  }
  const { scale } = version.subresources ?? {};
  if (scale && wanted('subresources')) errors.push(...scaleErrors(scale, `${placeOf('subresources')}.scale`));
  if (wanted('additionalPrinterColumns')) {
    for (const [index, column] of (version.additionalPrinterColumns ?? []).entries()) {
      errors.push(...columnErrors(column, `${placeOf('additionalPrinterColumns')}[${index}]`));
    }
  }
  if (wanted('selectableFields')) {
    errors.push(...selectableErrors(version.selectableFields ?? [], schema, placeOf('selectableFields')));
  }
  return errors;
}

function warningErrors({ deprecated, deprecationWarning }: DefinitionVersion, path: string): FieldError[] {
  if (deprecationWarning === undefined) return [];
  const wrong = (why: string) => invalidValue(`${path}.deprecationWarning`, deprecationWarning, why);
  if (!deprecated) return [wrong('can only be set for deprecated versions')];
  const errors: FieldError[] = [];
  if (Buffer.byteLength(deprecationWarning) > warningLengthMax) errors.push(wrong('must be <= 256 characters long'));
  if (deprecationWarning === '') errors.push(wrong('must not be an empty string'));
  const odd = deprecationWarning.search(/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u);
  if (odd >= 0) {
    const why = `must only contain printable UTF-8 characters; non-printable character found at index ${odd}`;
    errors.push(wrong(why));
  }
  return errors;
}

function nameErrors(names: DefinitionNames): FieldError[] {
  const errors: FieldError[] = [];
  for (const name of ['plural', 'singular', 'kind', 'listKind'] as const) {
    if (!names[name]) errors.push(required(`spec.names.${name}`));
  }
  const label = (path: string, value: string | undefined, prefix = '') => {
    const complaints = value ? isDns1035Label(prefix ? value.toLowerCase() : value) : [];
    if (complaints.length > 0) errors.push(invalidValue(`spec.names.${path}`, value, prefix + complaints.join(',')));
  };
  const mixed = 'may have mixed case, but should otherwise match: ';
  label('plural', names.plural);
  label('singular', names.singular);
  label('kind', names.kind, mixed);
  label('listKind', names.listKind, mixed);
  for (const [index, name] of (names.shortNames ?? []).entries()) label(`shortNames[${index}]`, name);
  if (names.kind && names.kind === names.listKind) {
    errors.push(invalidValue('spec.names.listKind', names.listKind, 'kind and listKind may not be the same'));
  }
  for (const [index, name] of (names.categories ?? []).entries()) label(`categories[${index}]`, name);
  return errors;
}

function columnErrors(column: PrinterColumn, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const list = (values: readonly string[]) => `must be one of ${values.join(',')}`;
  if (!column.name) errors.push(required(`${path}.name`));
  if (!column.type) errors.push(required(`${path}.type`, list(columnTypes)));
  else if (!columnTypes.includes(column.type)) errors.push(invalidValue(`${path}.type`, column.type, list(columnTypes)));
  if (column.format && !columnFormats.includes(column.format)) {
    errors.push(invalidValue(`${path}.format`, column.format, list(columnFormats)));
  }
  if (!column.jsonPath) errors.push(required(`${path}.JSONPath`));
  else errors.push(...pathErrors(column.jsonPath, `${path}.JSONPath`));
  return errors;
}

function pathErrors(text: string, path: string): FieldError[] {
  return text.startsWith('.') ? [] : [invalidValue(path, text, 'must be a simple json path starting with .')];
}

function scaleErrors(scale: ScalePaths, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const check = (name: keyof ScalePaths, roots: string[], words: string, needed: boolean) => {
    const text = scale[name];
    const at = `${path}.${name}`;
    if (!text) return needed ? void errors.push(required(at)) : undefined;
    const wrong = pathErrors(text, at);
    if (wrong.length > 0) errors.push(...wrong);
    else if (!roots.some((root) => text.startsWith(root))) errors.push(invalidValue(at, text, words));
  };
  check('specReplicasPath', ['.spec.'], 'should be a json path under .spec', true);
  check('statusReplicasPath', ['.status.'], 'should be a json path under .status', true);
  const either = 'should be a json path under either .spec or .status';
  check('labelSelectorPath', ['.spec.', '.status.'], either, false);
  return errors;
}

function selectableErrors(fields: readonly { jsonPath: string }[], schema: JsonSchema | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, { jsonPath }] of fields.entries()) {
    const at = `${path}[${index}].jsonPath`;
    const wrong = (why: string) => errors.push(invalidValue(at, jsonPath, why));
    if (!jsonPath) {
      errors.push(required(at));
      continue;
    }
    const names = jsonPath.startsWith('.') ? simplePath(jsonPath) : undefined;
    if (!names) wrong('is an invalid path: expected a path of field names that starts with .');
    else {
      if (names[0] === 'metadata') wrong('must not point to fields in metadata');
      const found = schema && schemaAt(schema, names);
      if (!found) wrong('is an invalid path: does not refer to a valid field');
      else if (!['string', 'boolean', 'integer'].includes(found.type ?? '')) {
        wrong(
          'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
        );
      }
    }
    if (seen.has(jsonPath)) errors.push(duplicate(at, jsonPath));
    seen.add(jsonPath);
  }
  if (seen.size > selectableMax) {
    errors.push({ type: 'TooMany', field: path, value: seen.size, detail: `must have at most ${selectableMax} items` });
  }
  return errors;
}

function schemaAt(schema: JsonSchema, names: readonly string[]): JsonSchema | undefined {
  let found: JsonSchema | undefined = schema;
  for (const name of names) {
    if (!found || itemSchema(found)) return undefined;
    found = propertyOf(found, name);
  }
  return found;
}

function conversionErrors(conversion: CustomResourceDefinition['spec']['conversion']): FieldError[] {
  if (!conversion) return [];
  const path = 'spec.conversion';
  const { strategy, webhook } = conversion;
  const errors = checkOneOf(`${path}.strategy`, strategy, ['None', 'Webhook']);
  const client = `${path}.webhookClientConfig`;
  const versions = webhook?.conversionReviewVersions ?? [];
  if (strategy !== 'Webhook') {
    const why = 'should not be set when strategy is not set to Webhook';
    if (webhook?.clientConfig) errors.push(notPermitted(client, why));
    if (versions.length > 0) errors.push(notPermitted(`${path}.conversionReviewVersions`, why));
    return errors;
  }
  if (!webhook?.clientConfig) errors.push(required(client, 'required when strategy is set to Webhook'));
  else errors.push(...validateClient(webhook.clientConfig, client));
  return [...errors, ...reviewVersionErrors(versions, `${path}.conversionReviewVersions`)];
}

function reviewVersionErrors(versions: readonly string[], path: string): FieldError[] {
  if (versions.length === 0) return [required(path)];
  const errors: FieldError[] = [];
  for (const [index, version] of versions.entries()) {
    const at = `${path}[${index}]`;
    if (versions.indexOf(version) < index) errors.push(invalidValue(at, version, 'duplicate version'));
    else for (const complaint of isDns1035Label(version)) errors.push(invalidValue(at, version, complaint));
  }
  if (!versions.some((version) => version === 'v1' || version === 'v1beta1')) {
    errors.push(invalidValue(path, versions, 'must include at least one of v1, v1beta1'));
  }
  return errors;
}

/** Which versions objects may be stored in. */
export function storedVersionErrors({ spec, status }: CustomResourceDefinition): FieldError[] {
  const stored = status?.storedVersions ?? [];
  const path = 'status.storedVersions';
  if (stored.length === 0) return [invalidValue(path, stored, 'must have at least one stored version')];
  const versions = spec.versions ?? [];
  const storage = versions.find((version) => version.storage);
  const errors: FieldError[] = [];
  if (storage && !stored.includes(storage.name)) {
    errors.push(invalidValue(path, stored, `must have the storage version ${storage.name}`));
  }
  for (const [index, name] of stored.entries()) {
    if (versions.some((version) => version.name === name)) continue;
    const why = `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`;
    errors.push(invalidValue(`${path}[${index}]`, name, why));
  }
  return errors;
}

function preserveErrors({ preserveUnknownFields }: CustomResourceDefinition['spec']): FieldError[] {
  if (!preserveUnknownFields) return [];
  const why = 'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead';
  return [invalidValue('spec.preserveUnknownFields', true, why)];
}

function approvalErrors(next: CustomResourceDefinition, previous: CustomResourceDefinition | undefined): FieldError[] {
  if (!isProtectedGroup(next.spec.group ?? '')) return [];
  const { state, reason } = approvalOf(next);
  if (previous && approvalOf(previous).state === state) return [];
  const field = `metadata.annotations[${approvalAnnotation}]`;
  if (state === 'Missing') return [required(field, reason)];
  return state === 'Invalid' ? [invalidValue(field, next.metadata.annotations?.[approvalAnnotation], reason)] : [];
}
