/** Durations and timestamps: their texts (Go's durations, RFC 3339) and the fields of a point in time in a time zone. */
import { evaluationError } from './errors.ts';
import { CelDuration, CelTimestamp, intMax, intMin } from './values.ts';

const second = 1_000_000_000n;
const unitNanos: Record<string, bigint> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: 1_000_000n,
  s: second,
  m: 60n * second,
  h: 3600n * second,
};

const earliest = BigInt(Date.parse('0001-01-01T00:00:00Z')) * 1_000_000n;
const latest = BigInt(Date.parse('9999-12-31T23:59:59Z')) * 1_000_000n + second - 1n;

export function durationOf(nanos: bigint): CelDuration {
  if (nanos > intMax || nanos < intMin) throw evaluationError('duration overflow');
  return new CelDuration(nanos);
}

export function timestampOf(nanos: bigint): CelTimestamp {
  if (nanos > latest || nanos < earliest) throw evaluationError('timestamp overflow');
  return new CelTimestamp(nanos);
}

/** `1h30m`, `-1.5s`, `0`. */
export function parseDuration(text: string): CelDuration | undefined {
  const match = /^([+-]?)(0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(text);
  if (!match || text.length > 64) return undefined;
  let nanos = 0n;
  for (const [, whole, fraction, unit] of (match[2] as string).matchAll(/(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g)) {
    const scale = unitNanos[unit as string] as bigint;
    nanos += BigInt(whole || 0) * scale;
    if (fraction) nanos += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
  }
  if (match[1] === '-') nanos = -nanos;
  return nanos > intMax || nanos < intMin ? undefined : new CelDuration(nanos);
}

/** `2024-02-29T12:00:00.5+01:00`. */
export function parseTimestamp(text: string): CelTimestamp | undefined {
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (!match) return undefined;
  const [, date, time, fraction = '', zone] = match as unknown as [string, string, string, string | undefined, string];
  const local = Date.parse(`${date}T${time}Z`);
  // Days that the month does not have would be taken for the next month's.
  if (Number.isNaN(local) || new Date(local).toISOString().slice(0, 10) !== date) return undefined;
  const ms = Date.parse(`${date}T${time}${zone}`);
  if (Number.isNaN(ms)) return undefined;
  const nanos = BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
  return nanos > latest || nanos < earliest ? undefined : new CelTimestamp(nanos);
}

/** `2024-02-29`, at midnight UTC. */
export function parseDate(text: string): CelTimestamp | undefined {
  return /^\d{4}-\d\d-\d\d$/.test(text) ? parseTimestamp(`${text}T00:00:00Z`) : undefined;
}

const fractionText = (nanos: bigint) => (nanos === 0n ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`);

export function formatTimestamp({ nanos }: CelTimestamp): string {
  const rest = ((nanos % second) + second) % second;
  const iso = new Date(Number((nanos - rest) / 1_000_000n)).toISOString();
  return `${iso.slice(0, 19)}${fractionText(rest)}Z`;
}

/** Seconds with a fraction: `5400s`, `-1.5s`. */
export function formatDuration({ nanos }: CelDuration): string {
  const positive = nanos < 0n ? -nanos : nanos;
  return `${nanos < 0n ? '-' : ''}${positive / second}${fractionText(positive % second)}s`;
}

export interface TimeFields {
  year: number;
  /** From 0. */
  month: number;
  /** From 1. */
  day: number;
  /** From 0. */
  dayOfYear: number;
  /** Sunday is 0. */
  weekday: number;
  hours: number;
  minutes: number;
  seconds: number;
  milliseconds: number;
}

/** The fields in a zone: `UTC`, a name of the IANA database or an offset such as `-08:00`. Throws CelError for unknown zones. */
export function fieldsIn({ nanos }: CelTimestamp, zone: string): TimeFields {
  const rest = ((nanos % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const ms = Number((nanos - rest) / 1_000_000n);
  const local = new Date(ms + offsetMs(ms, zone));
  const year = local.getUTCFullYear();
  const midnight = Date.UTC(2000, local.getUTCMonth(), local.getUTCDate());
  const start = new Date(midnight).setUTCFullYear(year);
  const newYear = new Date(Date.UTC(2000, 0, 1)).setUTCFullYear(year);
  return {
    year,
    month: local.getUTCMonth(),
    day: local.getUTCDate(),
    dayOfYear: Math.round((start - newYear) / 86_400_000),
    weekday: local.getUTCDay(),
    hours: local.getUTCHours(),
    minutes: local.getUTCMinutes(),
    seconds: local.getUTCSeconds(),
    milliseconds: local.getUTCMilliseconds(),
  };
}

function offsetMs(ms: number, zone: string): number {
  const offset = /^([+-]?)(\d\d):(\d\d)$/.exec(zone);
  if (offset) {
    const minutes = Number(offset[2]) * 60 + Number(offset[3]);
    return (offset[1] === '-' ? -minutes : minutes) * 60_000;
  }
  if (zone === 'UTC' || zone === '') return 0;
  const options = { timeZone: zone, hourCycle: 'h23', era: 'short' } as const;
  const numbers = {
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  } as const;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', { ...options, ...numbers });
  } catch {
    throw evaluationError(`unknown time zone ${zone}`);
  }
  const parts = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, value]));
  const [year, month, day, hour, minute, seconds] = ['year', 'month', 'day', 'hour', 'minute', 'second'].map((part) =>
    Number(parts[part]),
  ) as [number, number, number, number, number, number];
  const local = new Date(Date.UTC(2000, month - 1, day, hour, minute, seconds)).setUTCFullYear(
    parts.era === 'BC' ? 1 - year : year,
    month - 1,
    day,
  );
  return local - Math.floor(ms / 1000) * 1000;
}
