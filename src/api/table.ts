/** What `kubectl get` prints: rows of cells computed here, so that every client shows the same. */
import type { KindDefinition } from '../machinery/kind.ts';
import type { KubeObject } from '../machinery/types.ts';
import type { ResolvedKind } from './kind-table.ts';
import { fromStorage } from './stored-objects.ts';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** The `columnDefinitions` of a kind. */
export function columnDefinitions(kind: KindDefinition): object[] {
  return kind.columns.map(({ name, type, format = '', description = '', priority = 0 }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
}

/** One row. `object` is in the storage version; what the row carries of it is in the version asked for. */
export function tableRow(resolved: ResolvedKind, object: KubeObject, include: IncludeObject, nowMs: number): object {
  const cells = rowCells(resolved, object, nowMs);
  if (include === 'None') return { cells };
  if (include === 'Object') return { cells, object: fromStorage(resolved, object) };
  return { cells, object: partialObject(object) };
}

export function rowCells(resolved: ResolvedKind, object: KubeObject, nowMs: number): unknown[] {
  return resolved.kind.columns.map((column) => column.cell(object, nowMs));
}

/** Metadata alone. */
export function partialObject({ metadata }: KubeObject): object {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
}

export function table(kind: KindDefinition, metadata: object, rows: object[]): object {
  return { kind: 'Table', apiVersion: 'meta.k8s.io/v1', metadata, columnDefinitions: columnDefinitions(kind), rows };
}
