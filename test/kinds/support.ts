/** What the tests of kinds share: running an object through a kind the way a write does. */
import { kinds } from '../../src/api/kinds/index.ts';
import type { KindDefinition } from '../../src/machinery/kind.ts';
import { type FieldError, fieldErrorBody } from '../../src/machinery/status.ts';
import type { KubeObject, Pod, PodSpec } from '../../src/machinery/types.ts';

export const nowMs = Date.parse('2026-01-02T03:04:05Z');

export function kindOf(name: string): KindDefinition {
  const kind = kinds.find((candidate) => candidate.kind === name);
  if (!kind) throw new Error(`no kind ${name}`);
  return kind;
}

/** What is answered and never stored cannot be watched. */
export const isStored = ({ verbs }: KindDefinition) => !verbs || verbs.includes('watch');

export function object(kind: string, fields: Record<string, unknown> = {}): KubeObject {
  const of = kindOf(kind);
  const metadata = { name: 'a', ...(of.namespaced ? { namespace: 'default' } : {}) };
  const version = of.versions[0].name;
  const apiVersion = of.group ? `${of.group}/${version}` : version;
  return { apiVersion, kind, metadata, ...structuredClone(fields) } as KubeObject;
}

/** Defaulted and prepared, as it would be stored. Gives a copy. */
export function created(kind: string, fields: Record<string, unknown> = {}): KubeObject {
  const next = object(kind, fields);
  const of = kindOf(kind);
  of.setDefaults(next);
  of.prepare?.(next, undefined, { nowMs, creating: true });
  return plain(next);
}

/** The state after an update to `fields`. */
export function updated(previous: KubeObject, fields: Record<string, unknown>): KubeObject {
  const of = kindOf(previous.kind);
  const next = object(previous.kind, fields);
  of.setDefaults(next);
  of.prepare?.(next, structuredClone(previous), { nowMs, creating: false });
  return plain(next);
}

export const lines = (errors: FieldError[]): string[] => errors.map((error) => `${error.field}: ${fieldErrorBody(error)}`);

export function complaints(kind: string, fields: Record<string, unknown>): string[] {
  return lines(kindOf(kind).validate(created(kind, fields)));
}

export function updateComplaints(kind: string, before: Record<string, unknown>, after: Record<string, unknown>): string[] {
  const previous = created(kind, before);
  return lines(kindOf(kind).validateUpdate?.(updated(previous, after), previous) ?? []);
}

/** The cells of one row, with the names of their columns. */
export function row(of: KubeObject, wide = false): Record<string, unknown> {
  const columns = kindOf(of.kind).columns.filter((column) => wide || !column.priority);
  return Object.fromEntries(columns.map((column) => [column.name, column.cell(of, nowMs)]));
}

export const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

export const podSpec = (fields: Partial<PodSpec> = {}) => ({ containers: [{ name: 'web', image: 'web:1' }], ...fields });
export const withContainer = (fields: Record<string, unknown>, spec: Record<string, unknown> = {}) => ({
  spec: { containers: [{ name: 'web', image: 'web:1', ...fields }], ...spec },
});

export const pod = (fields: Record<string, unknown> = {}): Pod => created('Pod', { spec: podSpec(), ...fields }) as Pod;

export function deploymentFields(spec: Record<string, unknown> = {}) {
  return {
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: podSpec() },
      ...spec,
    },
  };
}
