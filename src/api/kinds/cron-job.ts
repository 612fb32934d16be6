/** CronJob: makes jobs by the clock. */
import { ageOf } from '../../machinery/duration.ts';
import type { KindDefinition } from '../../machinery/kind.ts';
import type { CronJob } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { setPodSpecDefaults } from '../../machinery/pod-defaults.ts';
import { formatLabelSelector } from '../../machinery/selectors.ts';
import type { FieldError } from '../../machinery/status.ts';
import { ageColumn, column, containerImages, containerNames, integerColumn, nameColumn, wideColumn } from './columns.ts';
import { scheduleComplaint } from './cron-schedule.ts';
import { checkNotNegative, checkOneOf, invalidValue, required } from './field-errors.ts';
import { validateJobSpec } from './job-template.ts';
import { oldVersion } from './old-versions.ts';

type Spec = NonNullable<CronJob['spec']>;

/** Jobs get eleven more characters. */
const nameLengthMax = 52;
const policies = ['Allow', 'Forbid', 'Replace'];

export const cronJobKind: KindDefinition<CronJob> = {
  group: 'batch',
  kind: 'CronJob',
  plural: 'cronjobs',
  singular: 'cronjob',
  shortNames: ['cj'],
  categories: ['all'],
  namespaced: true,
  versions: [
    { name: 'v1', schema: 'batch.v1.CronJob' },
    oldVersion('batch', {
      name: 'v1beta1',
      schema: 'batch.v1beta1.CronJob',
      releases: ['1.21', '1.25'],
      use: 'batch/v1 CronJob',
    }),
  ],
  hasStatus: true,

  setDefaults({ spec }) {
    if (!spec) return;
    spec.concurrencyPolicy ||= 'Allow';
    spec.suspend ??= false;
    spec.successfulJobsHistoryLimit ??= 3;
    spec.failedJobsHistoryLimit ??= 1;
    if (spec.jobTemplate?.spec?.template?.spec) setPodSpecDefaults(spec.jobTemplate.spec.template.spec);
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = {};
  },

  validate({ metadata, spec }) {
    const errors = validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain });
    if (metadata.name.length > nameLengthMax) {
      errors.push(invalidValue('metadata.name', metadata.name, `must be no more than ${nameLengthMax} characters`));
    }
    return [...errors, ...validateSpec(spec ?? ({} as Spec))];
  },

  columns: [
    nameColumn,
    column('Schedule', ({ spec }) => spec?.schedule ?? '', 'When it makes jobs.'),
    column('Timezone', ({ spec }) => spec?.timeZone ?? '<none>', 'The time zone of the schedule.'),
    {
      ...column('Suspend', suspendCell, 'Whether it makes no more jobs for now.'),
      type: 'boolean',
    },
    integerColumn('Active', ({ status }) => status?.active?.length ?? 0, 'Jobs that run now.'),
    column(
      'Last Schedule',
      ({ status }, nowMs) => (status?.lastScheduleTime ? ageOf(status.lastScheduleTime, nowMs) : '<none>'),
      'Time since it made a job.',
    ),
    ageColumn,
    wideColumn('Containers', ({ spec }) => containerNames(spec?.jobTemplate?.spec?.template), 'Names of the containers.'),
    wideColumn('Images', ({ spec }) => containerImages(spec?.jobTemplate?.spec?.template), 'Images of the containers.'),
    wideColumn('Selector', ({ spec }) => formatLabelSelector(spec?.jobTemplate?.spec?.selector), 'Chooses the pods of its jobs.'),
  ],
};

function suspendCell({ spec }: CronJob): string {
  if (spec?.suspend == null) return '<unset>';
  return spec.suspend ? 'True' : 'False';
}

function validateSpec(spec: Spec): FieldError[] {
  const errors: FieldError[] = [];
  const { schedule = '', timeZone, jobTemplate } = spec;
  if (schedule === '') errors.push(required('spec.schedule'));
  else if (schedule.includes('TZ')) {
    const detail = 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead';
    errors.push(invalidValue('spec.schedule', schedule, detail));
  } else {
    const complaint = scheduleComplaint(schedule);
    if (complaint) errors.push(invalidValue('spec.schedule', schedule, complaint));
  }
  if (timeZone != null) errors.push(...validateTimeZone(timeZone));
  errors.push(
    ...checkNotNegative('spec.startingDeadlineSeconds', spec.startingDeadlineSeconds),
    ...checkOneOf('spec.concurrencyPolicy', spec.concurrencyPolicy, policies),
    ...checkNotNegative('spec.successfulJobsHistoryLimit', spec.successfulJobsHistoryLimit),
    ...checkNotNegative('spec.failedJobsHistoryLimit', spec.failedJobsHistoryLimit),
  );
  if (!jobTemplate?.spec) return [...errors, required('spec.jobTemplate.spec.template.spec.containers')];
  return [...errors, ...validateJobSpec(jobTemplate.spec, 'spec.jobTemplate.spec')];
}

function validateTimeZone(timeZone: string): FieldError[] {
  const path = 'spec.timeZone';
  if (timeZone === '') return [invalidValue(path, timeZone, 'timeZone must be nil or non-empty string')];
  if (timeZone.toLowerCase() === 'local') {
    return [invalidValue(path, timeZone, 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones')];
  }
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return [];
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return [invalidValue(path, timeZone, `unknown time zone ${timeZone}`)];
  }
}
