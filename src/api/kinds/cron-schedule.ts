/** The grammar of a cron job's schedule: five fields, or a name such as `@daily`. */

interface FieldRange {
  min: number;
  max: number;
  names?: string[];
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const fields: FieldRange[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: months },
  { min: 0, max: 6, names: days },
];
const named = new Set(['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']);
const every = /^@every (\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/;

/** What is wrong with a schedule; undefined when nothing is. */
export function scheduleComplaint(schedule: string): string | undefined {
  if (schedule.startsWith('@')) {
    if (named.has(schedule) || every.test(schedule)) return undefined;
    return schedule.startsWith('@every ')
      ? `failed to parse duration ${schedule}: time: invalid duration ${JSON.stringify(schedule.slice(7))}`
      : `unrecognized descriptor: ${schedule}`;
  }
  const parts = schedule.split(/\s+/).filter((part) => part !== '');
  if (parts.length === 0) return 'empty spec string';
  if (parts.length !== fields.length) {
    return `expected exactly ${fields.length} fields, found ${parts.length}: [${parts.join(' ')}]`;
  }
  for (const [index, range] of fields.entries()) {
    for (const term of (parts[index] as string).split(',').filter((one) => one !== '')) {
      const complaint = termComplaint(term, range);
      if (complaint) return complaint;
    }
  }
  return undefined;
}

/** One of `*`, `5`, `1-5`, each with an optional `/step`. */
function termComplaint(term: string, range: FieldRange): string | undefined {
  const [span = '', step, ...more] = term.split('/');
  if (more.length > 0) return `too many slashes: ${term}`;
  if (step !== undefined && !/^\d+$/.test(step)) return notNumber(step);
  if (step !== undefined && Number(step) === 0) return `step of range should be a positive number: ${term}`;
  if (span === '*' || span === '?') return undefined;
  const [from = '', to, ...rest] = span.split('-');
  if (rest.length > 0) return `too many hyphens: ${term}`;
  const low = numberOf(from, range);
  if (low === undefined) return notNumber(from);
  const high = to === undefined ? (step === undefined ? low : range.max) : numberOf(to, range);
  if (high === undefined) return notNumber(to ?? '');
  if (low < range.min) return `beginning of range (${low}) below minimum (${range.min}): ${term}`;
  if (high > range.max) return `end of range (${high}) above maximum (${range.max}): ${term}`;
  return low > high ? `beginning of range (${low}) beyond end of range (${high}): ${term}` : undefined;
}

function numberOf(text: string, { names, min }: FieldRange): number | undefined {
  const index = names?.indexOf(text.toLowerCase()) ?? -1;
  if (index >= 0) return min + index;
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

const notNumber = (text: string) =>
  `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
