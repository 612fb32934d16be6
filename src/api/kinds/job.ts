/** Job: pods that are run until enough of them have succeeded. */
import { humanDuration } from '../../machinery/duration.ts';
import type { KindDefinition } from '../../machinery/kind.ts';
import type { Job, JobSpec } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { setPodSpecDefaults } from '../../machinery/pod-defaults.ts';
import { formatLabelSelector } from '../../machinery/selectors.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { PodTemplateSpec } from '../../machinery/types.ts';
import { ageColumn, column, containerImages, containerNames, nameColumn, wideColumn } from './columns.ts';
import { checkImmutable, checkNotNegative, invalidValue, required } from './field-errors.ts';
import { validateJobSpec } from './job-template.ts';

const uidLabel = 'batch.kubernetes.io/controller-uid';
const nameLabel = 'batch.kubernetes.io/job-name';
const legacyUidLabel = 'controller-uid';
const legacyNameLabel = 'job-name';
const backoffLimitDefault = 6;
const unlimited = 2 ** 31 - 1;

export const jobKind: KindDefinition<Job> = {
  group: 'batch',
  kind: 'Job',
  plural: 'jobs',
  singular: 'job',
  categories: ['all'],
  namespaced: true,
  versions: [{ name: 'v1', schema: 'batch.v1.Job' }],
  hasStatus: true,
  defaultPropagation: 'Orphan',

  setDefaults({ metadata, spec }) {
    if (!spec) return;
    if (spec.completions == null && spec.parallelism == null) spec.completions = 1;
    spec.parallelism ??= 1;
    spec.backoffLimit ??= spec.backoffLimitPerIndex == null ? backoffLimitDefault : unlimited;
    spec.completionMode ||= 'NonIndexed';
    spec.suspend ??= false;
    spec.manualSelector ??= false;
    spec.podReplacementPolicy ||= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed';
    for (const { onPodConditions = [] } of spec.podFailurePolicy?.rules ?? []) {
      for (const condition of onPodConditions) condition.status ||= 'True';
    }
    const labels = spec.template?.metadata?.labels;
    if (labels && Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels };
    if (spec.template?.spec) setPodSpecDefaults(spec.template.spec);
  },

  prepare(next, _previous, { creating }) {
    if (!creating) return;
    next.status = {};
    if (next.spec && !next.spec.manualSelector) generateSelector(next, next.spec);
  },

  validate({ metadata, spec }) {
    const errors = validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain });
    if (!spec) return [...errors, required('spec.template')];
    return [...errors, ...validateSelector(spec), ...validateJobSpec(spec, 'spec')];
  },

  validateUpdate(next, previous) {
    const fixed = [
      'selector',
      'completionMode',
      'podFailurePolicy',
      'backoffLimitPerIndex',
      'managedBy',
      'successPolicy',
    ] as const;
    const errors = fixed.flatMap((name) => checkImmutable(`spec.${name}`, next.spec?.[name], previous.spec?.[name]));
    const { completions, parallelism, completionMode } = next.spec ?? {};
    const elastic = completionMode === 'Indexed' && completions === parallelism;
    if (!elastic) errors.push(...checkImmutable('spec.completions', completions, previous.spec?.completions));
    const [template, before] = [next.spec?.template, previous.spec?.template];
    const startable = previous.spec?.suspend === true && !previous.status?.startTime;
    const fine = startable ? withPlacementOf(before, template) : before;
    return [...errors, ...checkImmutable('spec.template', template, fine)];
  },

  validateStatusUpdate: ({ status }) =>
    (['active', 'succeeded', 'failed', 'ready', 'terminating'] as const).flatMap((name) =>
      checkNotNegative(`status.${name}`, status?.[name]),
    ),

  columns: [
    nameColumn,
    column('Status', statusCell, 'Whether it runs, or how it ended.'),
    column('Completions', completionsCell, 'Pods that have succeeded, and how many shall.'),
    column('Duration', durationCell, 'Time from its start to its end, or until now.'),
    ageColumn,
    wideColumn('Containers', ({ spec }) => containerNames(spec?.template), 'Names of the containers in the template.'),
    wideColumn('Images', ({ spec }) => containerImages(spec?.template), 'Images of the containers in the template.'),
    wideColumn('Selector', ({ spec }) => formatLabelSelector(spec?.selector), 'Chooses the pods.'),
  ],

  selectableFields: { 'status.successful': ({ status }) => String(status?.succeeded ?? 0) },
};

/** A job's pods carry its uid, so that no two jobs can choose the same ones. */
function generateSelector({ metadata }: Job, spec: JobSpec): void {
  if (!spec.template) return;
  const uid = metadata.uid ?? '';
  spec.template.metadata ??= {};
  const given = { [legacyNameLabel]: metadata.name, [nameLabel]: metadata.name, [legacyUidLabel]: uid, [uidLabel]: uid };
  spec.template.metadata.labels = { ...given, ...spec.template.metadata.labels };
  spec.selector ??= {};
  spec.selector.matchLabels = { [uidLabel]: uid, ...spec.selector.matchLabels };
}

function validateSelector({ manualSelector, selector, template }: JobSpec): FieldError[] {
  if (manualSelector) return selector ? [] : [required('spec.selector')];
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  const own = [uidLabel, legacyUidLabel].some((label) => matchLabels[label] === template?.metadata?.labels?.[label]);
  if (!template?.metadata?.labels || (Object.keys(matchLabels).length === 1 && matchExpressions.length === 0 && own)) return [];
  return [invalidValue('spec.selector', selector ?? {}, '`selector` not auto-generated')];
}

/** `template` with what may still change before the pods of a suspended job are made. */
function withPlacementOf(template: PodTemplateSpec | undefined, source: PodTemplateSpec | undefined) {
  if (!template?.spec || !source?.spec) return template;
  const { nodeSelector, affinity, tolerations, schedulingGates } = source.spec;
  const { labels, annotations } = source.metadata ?? {};
  return {
    ...template,
    metadata: { ...template.metadata, labels, annotations },
    spec: { ...template.spec, nodeSelector, affinity, tolerations, schedulingGates },
  };
}

function statusCell({ metadata, status }: Job): string {
  const holds = (type: string) => status?.conditions?.some((condition) => condition.type === type && condition.status === 'True');
  if (holds('Complete')) return 'Complete';
  if (holds('Failed')) return 'Failed';
  if (metadata.deletionTimestamp) return 'Terminating';
  if (holds('Suspended')) return 'Suspended';
  return holds('FailureTarget') ? 'FailureTarget' : 'Running';
}

function completionsCell({ spec, status }: Job): string {
  const done = status?.succeeded ?? 0;
  if (spec?.completions != null) return `${done}/${spec.completions}`;
  const parallelism = spec?.parallelism ?? 0;
  return parallelism > 1 ? `${done}/1 of ${parallelism}` : `${done}/1`;
}

function durationCell({ status }: Job, nowMs: number): string {
  if (!status?.startTime) return '';
  const endMs = status.completionTime ? Date.parse(status.completionTime) : nowMs;
  return humanDuration(endMs - Date.parse(status.startTime));
}
