/**
 * The kinds that a CustomResourceDefinition stands for: one declaration for each of its versions, since schema, columns, subresources
 * and selectable fields belong to a version. All of them share the keys in the store.
 */

import { defaultCustom } from '../../machinery/custom/defaulting.ts';
import {
  type CustomResourceDefinition,
  compareVersions,
  type DefinitionVersion,
  definitionGroup,
  type PrinterColumn,
  type ScalePaths,
  storageVersionOf,
} from '../../machinery/custom/definition.ts';
import { parseJsonPath, simplePath } from '../../machinery/custom/json-path.ts';
import type { JsonObject, JsonSchema } from '../../machinery/custom/json-schema.ts';
import { isObject } from '../../machinery/custom/json-schema.ts';
import { pruneCustom } from '../../machinery/custom/pruning.ts';
import { customShape } from '../../machinery/custom/shapes.ts';
import { ageOf } from '../../machinery/duration.ts';
import type { Column, KindDefinition, KindVersion, ScaleMapping, StoredForm } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { checkObject, pruneUnknown } from '../../machinery/schemas.ts';
import { type FieldError, internalError } from '../../machinery/status.ts';
import type { KubeObject, Scale } from '../../machinery/types.ts';
import { nameColumn } from '../kinds/columns.ts';
import { type ConversionClient, convertThrough } from './conversion.ts';
import { embeddedErrors } from './embedded.ts';
import { compileRules } from './rules.ts';
import { validateCustom } from './value-validation.ts';

const anything: JsonSchema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const metadataSchema = 'meta.v1.ObjectMeta';

/** For each version that is served or stored, newest first. The definition must have passed validation. */
export function customKinds(definition: CustomResourceDefinition, conversion: ConversionClient | undefined): KindDefinition[] {
  const storage = storageVersionOf(definition);
  if (!storage) return [];
  return definition.spec.versions
    .filter((version) => version.served || version === storage)
    .sort((a, b) => compareVersions(a.name, b.name))
    .map((version) => customKind(definition, version, conversion));
}

function customKind(
  definition: CustomResourceDefinition,
  version: DefinitionVersion,
  conversion: ConversionClient | undefined,
): KindDefinition {
  const { spec } = definition;
  const names = definition.status?.acceptedNames?.plural ? definition.status.acceptedNames : spec.names;
  const schema = version.schema?.openAPIV3Schema ?? anything;
  const rules = compileRules(schema);
  const namespaced = spec.scope === 'Namespaced';
  const hasStatus = version.subresources?.status !== undefined;
  const validate = (object: KubeObject, previous?: KubeObject): FieldError[] => {
    const errors = [
      ...validateMetadata(object.metadata, { namespaced, nameCheck: isDns1123Subdomain }),
      ...validateCustom(object, schema, previous),
      ...embeddedErrors(object as unknown as JsonObject, schema),
    ];
    return errors.length > 0 ? errors : rules(object, previous);
  };
  return {
    group: spec.group,
    kind: names.kind,
    plural: names.plural,
    singular: names.singular || names.kind.toLowerCase(),
    shortNames: names.shortNames,
    categories: names.categories,
    namespaced,
    versions: [servedVersion(definition, version, schema), ...otherVersions(definition, version)],
    hasStatus,
    ...(version.subresources?.scale ? { scale: scaleMapping(version.subresources.scale) } : {}),
    generationFields: 'all',
    storedForm: storedForm(definition, version, schema, conversion),
    definitionKey: `/registry/${definitionGroup}/customresourcedefinitions/${definition.metadata.name}`,
    setDefaults: (object) => void defaultCustom(object, schema),
    prepare(next, previous) {
      if (hasStatus && !previous) delete (next as { status?: unknown }).status;
    },
    validate,
    validateStatusUpdate: validate,
    columns: columnsOf(version.additionalPrinterColumns),
    selectableFields: selectableFields(version),
  };
}

function servedVersion({ spec }: CustomResourceDefinition, version: DefinitionVersion, schema: JsonSchema): KindVersion {
  const { name, served, deprecated, deprecationWarning } = version;
  const { kind } = spec.names;
  return {
    name,
    // No generated schema has such a name.
    schema: `custom/${spec.group}/${name}/${kind}`,
    shape: customShape(schema),
    openApi: schema,
    ...(served ? {} : { served: false }),
    ...(deprecated ? { deprecation: deprecationWarning ?? `${spec.group}/${name} ${kind} is deprecated` } : {}),
    decode: (object) => decode(object, schema),
  };
}

/** Named so that the owners of fields who wrote through them are understood; served by kinds of their own. */
function otherVersions({ spec }: CustomResourceDefinition, version: DefinitionVersion): KindVersion[] {
  return spec.versions
    .filter((other) => other !== version)
    .map(({ name }) => ({ name, schema: `custom/${spec.group}/${name}/${spec.names.kind}`, served: false }));
}

/** Brings what a caller sent into the form of its schema: unknown fields go, nulls go where null is no value. */
function decode(object: KubeObject, schema: JsonSchema): { unknownFields: string[]; errors: string[] } {
  const metadata = object.metadata as unknown;
  const of = checkObject(metadata, metadataSchema);
  if (of.errors.length > 0) return { unknownFields: [], errors: of.errors };
  pruneUnknown(metadata, metadataSchema);
  const unknownFields = [
    ...of.unknownFields.map((field) => `metadata.${field}`),
    ...pruneCustom(object as unknown as JsonObject, schema),
  ];
  defaultCustom(object, schema);
  return { unknownFields, errors: [] };
}

function storedForm(
  definition: CustomResourceDefinition,
  version: DefinitionVersion,
  schema: JsonSchema,
  conversion: ConversionClient | undefined,
): StoredForm {
  const { group, conversion: rule } = definition.spec;
  return {
    storedAs: `${group}/${storageVersionOf(definition)?.name ?? version.name}`,
    servedAs: `${group}/${version.name}`,
    ...(rule?.strategy === 'Webhook' ? { convert: convertThrough(definition, conversion) } : {}),
    complete(object) {
      const copy = structuredClone(object);
      const pruned = pruneCustom(copy as unknown as JsonObject, schema).length > 0;
      return defaultCustom(copy, schema) || pruned ? copy : object;
    },
  };
}

function columnsOf(columns: readonly PrinterColumn[] | undefined): Column<KubeObject>[] {
  const own = columns ?? [
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Time since the creation of the object.' },
  ];
  return [nameColumn, ...own.map(columnOf)];
}

function columnOf({ name, type, format, description, priority, jsonPath }: PrinterColumn): Column<KubeObject> {
  const find = parseJsonPath(jsonPath);
  return {
    name,
    type: type as Column<KubeObject>['type'],
    ...(format ? { format } : {}),
    description: description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority: (priority ?? 0) as 0 | 1,
    cell(object, nowMs) {
      const [value] = find?.(object) ?? [];
      return value === undefined ? null : cellOf(type, value, nowMs);
    },
  };
}

/** Null when the value is not of the column's type. */
function cellOf(type: string, value: unknown, nowMs: number): string | number | boolean | null {
  if (type === 'string') return value === null ? '<nil>' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  if (type === 'integer') return typeof value === 'number' ? Math.trunc(value) : null;
  if (type === 'number') return typeof value === 'number' ? value : null;
  if (type === 'boolean') return typeof value === 'boolean' ? value : null;
  if (typeof value !== 'string') return null;
  return Number.isNaN(Date.parse(value)) ? '<invalid>' : ageOf(value, nowMs);
}

function selectableFields({ selectableFields: fields = [] }: DefinitionVersion): KindDefinition['selectableFields'] {
  return Object.fromEntries(
    fields.map(({ jsonPath }) => {
      const find = parseJsonPath(jsonPath);
      return [
        jsonPath.replace(/^\./, ''),
        (object: KubeObject) => {
          const [value] = find?.(object) ?? [];
          return value === undefined || value === null ? '' : String(value);
        },
      ];
    }),
  );
}

function scaleMapping({ specReplicasPath, statusReplicasPath, labelSelectorPath }: ScalePaths): ScaleMapping<KubeObject> {
  const wanted = parseJsonPath(specReplicasPath);
  const present = parseJsonPath(statusReplicasPath);
  const selector = labelSelectorPath ? parseJsonPath(labelSelectorPath) : undefined;
  const names = simplePath(specReplicasPath);
  return {
    get(object): Scale {
      const [replicas] = wanted?.(object) ?? [];
      if (typeof replicas !== 'number') throw internalError(`the spec replicas field "${specReplicasPath}" does not exist`);
      const [running] = present?.(object) ?? [];
      const [labels] = selector?.(object) ?? [];
      return {
        apiVersion: 'autoscaling/v1',
        kind: 'Scale',
        metadata: { name: object.metadata.name },
        spec: { replicas },
        status: {
          replicas: typeof running === 'number' ? running : 0,
          ...(typeof labels === 'string' && labels !== '' ? { selector: labels } : {}),
        },
      };
    },
    setReplicas(object, replicas) {
      if (names) setAt(object as unknown as JsonObject, names, replicas);
    },
  };
}

function setAt(object: JsonObject, names: readonly string[], value: unknown): void {
  const [first = '', ...rest] = names;
  if (rest.length === 0) {
    object[first] = value;
    return;
  }
  if (!isObject(object[first])) object[first] = {};
  setAt(object[first] as JsonObject, rest, value);
}
