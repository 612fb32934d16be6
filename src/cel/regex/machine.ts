/**
 * Runs a pattern over a text in time proportional to text × pattern, whatever the pattern: all states are followed at the same
 * time (Thompson's construction, with Pike's order of threads for which match is meant). Node's own RegExp backtracks, and its
 * linear mode is behind a flag of the process.
 */
import { type Test, word } from './classes.ts';
import { type Assertion, type Pattern, PatternError } from './syntax.ts';

type Step =
  | { kind: 'character'; test: Test }
  | { kind: 'assertion'; assertion: Assertion }
  /** Goes on at both; the first is preferred. */
  | { kind: 'split'; first: number; second: number }
  | { kind: 'jump'; to: number }
  | { kind: 'match' };

export interface Program {
  steps: readonly Step[];
}

/** A pattern whose counted repetitions unfold to more steps is refused. */
const stepsMax = 10_000;

export function programOf(pattern: Pattern, text: string): Program {
  const steps: Step[] = [];
  const add = (step: Step) => {
    if (steps.length >= stepsMax) throw new PatternError('expression too large', text);
    return steps.push(step) - 1;
  };
  const here = () => steps.length;
  const emit = (part: Pattern): void => {
    switch (part.kind) {
      case 'empty':
        return;
      case 'character':
      case 'assertion':
        add(part);
        return;
      case 'sequence':
        for (const item of part.parts) emit(item);
        return;
      case 'choice':
        choice(part.options);
        return;
      case 'repeat':
        repeat(part);
        return;
    }
  };
  const split = () => ({ kind: 'split' as const, first: 0, second: 0 });
  const choice = (options: readonly Pattern[]) => {
    const ends: { kind: 'jump'; to: number }[] = [];
    options.forEach((option, index) => {
      if (index === options.length - 1) {
        emit(option);
        return;
      }
      const fork = split();
      add(fork);
      fork.first = here();
      emit(option);
      const jump = { kind: 'jump' as const, to: 0 };
      add(jump);
      ends.push(jump);
      fork.second = here();
    });
    for (const jump of ends) jump.to = here();
  };
  const repeat = ({ part, least, most, greedy }: Extract<Pattern, { kind: 'repeat' }>) => {
    for (let count = 0; count < least; count++) emit(part);
    const fork = () => {
      const made = split();
      add(made);
      return made;
    };
    const aim = (made: { first: number; second: number }, inside: number, outside: number) => {
      made.first = greedy ? inside : outside;
      made.second = greedy ? outside : inside;
    };
    if (most === Infinity) {
      const start = here();
      const made = fork();
      const inside = here();
      emit(part);
      add({ kind: 'jump', to: start });
      aim(made, inside, here());
      return;
    }
    const forks: [ReturnType<typeof split>, number][] = [];
    for (let count = least; count < most; count++) {
      const made = fork();
      forks.push([made, here()]);
      emit(part);
    }
    for (const [made, inside] of forks) aim(made, inside, here());
  };
  emit(pattern);
  add({ kind: 'match' });
  return { steps };
}

/** Threads in order of preference, each step at most once. */
class Threads {
  readonly steps: Int32Array;
  readonly starts: Int32Array;
  readonly #seen: Int32Array;
  #generation = 0;
  count = 0;

  constructor(size: number) {
    this.steps = new Int32Array(size);
    this.starts = new Int32Array(size);
    this.#seen = new Int32Array(size).fill(-1);
  }

  clear(): void {
    this.count = 0;
    this.#generation++;
  }

  isNew(step: number): boolean {
    if (this.#seen[step] === this.#generation) return false;
    this.#seen[step] = this.#generation;
    return true;
  }
}

export interface Match {
  /** Code points. */
  start: number;
  end: number;
}

const isWord = (point: number | undefined) => point !== undefined && word(point);

function holds(assertion: Assertion, points: Int32Array, at: number): boolean {
  switch (assertion) {
    case 'textStart':
      return at === 0;
    case 'textEnd':
      return at === points.length;
    case 'lineStart':
      return at === 0 || points[at - 1] === 10;
    case 'lineEnd':
      return at === points.length || points[at] === 10;
    case 'wordBoundary':
      return isWord(points[at - 1]) !== isWord(points[at]);
    case 'noWordBoundary':
      return isWord(points[at - 1]) === isWord(points[at]);
  }
}

export class Machine {
  readonly #steps: readonly Step[];
  #current: Threads;
  #next: Threads;
  readonly #pending: number[] = [];
  /** Characters looked at so far, for who bounds several searches together. */
  scanned = 0;

  constructor({ steps }: Program) {
    this.#steps = steps;
    this.#current = new Threads(steps.length);
    this.#next = new Threads(steps.length);
  }

  /** The first match at or behind `from`; with `any`, some match, found as early as possible. */
  search(points: Int32Array, from: number, any: boolean): Match | undefined {
    let found: Match | undefined;
    this.#current.clear();
    for (let at = from; at <= points.length; at++) {
      this.scanned++;
      if (!found) this.#follow(this.#current, 0, at, points, at);
      if (this.#current.count === 0) {
        if (found) break;
        this.#current.clear();
        continue;
      }
      this.#next.clear();
      const { steps, starts, count } = this.#current;
      for (let index = 0; index < count; index++) {
        const number = steps[index] as number;
        const step = this.#steps[number] as Step;
        if (step.kind === 'match') {
          found = { start: starts[index] as number, end: at };
          if (any) return found;
          // The threads behind this one are less preferred.
          break;
        }
        if (step.kind === 'character' && at < points.length && step.test(points[at] as number)) {
          this.#follow(this.#next, number + 1, at + 1, points, starts[index] as number);
        }
      }
      [this.#current, this.#next] = [this.#next, this.#current];
    }
    return found;
  }

  /** Adds the steps that are reached without reading a character. */
  #follow(threads: Threads, first: number, at: number, points: Int32Array, start: number): void {
    const pending = this.#pending;
    pending.push(first);
    for (let number = pending.pop(); number !== undefined; number = pending.pop()) {
      if (!threads.isNew(number)) continue;
      const step = this.#steps[number] as Step;
      if (step.kind === 'jump') pending.push(step.to);
      else if (step.kind === 'split') pending.push(step.second, step.first);
      else if (step.kind === 'assertion') {
        if (holds(step.assertion, points, at)) pending.push(number + 1);
      } else {
        threads.steps[threads.count] = number;
        threads.starts[threads.count++] = start;
      }
    }
  }
}
