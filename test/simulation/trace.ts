/** A running hash of all that happens in a simulation: two runs are the same if and only if (nearly) their hashes are. */
export class Trace {
  #low = 0x811c9dc5;
  #high = 0x01000193;

  add(text: string, ...numbers: number[]): void {
    for (let at = 0; at < text.length; at++) this.#mix(text.charCodeAt(at));
    for (const number of numbers) this.#mix(number);
  }

  get hash(): string {
    return (this.#low >>> 0).toString(16).padStart(8, '0') + (this.#high >>> 0).toString(16).padStart(8, '0');
  }

  #mix(value: number): void {
    this.#low = Math.imul(this.#low ^ value, 0x01000193);
    this.#high = Math.imul(this.#high ^ (value + (this.#low >>> 7)), 0x85ebca6b);
  }
}
