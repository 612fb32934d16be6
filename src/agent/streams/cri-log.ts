/**
 * Container logs as conmon writes them: `TIME STREAM TAG CONTENT` lines (CRI logging format). Tag P marks a part of a line whose
 * rest follows; its newline is the file's, not the program's. Pure.
 */
export interface LogLine {
  /** RFC 3339 with nanoseconds, as in the file; UTC is written Z. */
  time: string;
  stream: 'stdout' | 'stderr';
  /** With the newline the program wrote, if it did. */
  content: Buffer;
  partial: boolean;
}

const space = 0x20;

/** Undefined for a line that is not in this form. `line` comes without its newline. */
export function parseLogLine(line: Buffer): LogLine | undefined {
  const first = line.indexOf(space);
  const second = line.indexOf(space, first + 1);
  if (first < 0 || second < 0) return undefined;
  let third = line.indexOf(space, second + 1);
  if (third < 0) third = line.length;
  const stream = line.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const partial = line.toString('latin1', second + 1, third).split(':')[0] === 'P';
  const text = line.subarray(third + 1);
  const content = partial ? text : Buffer.concat([text, Buffer.from('\n')]);
  return { time: line.toString('latin1', 0, first).replace(/[+-]00:00$/, 'Z'), stream, content, partial };
}

/** Cuts a growing file's bytes into whole lines. */
export class LineCutter {
  #rest: Buffer[] = [];

  /** Lines without their newlines. */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const part = chunk.subarray(start, end);
      lines.push(this.#rest.length ? Buffer.concat([...this.#rest, part]) : part);
      this.#rest = [];
      start = end + 1;
    }
    // Copied: the caller may use its buffer again.
    if (start < chunk.length) this.#rest.push(Buffer.from(chunk.subarray(start)));
    return lines;
  }
}

export interface LogSelection {
  /** Milliseconds of wall time. */
  sinceMs?: number;
  timestamps: boolean;
  limitBytes?: number;
}

/** Turns lines into what the reader asked for. Says when the limit is reached. */
export class LogFormatter {
  readonly #selection: LogSelection;
  #left: number;
  /** The previous line of each stream was a part: this one goes on with it and gets no time of its own. */
  readonly #inPart = { stdout: false, stderr: false };

  constructor(selection: LogSelection) {
    this.#selection = selection;
    this.#left = selection.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  get done(): boolean {
    return this.#left <= 0;
  }

  format(line: LogLine): Buffer {
    const { sinceMs, timestamps } = this.#selection;
    const goesOn = this.#inPart[line.stream];
    this.#inPart[line.stream] = line.partial;
    if (sinceMs !== undefined && Date.parse(line.time) < sinceMs) return Buffer.alloc(0);
    const out = timestamps && !goesOn ? Buffer.concat([Buffer.from(`${line.time} `), line.content]) : line.content;
    const cut = out.length > this.#left ? out.subarray(0, this.#left) : out;
    this.#left -= cut.length;
    return cut;
  }
}
