/** Fields of timestamps and lengths of durations. */
import { type Overload, overload } from '../functions.ts';
import { fieldsIn, type TimeFields } from '../time.ts';
import type { CelDuration, CelTimestamp } from '../values.ts';

const getters: [string, string, (fields: TimeFields) => number][] = [
  ['getFullYear', 'year', ({ year }) => year],
  ['getMonth', 'month', ({ month }) => month],
  ['getDayOfYear', 'day_of_year', ({ dayOfYear }) => dayOfYear],
  ['getDayOfMonth', 'day_of_month', ({ day }) => day - 1],
  ['getDate', 'day_of_month_1_based', ({ day }) => day],
  ['getDayOfWeek', 'day_of_week', ({ weekday }) => weekday],
  ['getHours', 'hours', ({ hours }) => hours],
  ['getMinutes', 'minutes', ({ minutes }) => minutes],
  ['getSeconds', 'seconds', ({ seconds }) => seconds],
  ['getMilliseconds', 'milliseconds', ({ milliseconds }) => milliseconds],
];

const lengths: [string, string, bigint][] = [
  ['getHours', 'hours', 3_600_000_000_000n],
  ['getMinutes', 'minutes', 60_000_000_000n],
  ['getSeconds', 'seconds', 1_000_000_000n],
  ['getMilliseconds', 'milliseconds', 1_000_000n],
];

export const times: readonly Overload[] = [
  ...getters.flatMap(([name, id, get]) => [
    overload(`timestamp_to_${id}`, `timestamp.${name}(): int`, (value: CelTimestamp) => BigInt(get(fieldsIn(value, 'UTC')))),
    overload(`timestamp_to_${id}_with_tz`, `timestamp.${name}(string): int`, (value: CelTimestamp, zone: string) =>
      BigInt(get(fieldsIn(value, zone))),
    ),
  ]),
  ...lengths.map(([name, id, nanos]) =>
    overload(`duration_to_${id}`, `duration.${name}(): int`, (value: CelDuration) => value.nanos / nanos),
  ),
];
