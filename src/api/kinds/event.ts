/** Event: something that happened to an object, for people. Programs must not rely on them. */
import { ageOf } from '../../machinery/duration.ts';
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Label, isDns1123Subdomain } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { Event } from '../../machinery/types.ts';
import { column, nameColumn, wideColumn } from './columns.ts';
import { fromCoreEvent, toCoreEvent } from './event-versions.ts';
import { invalidValue, invalidWhen } from './field-errors.ts';

const aboutFields = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'] as const;

export const eventKind: KindDefinition<Event> = {
  group: '',
  kind: 'Event',
  plural: 'events',
  singular: 'event',
  shortNames: ['ev'],
  namespaced: true,
  versions: [
    { name: 'v1', schema: 'core.v1.Event' },
    {
      group: 'events.k8s.io',
      name: 'v1',
      schema: 'events.v1.Event',
      toStorage: toCoreEvent,
      fromStorage: fromCoreEvent,
    },
  ],
  hasStatus: false,
  createOnUpdate: true,
  generationFields: [],
  defaultPropagation: 'Unsupported',

  setDefaults(event) {
    event.involvedObject ??= {};
  },

  validate(event) {
    return [
      ...validateMetadata(event.metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
      ...validateNamespace(event),
    ];
  },

  columns: [
    column('Last Seen', lastSeen, 'Time since it was seen last.'),
    column('Type', ({ type }) => type ?? '', 'Normal or Warning.'),
    column('Reason', ({ reason }) => reason ?? '', 'Why it happened, in one word.'),
    column(
      'Object',
      ({ involvedObject: about }) => `${(about.kind ?? '').toLowerCase()}/${about.name ?? ''}`,
      'What it is about.',
    ),
    wideColumn('Subobject', ({ involvedObject }) => involvedObject.fieldPath ?? '', 'The part of the object it is about.'),
    wideColumn('Source', sourceCell, 'Who reports it.'),
    column('Message', ({ message }) => (message ?? '').trim(), 'What happened.'),
    wideColumn(
      'First Seen',
      ({ firstTimestamp, eventTime }, nowMs) => ageOf(firstTimestamp || eventTime, nowMs),
      'Time since it was seen first.',
    ),
    wideColumn('Count', ({ series, count }) => series?.count || count || 1, 'How often it was seen.'),
    { ...nameColumn, priority: 1 },
  ],

  selectableFields: {
    ...Object.fromEntries(
      aboutFields.flatMap((field) =>
        ['involvedObject', 'regarding'].map((name) => [
          `${name}.${field}`,
          (event: Event) => event.involvedObject?.[field] ?? '',
        ]),
      ),
    ),
    reason: ({ reason }) => reason ?? '',
    reportingComponent: ({ reportingComponent }) => reportingComponent ?? '',
    reportingController: ({ reportingComponent }) => reportingComponent ?? '',
    source: ({ source, reportingComponent }) => source?.component || reportingComponent || '',
    type: ({ type }) => type ?? '',
  },
};

/** Events stand beside their object; those about objects without a namespace stand in `default`. */
function validateNamespace({ metadata, involvedObject }: Event): FieldError[] {
  const path = 'involvedObject.namespace';
  const about = involvedObject.namespace ?? '';
  if (about === '') {
    const fine = metadata.namespace === 'default' || metadata.namespace === 'kube-system';
    return fine ? [] : [invalidValue(path, about, 'does not match event.namespace')];
  }
  if (about !== metadata.namespace) return [invalidValue(path, about, 'does not match event.namespace')];
  return invalidWhen(path, about, isDns1123Label);
}

function lastSeen({ series, lastTimestamp, firstTimestamp, eventTime }: Event, nowMs: number): string {
  return ageOf(series?.lastObservedTime || lastTimestamp || firstTimestamp || eventTime, nowMs);
}

function sourceCell({ source, reportingComponent, reportingInstance }: Event): string {
  const component = source?.component || reportingComponent || '';
  const host = source?.host || reportingInstance;
  return host ? `${component}, ${host}` : component;
}
