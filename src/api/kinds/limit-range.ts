/** LimitRange: bounds and defaults for what single objects of a namespace may ask for. */
import type { Column, KindDefinition } from '../../machinery/kind.ts';
import type { LimitRange } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain, isQualifiedName } from '../../machinery/names.ts';
import { canonicalizeQuantities } from '../../machinery/pod-defaults.ts';
import { isQuantity, quantityMilli } from '../../machinery/quantity.ts';
import type { FieldError } from '../../machinery/status.ts';
import { nameColumn } from './columns.ts';
import { checkName, checkQuantity, duplicate, invalidValue, invalidWhen, notPermitted, required } from './field-errors.ts';

type Amounts = Record<string, string>;
/** The official model cannot have a member called `default`. */
type Item = Omit<NonNullable<LimitRange['spec']>['limits'][number], '_default'> & { default?: Amounts };

const amountFields = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const;

export const createdAtColumn: Column<LimitRange> = {
  name: 'Created At',
  type: 'date',
  priority: 0,
  description: 'When the object was created.',
  cell: ({ metadata }) => metadata.creationTimestamp ?? null,
};

export const limitRangeKind: KindDefinition<LimitRange> = {
  group: '',
  kind: 'LimitRange',
  plural: 'limitranges',
  singular: 'limitrange',
  shortNames: ['limits'],
  namespaced: true,
  versions: [{ name: 'v1', schema: 'core.v1.LimitRange' }],
  hasStatus: false,
  generationFields: [],

  setDefaults({ spec }) {
    for (const item of spec?.limits ?? []) setItemDefaults(item);
  },

  validate({ metadata, spec }) {
    const errors = validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain });
    const types = new Set<string>();
    for (const [index, item] of (spec?.limits ?? []).entries()) {
      const path = `spec.limits[${index}]`;
      errors.push(...checkName(`${path}.type`, item.type, isQualifiedName));
      if (types.has(item.type)) errors.push(duplicate(`${path}.type`, item.type));
      types.add(item.type);
      errors.push(...validateItem(item, path));
    }
    return errors;
  },

  columns: [nameColumn, createdAtColumn],
};

/** A container that says nothing gets the most it may have; one that says only its limit asks for that. */
function setItemDefaults(item: Item): void {
  for (const field of amountFields) canonicalizeQuantities(item[field]);
  if (item.type !== 'Container') return;
  const limits: Amounts = { ...item.max, ...item.default };
  const requests: Amounts = { ...item.min, ...limits, ...item.defaultRequest };
  if (Object.keys(limits).length > 0) item.default = limits;
  if (Object.keys(requests).length > 0) item.defaultRequest = requests;
}

function validateItem(item: Item, path: string): FieldError[] {
  const { min = {}, max = {}, default: standard = {}, defaultRequest = {}, maxLimitRequestRatio = {} } = item;
  const errors: FieldError[] = [];
  for (const [field, amounts] of Object.entries({ max, min, default: standard, defaultRequest, maxLimitRequestRatio })) {
    for (const [name, amount] of Object.entries(amounts)) {
      const at = `${path}.${field}[${name}]`;
      errors.push(...invalidWhen(at, name, isQualifiedName), ...checkQuantity(at, amount));
    }
  }
  if (item.type === 'Pod') {
    const detail = "may not be specified when `type` is 'Pod'";
    if (Object.keys(standard).length > 0) errors.push(notPermitted(`${path}.default`, detail));
    if (Object.keys(defaultRequest).length > 0) errors.push(notPermitted(`${path}.defaultRequest`, detail));
  }
  if (item.type === 'PersistentVolumeClaim' && !min.storage && !max.storage) {
    const detail = 'either minimum or maximum storage value is required, but neither was provided';
    errors.push(required(`${path}.limits`, detail));
  }
  const compare = (field: string, small: Amounts, smallName: string, large: Amounts, largeName: string) => {
    for (const [name, amount] of Object.entries(small)) {
      const bound = large[name];
      if (bound === undefined || !isQuantity(amount) || !isQuantity(bound)) continue;
      if (quantityMilli(amount) <= quantityMilli(bound)) continue;
      const detail = `${smallName} value ${amount} is greater than ${largeName} value ${bound}`;
      errors.push(invalidValue(`${path}.${field}[${name}]`, small === min && large !== max ? bound : amount, detail));
    }
  };
  compare('min', min, 'min', max, 'max');
  compare('defaultRequest', min, 'min', defaultRequest, 'default request');
  compare('defaultRequest', defaultRequest, 'default request', max, 'max');
  compare('defaultRequest', defaultRequest, 'default request', standard, 'default limit');
  compare('default', min, 'min', standard, 'default');
  compare('default', standard, 'default', max, 'max');
  return errors;
}
