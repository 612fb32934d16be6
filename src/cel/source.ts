/** The text of an expression and the positions in it, as they are shown to people. */
import { CelError, type CelIssue } from './errors.ts';

/** Longer lines are not shown under a complaint. */
const snippetMax = 16_384;

export class Source {
  readonly text: string;
  readonly #lineStarts: number[] = [0];
  readonly #issues: { offset: number; message: string }[] = [];

  constructor(text: string) {
    this.text = text;
    for (let index = text.indexOf('\n'); index >= 0; index = text.indexOf('\n', index + 1)) this.#lineStarts.push(index + 1);
  }

  /** Notes a complaint about the character at `offset` (in UTF-16 units). */
  report(offset: number, message: string): void {
    this.#issues.push({ offset, message });
  }

  /** Throws CelError when something was reported, with every complaint under its line of the text. */
  throwIssues(): void {
    if (this.#issues.length === 0) return;
    const sorted = [...this.#issues].sort((a, b) => a.offset - b.offset);
    const issues = sorted.map(({ offset, message }) => this.#locate(offset, message));
    throw new CelError('Compilation', issues.map((issue) => this.#display(issue)).join('\n'), issues);
  }

  #locate(offset: number, message: string): CelIssue {
    let line = this.#lineStarts.findIndex((start) => start > offset);
    if (line < 0) line = this.#lineStarts.length;
    const start = this.#lineStarts[line - 1] as number;
    return { line, column: [...this.text.slice(start, offset)].length, message };
  }

  #display({ line, column, message }: CelIssue): string {
    const head = `ERROR: <input>:${line}:${column + 1}: ${message}`;
    const start = this.#lineStarts[line - 1] as number;
    const end = this.#lineStarts[line];
    const snippet = this.text.slice(start, end === undefined ? undefined : end - 1).replaceAll('\t', ' ');
    if (snippet.length > snippetMax) return head;
    const characters = [...snippet];
    // Characters outside ASCII are taken to be as wide as two, so the pointer below them is wide too.
    const wide = (character: string | undefined) => (character?.codePointAt(0) ?? 0) > 127;
    const dots = characters.slice(0, column).map((character) => (wide(character) ? '\uff0e' : '.'));
    return `${head}\n | ${snippet}\n | ${dots.join('')}${wide(characters[column]) ? '\uff3e' : '^'}`;
  }
}
