/**
 * The audit log's file: a line of JSON for each event, written behind the requests. A file that is full is set aside under the time
 * at which that happened; those that are too many or too old are deleted. When the disk is too slow or refuses, events are lost and counted.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { appendFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { Counter } from 'prom-client';
import type { AuditEvent, AuditSink } from '../api/audit/audit.ts';
import { BoundedQueue } from '../lib/bounded-queue.ts';
import type { Clock } from '../lib/clock.ts';
import { errorCode } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';

const waitingMax = 10_000;
const waitingBytesMax = 32 * 1024 * 1024;
const dayMs = 86_400_000;
/** Files that are set aside within one millisecond. */
const sameTimeMax = 1_000;

const lostTotal = new Counter({ name: 'kontiki_audit_events_lost_total', help: 'Audit events that could not be written.' });

export interface AuditLogOptions {
  file: string;
  maxSizeMiB: number;
  /** Files set aside; 0 keeps all. */
  maxBackups: number;
  /** 0 keeps them for ever. */
  maxAgeDays: number;
  clock: Clock;
  logger: Logger;
}

export class AuditLog implements AuditSink {
  readonly #options: AuditLogOptions;
  readonly #waiting = new BoundedQueue<string>(waitingMax);
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  /** Bytes in the file; undefined before it was looked at. */
  #size: number | undefined;
  #lost = 0;

  /** Throws the system's error when the folder cannot be made. */
  constructor(options: AuditLogOptions) {
    this.#options = options;
    mkdirSync(dirname(options.file), { recursive: true, mode: 0o700 });
  }

  /** Events that were not written so far. */
  get lost(): number {
    return this.#lost;
  }

  record(event: AuditEvent): void {
    const line = `${JSON.stringify(event)}\n`;
    if (this.#waitingBytes + line.length > waitingBytesMax || !this.#waiting.push(line)) {
      this.#lose(1);
      return;
    }
    this.#waitingBytes += line.length;
    this.#writing ??= this.#write();
  }

  /** Resolves when all that was recorded is in the file, or lost. */
  async flush(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  async #write(): Promise<void> {
    // What comes in one turn is written together.
    await Promise.resolve();
    while (this.#waiting.size > 0) {
      const lines = this.#waiting.drain();
      this.#waitingBytes = 0;
      try {
        await this.#append(lines);
      } catch (error) {
        this.#size = undefined;
        this.#options.logger.error({ error, events: lines.length }, 'audit events could not be written and are lost');
        this.#lose(lines.length);
      }
    }
    // In the same turn as the last look at the queue: the next event begins anew.
    this.#writing = undefined;
  }

  async #append(lines: string[]): Promise<void> {
    const { file, maxSizeMiB } = this.#options;
    const most = maxSizeMiB * 1024 * 1024;
    this.#size ??= await sizeOf(file);
    let batch: string[] = [];
    let bytes = 0;
    const put = async () => {
      if (batch.length === 0) return;
      await appendFile(file, batch.join(''), { mode: 0o600 });
      this.#size = (this.#size ?? 0) + bytes;
      [batch, bytes] = [[], 0];
    };
    for (const line of lines) {
      const length = Buffer.byteLength(line);
      if ((this.#size ?? 0) + bytes > 0 && (this.#size ?? 0) + bytes + length > most) {
        await put();
        await this.#setAside();
      }
      batch.push(line);
      bytes += length;
    }
    await put();
  }

  async #setAside(): Promise<void> {
    const { file, maxBackups, maxAgeDays, clock } = this.#options;
    const [folder, extension] = [dirname(file), extname(file)];
    const stem = `${basename(file, extension)}-`;
    const others = () => readdirSync(folder).filter((name) => name.startsWith(stem) && name.endsWith(extension));
    const last = others().sort().at(-1) ?? '';
    let stampMs = clock.wallMs();
    const nameOf = () => `${stem}${nameOfTime(stampMs)}${extension}`;
    // Names sort by age, also when several are set aside at once.
    for (let step = 0; nameOf() <= last && step < sameTimeMax; step++) stampMs++;
    await rename(file, join(folder, nameOf()));
    this.#size = 0;
    const oldest = nameOfTime(clock.wallMs() - maxAgeDays * dayMs);
    const backups = others().sort();
    const tooMany = maxBackups > 0 ? backups.slice(0, -maxBackups) : [];
    const tooOld = maxAgeDays > 0 ? backups.filter((name) => name.slice(stem.length) < oldest) : [];
    for (const name of new Set([...tooMany, ...tooOld])) await rm(join(folder, name), { force: true });
  }

  #lose(count: number): void {
    if (this.#lost === 0) this.#options.logger.warn({}, 'audit events are being lost: see kontiki_audit_events_lost_total');
    this.#lost += count;
    lostTotal.inc(count);
  }
}

const nameOfTime = (ms: number) => new Date(ms).toISOString().slice(0, -1).replaceAll(':', '-');

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}
