/** Columns of `kubectl get` that many kinds share. Cells hold what the stock server prints, ages included. */
import { ageOf } from '../../machinery/duration.ts';
import type { Column } from '../../machinery/kind.ts';
import type { KubeObject, PodTemplateSpec } from '../../machinery/types.ts';

type Cell<T> = Column<T>['cell'];

const metadataDescription = {
  name: 'Name must be unique within a namespace.',
  age: 'Time since the creation of the object.',
};

/** A text column that is always shown. */
export function column<T>(name: string, cell: Cell<T>, description = ''): Column<T> {
  return { name, type: 'string', priority: 0, description, cell };
}

/** An integer column that is always shown. */
export function integerColumn<T>(name: string, cell: Cell<T>, description = ''): Column<T> {
  return { name, type: 'integer', priority: 0, description, cell };
}

/** A text column of `-o wide`. */
export function wideColumn<T>(name: string, cell: Cell<T>, description = ''): Column<T> {
  return { name, type: 'string', priority: 1, description, cell };
}

export const nameColumn: Column<KubeObject> = {
  name: 'Name',
  type: 'string',
  format: 'name',
  priority: 0,
  description: metadataDescription.name,
  cell: (object) => object.metadata.name,
};

export const ageColumn: Column<KubeObject> = {
  name: 'Age',
  type: 'string',
  priority: 0,
  description: metadataDescription.age,
  cell: (object, nowMs) => ageOf(object.metadata.creationTimestamp, nowMs),
};

/** `a=1,b=2` in the order of the keys, or `empty`. */
export function formatMap(map: Record<string, string> | undefined, empty = '<none>'): string {
  const pairs = Object.entries(map ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length ? pairs.sort().join(',') : empty;
}

/** The first `shown` items, and how many more there are. */
export function firstOf(items: readonly string[], shown: number, empty: string): string {
  if (items.length === 0) return empty;
  const list = items.slice(0, shown).join(',');
  return items.length > shown ? `${list} + ${items.length - shown} more...` : list;
}

export const containerNames = (template: PodTemplateSpec | undefined): string =>
  (template?.spec?.containers ?? []).map((container) => container.name).join(',');

export const containerImages = (template: PodTemplateSpec | undefined): string =>
  (template?.spec?.containers ?? []).map((container) => container.image ?? '').join(',');
