/** Ranges of sizes and costs. What is not known is as large as an unsigned number of 64 bits can be; no sum goes beyond it. */

export interface Range {
  least: number;
  most: number;
}

export const unbounded = 2 ** 64;
export const unknown: Range = { least: 0, most: unbounded };
export const none: Range = { least: 0, most: 0 };

const cap = (value: number) => Math.min(value, unbounded);
const times = (a: number, b: number) => (a === 0 || b === 0 ? 0 : cap(a * b));

export const exactly = (value: number): Range => ({ least: value, most: value });
export const upTo = (most: number): Range => ({ least: 0, most: cap(most) });
export const add = (...ranges: Range[]): Range => ({
  least: cap(ranges.reduce((sum, { least }) => sum + least, 0)),
  most: cap(ranges.reduce((sum, { most }) => sum + most, 0)),
});
export const multiply = (a: Range, b: Range): Range => ({ least: times(a.least, b.least), most: times(a.most, b.most) });
/** By a factor, rounded up. */
export const scale = (range: Range, factor: number): Range => ({
  least: cap(Math.ceil(range.least * factor)),
  most: cap(Math.ceil(range.most * factor)),
});
export const either = (a: Range, b: Range): Range => ({ least: Math.min(a.least, b.least), most: Math.max(a.most, b.most) });
