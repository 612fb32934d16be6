/** What makes a configuration unfit to be applied: fields that its type lacks, and list items that cannot be told apart. */
import { stepText } from './field-set.ts';
import type { Shape } from './shapes.ts';
import { isAbsent, isMap, type ListShape, type Members, memberShape, stepOf } from './values.ts';

const complaintsMax = 20;

/** At most 20 sentences, each beginning with the path of what it is about. */
export function complaintsOf(value: unknown, shape: Shape): string[] {
  const complaints: string[] = [];
  visit(value, shape, '', complaints);
  return complaints;
}

function visit(value: unknown, shape: Shape, path: string, complaints: string[]): void {
  if (isAbsent(value) || shape.form === 'leaf' || complaints.length >= complaintsMax) return;
  if (shape.form === 'keyed' || shape.form === 'set') visitItems(value, shape, path, complaints);
  else if (isMap(value)) visitMembers(value, shape, path, complaints);
}

function visitMembers(value: Members, shape: Shape, path: string, complaints: string[]): void {
  for (const [name, member] of Object.entries(value)) {
    const at = `${path}.${name}`;
    if (shape.form === 'struct' && !shape.field(name)) complaints.push(`${at}: field not declared in schema`);
    else visit(member, memberShape(shape, name), at, complaints);
  }
}

function visitItems(value: unknown, shape: ListShape, path: string, complaints: string[]): void {
  if (!Array.isArray(value)) return;
  const seen = new Set<string>();
  for (const [index, item] of value.entries()) {
    if (complaints.length >= complaintsMax) return;
    const step = stepOf(item, shape);
    if (step === undefined) complaints.push(`${path}: element ${index}: ${keyComplaint(item, shape)}`);
    else if (seen.has(step)) complaints.push(`${path}: duplicate entries for key ${stepText(step)}`);
    else if (shape.form === 'keyed') visit(item, shape.item, `${path}${stepText(step)}`, complaints);
    if (step !== undefined) seen.add(step);
  }
}

function keyComplaint(item: unknown, shape: ListShape): string {
  if (shape.form === 'set') return 'an item of a set must be a scalar';
  if (!isMap(item)) return 'associative list with keys may not have non-map elements';
  const missing = shape.keys.find((key) => isAbsent(item[key]) && isAbsent(shape.defaults[key]));
  const key = JSON.stringify(missing);
  return `associative list with keys has an element that omits key field ${key} (and doesn't have default value)`;
}
