/**
 * Structured logs: one JSON line per event on standard error.
 * error: a person must act. warn: something failed and will be tried again. info: a rare event that changes what this
 * machine does. debug: everything else. Secrets never go in.
 */
import { pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Logger {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
  /** A logger that adds `fields` to every line. */
  child(fields: Record<string, unknown>): Logger;
}

/** `room` names the part of the system, as in the folders of src. Errors go in the field `error`. */
export function createLogger(room: string, level: LogLevel): Logger {
  return pino(
    {
      level,
      base: { room },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
