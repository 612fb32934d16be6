/**
 * A running hash of all that happens in a simulation: two runs are the same if and only if (nearly) their hashes are. On wish it
 * keeps what happened as text too, the latest lines.
 */
const linesMax = 200;

export class Trace {
  #low = 0x811c9dc5;
  #high = 0x01000193;
  readonly #lines: string[] | undefined;

  constructor(keepsLines: boolean) {
    this.#lines = keepsLines ? [] : undefined;
  }

  get lines(): readonly string[] {
    return this.#lines ?? [];
  }

  add(text: string, ...numbers: number[]): void {
    for (let at = 0; at < text.length; at++) this.#mix(text.charCodeAt(at));
    for (const number of numbers) this.#mix(number);
  }

  /** Something that a reader of a trace wants to know. */
  tell(tick: number, text: () => string): void {
    if (!this.#lines) return;
    this.#lines.push(`${tick}: ${text()}`);
    if (this.#lines.length > linesMax) this.#lines.shift();
  }

  get hash(): string {
    return (this.#low >>> 0).toString(16).padStart(8, '0') + (this.#high >>> 0).toString(16).padStart(8, '0');
  }

  #mix(value: number): void {
    this.#low = Math.imul(this.#low ^ value, 0x01000193);
    this.#high = Math.imul(this.#high ^ (value + (this.#low >>> 7)), 0x85ebca6b);
  }
}
