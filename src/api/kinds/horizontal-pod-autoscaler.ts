/** HorizontalPodAutoscaler: how many replicas a workload has, by its load. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { HorizontalPodAutoscaler } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { canonicalQuantity, isQuantity } from '../../machinery/quantity.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkNotNegative } from './field-errors.ts';
import { type HpaMetric, type HpaSpec, type MetricTarget, targetCells, validateHpaSpec } from './hpa-metrics.ts';
import { fromV1, fromV2beta1, toV1, toV2beta1 } from './hpa-versions.ts';
import { oldVersion } from './old-versions.ts';

const use = 'autoscaling/v2 HorizontalPodAutoscaler';
const cpuPercentDefault = 80;

export const horizontalPodAutoscalerKind: KindDefinition<HorizontalPodAutoscaler> = {
  group: 'autoscaling',
  kind: 'HorizontalPodAutoscaler',
  plural: 'horizontalpodautoscalers',
  singular: 'horizontalpodautoscaler',
  shortNames: ['hpa'],
  categories: ['all'],
  namespaced: true,
  versions: [
    { name: 'v2', schema: 'autoscaling.v2.HorizontalPodAutoscaler' },
    { name: 'v1', schema: 'autoscaling.v1.HorizontalPodAutoscaler', toStorage: fromV1, fromStorage: toV1 },
    oldVersion('autoscaling', {
      name: 'v2beta2',
      schema: 'autoscaling.v2beta2.HorizontalPodAutoscaler',
      releases: ['1.23', '1.26'],
      use,
    }),
    oldVersion('autoscaling', {
      name: 'v2beta1',
      schema: 'autoscaling.v2beta1.HorizontalPodAutoscaler',
      releases: ['1.22', '1.25'],
      use,
      toStorage: fromV2beta1,
      fromStorage: toV2beta1,
    }),
  ],
  hasStatus: true,
  generationFields: [],

  setDefaults({ spec, status }) {
    if (status) status.desiredReplicas ??= 0;
    if (!spec) return;
    spec.minReplicas ??= 1;
    if (!spec.metrics?.length) {
      const target = { type: 'Utilization', averageUtilization: cpuPercentDefault };
      spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target } }];
    }
    for (const metric of spec.metrics) canonicalizeTarget(metric);
    if (spec.behavior) setBehaviorDefaults(spec);
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = { desiredReplicas: 0 } as HorizontalPodAutoscaler['status'];
  },

  validate: ({ metadata, spec }) => [
    ...validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
    ...validateHpaSpec(spec),
  ],

  validateStatusUpdate: ({ status }) => [
    ...checkNotNegative('status.currentReplicas', status?.currentReplicas),
    ...checkNotNegative('status.desiredReplicas', status?.desiredReplicas),
  ],

  columns: [
    nameColumn,
    column(
      'Reference',
      ({ spec }) => `${spec?.scaleTargetRef?.kind ?? ''}/${spec?.scaleTargetRef?.name ?? ''}`,
      'What it scales.',
    ),
    column('Targets', targetCells, 'Measured and wanted load.'),
    column('MinPods', ({ spec }) => String(spec?.minReplicas ?? '<unset>'), 'The least number of pods.'),
    column('MaxPods', ({ spec }) => spec?.maxReplicas ?? 0, 'The greatest number of pods.'),
    column('Replicas', ({ status }) => status?.currentReplicas ?? 0, 'The number of pods there are.'),
    ageColumn,
  ],
};

function canonicalizeTarget(metric: HpaMetric): void {
  const sources = [metric.resource, metric.containerResource, metric.pods, metric.object, metric.external];
  for (const target of sources.flatMap((source) => (source?.target ? [source.target as MetricTarget] : []))) {
    for (const field of ['value', 'averageValue'] as const) {
      const amount = target[field];
      if (isQuantity(amount)) target[field] = canonicalQuantity(amount as string);
    }
  }
}

/** Up: double, or four pods, each quarter of a minute; down: everything at once, after a while of calm. */
function setBehaviorDefaults({ behavior }: HpaSpec): void {
  if (!behavior) return;
  behavior.scaleUp ??= {};
  behavior.scaleDown ??= {};
  behavior.scaleUp.stabilizationWindowSeconds ??= 0;
  behavior.scaleUp.selectPolicy ||= 'Max';
  behavior.scaleDown.selectPolicy ||= 'Max';
  behavior.scaleUp.policies ??= [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ];
  behavior.scaleDown.policies ??= [{ type: 'Percent', value: 100, periodSeconds: 15 }];
}
