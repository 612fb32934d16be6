/** Regular expressions with RE2's syntax in linear time: matches, find, findAll. Nothing here backtracks. */
import { costExceeded } from '../budget.ts';
import { CelError, evaluationError } from '../errors.ts';
import { Machine, type Program, programOf } from './machine.ts';
import { PatternError, parsePattern } from './syntax.ts';

const programsMax = 64;
/** The last patterns used, oldest first. */
const programs = new Map<string, Program>();

/** What is wrong with the pattern in Go's words, or undefined. */
export function patternComplaint(pattern: string): string | undefined {
  try {
    compiled(pattern);
    return undefined;
  } catch (error) {
    if (error instanceof PatternError) return error.message;
    throw error;
  }
}

function compiled(pattern: string): Program {
  const known = programs.get(pattern);
  if (known) return known;
  const program = programOf(parsePattern(pattern), pattern);
  if (programs.size >= programsMax) programs.delete(programs.keys().next().value as string);
  programs.set(pattern, program);
  return program;
}

/** Steps of the program that the pattern becomes; 0 for one that is no pattern. Costs are counted with it. */
export function programSize(pattern: string): number {
  return patternComplaint(pattern) === undefined ? compiled(pattern).steps.length : 0;
}

function machineFor(pattern: string, prefix: string): Machine {
  const complaint = patternComplaint(pattern);
  if (complaint !== undefined) throw evaluationError(prefix + complaint);
  return new Machine(compiled(pattern));
}

const pointsOf = (text: string) => Int32Array.from(text, (character) => character.codePointAt(0) as number);
const textOf = (points: Int32Array, start: number, end: number) => {
  let text = '';
  for (let at = start; at < end; at++) text += String.fromCodePoint(points[at] as number);
  return text;
};

/** Whether the pattern occurs in the text. Throws CelError for what is no pattern. */
export function matches(text: string, pattern: string): boolean {
  return machineFor(pattern, '').search(pointsOf(text), 0, true) !== undefined;
}

/** The first occurrence, or an empty text. */
export function find(text: string, pattern: string): string {
  const points = pointsOf(text);
  const match = machineFor(pattern, 'Illegal regex: ').search(points, 0, false);
  return match ? textOf(points, match.start, match.end) : '';
}

/** At most `most` occurrences that do not overlap; all when it is negative. */
export function findAll(text: string, pattern: string, most: number): string[] {
  const points = pointsOf(text);
  const machine = machineFor(pattern, 'Illegal regex: ');
  const found: string[] = [];
  let previousEnd = -1;
  for (let from = 0; from <= points.length && (most < 0 || found.length < most); ) {
    const match = machine.search(points, from, false);
    if (!match) break;
    // Patterns that look far ahead for every short match would take quadratic time.
    if (machine.scanned > 8 * points.length + 1024) throw new CelError('CallCost', costExceeded);
    const empty = match.start === match.end;
    if (!empty || match.start !== previousEnd) found.push(textOf(points, match.start, match.end));
    previousEnd = match.end;
    from = empty ? match.end + 1 : match.end;
  }
  return found;
}
