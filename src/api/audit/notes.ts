/**
 * What admission wants the audit log to say about one write: `PREFIX/NAME` and a text. A write that is tried again makes notes anew, and only
 * those of the last attempt are told.
 */
import { isQualifiedName } from '../../machinery/names.ts';

export const noteBytesMax = 10 * 1024;
const notesMax = 64;
/** Of a request for several objects (a deletion of a collection) only so many are told about. */
const objectsMax = 64;

interface Note {
  text: string;
  ofBody: boolean;
}

export class AdmissionNotes {
  readonly #notes = new Map<string, Note>();

  /**
   * What was said first stays. Keys that are none, and what is more than can be told, are left out. What repeats parts of the
   * object (`ofBody`) is told only where the body of the request is told, too.
   */
  add(key: string, text: string, { ofBody = false } = {}): void {
    if (this.#notes.has(key) || this.#notes.size >= notesMax) return;
    if (key.split('/').length !== 2 || isQualifiedName(key).length > 0) return;
    this.#notes.set(key, { text: cut(text), ofBody });
  }

  get entries(): Iterable<[string, Note]> {
    return this.#notes;
  }
}

/** The notes about each object of one request. */
export class RequestNotes {
  readonly #byObject = new Map<string, AdmissionNotes>();

  /** Empty notes, in place of those that were made about the same object before. */
  about(object: string): AdmissionNotes {
    const notes = new AdmissionNotes();
    if (this.#byObject.has(object) || this.#byObject.size < objectsMax) this.#byObject.set(object, notes);
    return notes;
  }

  /** Of several objects the first that says something about a key. */
  all({ withBodies }: { withBodies: boolean }): Record<string, string> {
    const found: Record<string, string> = {};
    for (const notes of this.#byObject.values()) {
      for (const [key, { text, ofBody }] of notes.entries) if (withBodies || !ofBody) found[key] ??= text;
    }
    return found;
  }
}

function cut(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= noteBytesMax) return text;
  // A character that was cut in two is left out.
  return bytes
    .subarray(0, noteBytesMax)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
}
